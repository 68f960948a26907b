"""What a decoder reaches on a text at each rank, and what it costs: a table, and files of it."""

import csv
import io
import json
import math
from typing import NamedTuple

from nsn_ref import ops as reference
from nsn_ref.analysis import plots
from nsn_ref.analysis.decoder_cost import decoder_cost
from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.files import made_folder, write_atomically
from nsn_ref.inference import multiplied_out


class DecoderRow(NamedTuple):
    """One rank, or one budget's ranks."""

    rank: str
    perplexity: float
    loss: float  # mean cross-entropy of the next token, nats
    flops: int  # for one token, without those of attention over earlier tokens
    share: float  # of the plain decoder's FLOPs
    products: int  # layers that run as W_r multiplied out, which is cheaper there


def decoder_frontier(decoder, params, windows, ranks, *, ops=reference, progress=lambda: None):
    """Evaluate a decoder on a text at several ranks; a layer runs as the product W_r where that is cheaper.

    Parameters
    ----------
    decoder : Decoder
    params : dict of str to ndarray
    windows : ndarray of integers, shape (n, T)
        As in `losses_at_ranks`.
    ranks : dict of str to rank
        What `Decoder.layer_ranks` takes, by the name that its row gets.
    ops : module
    progress : callable
        Called after each batch at each rank.

    Returns
    -------
    list of DecoderRow

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError
    """
    rows = []
    for name, rank in ranks.items():
        net, weights, left = multiplied_out(decoder, params, rank)
        (loss,) = losses_at_ranks(net, weights, windows, [left], ops=ops, progress=progress).tolist()
        cost = decoder_cost(decoder.config, rank)
        products = sum(layer.form == "product" for layer in cost.layers)
        rows.append(DecoderRow(name, math.exp(loss), loss, cost.flops, cost.share, products))
    return rows


def write(rows, folder, *, title, text_sha256):
    """Write frontier.csv, frontier.json and frontier.png, each in one step; returns their paths.

    Parameters
    ----------
    rows : list of DecoderRow
    folder : str or Path
        It is made.
    title : str
        Of the figure.
    text_sha256 : str
        Of the text that the decoder was evaluated on.

    Raises
    ------
    FileError
    """
    folder = made_folder(folder)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(DecoderRow._fields)
    writer.writerows(rows)
    content = {"model": title, "text_sha256": text_sha256, "rows": [row._asdict() for row in rows]}
    contents = {
        "frontier.csv": table.getvalue(),
        "frontier.json": json.dumps(content, indent=1, allow_nan=False) + "\n",
        "frontier.png": plots.perplexity_against_flops(rows, f"Perplexity at every rank\n{title}"),
    }
    for name, each in contents.items():
        write_atomically(folder / name, each)
    return [folder / name for name in contents]
