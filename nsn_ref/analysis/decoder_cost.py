"""What a decoder costs per token, from its configuration alone."""

import bisect
import dataclasses
import functools
import math
from typing import NamedTuple

from nsn_ref.errors import OptionError


class LayerForm(NamedTuple):
    """How a nested layer runs at its rank."""

    key: str
    rank: int
    weights: int  # multiply-adds for one token
    form: str  # "factors", or "product": W_r multiplied out, where that has no more weights


class DecoderCost(NamedTuple):
    """Multiply-adds for one token, without those of attention over earlier tokens."""

    layers: tuple  # LayerForm of each nested layer
    outside: int  # parameters outside the nested layers and outside the embeddings, which are lookups
    dense: int  # parameters of the plain decoder outside the embeddings

    @property
    def weights(self):
        """Of the whole model."""
        return self.outside + sum(layer.weights for layer in self.layers)

    @property
    def flops(self):
        """Two for each multiply-add."""
        return 2 * self.weights

    @property
    def share(self):
        """Of the plain decoder's FLOPs."""
        return self.weights / self.dense


def decoder_cost(config, rank, *, cached=True):
    """Cost of a decoder with its nested layers at a rank.

    FLOPs are counted as in Fig. 7 of the paper: as the parameters that a token passes through. A head that is tied to
    the embedding counts as the matrix that it is; biases of nested layers count in the plain decoder alone.

    Parameters
    ----------
    config : DecoderConfig
        With nested layers.
    rank : int or tuple of int
        As `Decoder.layer_ranks` takes it.
    cached : bool
        From its break-even rank on a layer runs as the product W_r. The paper's figure has factors everywhere.

    Returns
    -------
    DecoderCost

    Raises
    ------
    RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, Fig. 7, as in `nsn_ref.analysis.cost.transformer_share`.

    Claims: CST-4, CST-6.
    """
    from nsn_ref.nets.decoder import Decoder

    ranks = Decoder(config).layer_ranks(rank, "decoder_cost") if config.nested else ()
    nested = set(dict(config.nested))
    keys = [key for key in config.linear_layers if key in nested]
    layers = tuple(_form(config, key, r, cached) for key, r in zip(keys, ranks, strict=True))
    dense = _plain_parameters(config)
    inside = sum(d_in * d_out + bias * d_out for d_in, d_out, bias in map(config.linear_layers.get, keys))
    return DecoderCost(layers, dense - inside, dense)


def rank_for_share(config, share, *, cached=True):
    """The largest int rank at which a decoder costs at most a share of the plain one.

    Raises
    ------
    OptionError
        Rank 1 costs more, or nothing is nested.
    """
    ranks = range(1, max((R for _, R in config.nested), default=0) + 1)
    cost = functools.partial(decoder_cost, config, cached=cached)
    rank = bisect.bisect_right(ranks, share, key=lambda r: cost(r).share)  # the share does not fall with the rank
    if rank == 0:
        least = f"{cost(1).share:.3f}, the share at rank 1" if ranks else "a decoder with nested layers"
        raise OptionError(f"rank_for_share: share is {share!r}, expected at least {least}")
    return rank


def _form(config, key, rank, cached):
    d_in, d_out, _ = config.linear_layers[key]
    factors, product = rank * (d_in + d_out), d_in * d_out
    cheaper = cached and product <= factors
    return LayerForm(key, rank, product if cheaper else factors, "product" if cheaper else "factors")


def _plain_parameters(config):
    from nsn_ref.nets.decoder import Decoder

    shapes = Decoder(dataclasses.replace(config, nested=())).shapes()
    count = sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(".E"))
    return count + (config.vocabulary * config.hidden if config.tied else 0)
