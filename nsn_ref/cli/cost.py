"""`nsn-ref cost`: what a layer or a network costs at each rank."""

import itertools
import re
from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.errors import OptionError


def cost(
    d_in: Annotated[int | None, typer.Option("--d-in", help="Input width of one layer.")] = None,
    d_out: Annotated[int | None, typer.Option("--d-out", help="Output width of one layer.")] = None,
    widths: Annotated[
        str | None, typer.Option(help="Widths of an MLP instead: nested hidden layers, dense head.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A decoder's folder instead: config.json or nsn.json is all that is read.")
    ] = None,
    layers: Annotated[
        str, typer.Option(help="Layers to nest in a plain decoder: as `nsn-ref adapt` takes them.")
    ] = "mlp",
    R: Annotated[
        int | None, typer.Option("--R", help="Components stored. Default for one layer: the smaller of its widths.")
    ] = None,
    ranks: Annotated[str | None, typer.Option(help="Ranks to show. Default: powers of two, and R.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the stored parameters, for the bytes.")] = "float32",
    cached: Annotated[
        bool, typer.Option("--cached", help="Above break-even, run the product W_r, stored dense.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
):
    """Print multiply-adds, FLOPs (two for each), parameters and bytes for one example, at each rank and dense.

    Example: [bold]nsn-ref cost --d-in 784 --d-out 256 --ranks 1,16,64[/bold]

    Example: [bold]nsn-ref cost --widths 64,128,10 --R 32 --json cost.json[/bold]

    Example: [bold]nsn-ref cost --model models/pythia-2.8b --layers mlp,attention --ranks 256,512,1024[/bold]
    """
    from nsn_ref.cli.parsing import integers

    if model is not None:
        return _decoder(model, layers, None if ranks is None else integers("cost: --ranks", ranks), json_file)
    _network(d_in, d_out, widths, R, ranks, dtype, cached, json_file)


def _network(d_in, d_out, widths, R, ranks, dtype, cached, json_file):
    from nsn_ref import checks
    from nsn_ref.cli.parsing import integers

    if R is not None:
        checks.integer("cost", "--R", R, 1)
    if widths is None:
        layers = [_one_layer(d_in, d_out, R)]
    elif d_in is not None or d_out is not None:
        raise OptionError("cost: --widths is given beside --d-in or --d-out, expected one of the two forms")
    else:
        layers = _mlp(integers("cost: --widths", widths), R)
    R = max(layer.R for layer in layers if layer.R is not None)
    at = _powers_of_two(R) if ranks is None else integers("cost: --ranks", ranks)
    figures = _figures(layers, at, dtype, cached)
    _show(figures)
    if json_file is not None:
        _write(json_file, figures)


def _decoder(model, layers, ranks, json_file):
    """The whole model's multiply-adds for one token at each rank, and how its layers run."""
    from nsn_ref.analysis.decoder_cost import decoder_cost
    from nsn_ref.hf import read_config
    from nsn_ref.surgery.choice import nested_config
    from nsn_ref.surgery.folder import FILE, read_nested_config

    nested = (model / FILE).is_file()
    config = read_nested_config(model) if nested else nested_config(read_config(model), layers)
    if not config.nested:
        raise OptionError(f"cost: {model} has no nested layers, expected a decoder that has")
    at = _powers_of_two(max(R for _, R in config.nested)) if ranks is None else ranks
    costs = {rank: decoder_cost(config, rank) for rank in at}
    _show_decoder(costs)
    if json_file is not None:
        rows = [
            {
                "rank": rank,
                "flops": cost.flops,
                "share_of_plain": cost.share,
                "layers": [x._asdict() for x in cost.layers],
            }
            for rank, cost in costs.items()
        ]
        _write(json_file, {"nested": dict(config.nested), "ranks": rows})


def _show_decoder(costs):
    from rich.console import Console
    from rich.table import Table

    captions = (_products(rank, cost) for rank, cost in costs.items())
    table = Table(caption_justify="left", caption="\n".join(filter(None, captions)))
    for column in ("rank", "FLOPs per token", "share of plain", "layers as factors", "multiplied out"):
        table.add_column(column, justify="right")
    for rank, cost in costs.items():
        products = sum(layer.form == "product" for layer in cost.layers)
        forms = str(len(cost.layers) - products), str(products)
        table.add_row(str(rank), f"{cost.flops:,}", f"{cost.share:.1%}", *forms)
    Console().print(table)


def _products(rank, cost):
    """Which layers run multiplied out, those of all blocks under one name; empty where none does."""
    kinds = {}
    for layer in cost.layers:
        kinds.setdefault(re.sub(r"^blocks\.\d+\.", "", layer.key), []).append(layer.form == "product")
    named = [f"{name} ({sum(forms)} of {len(forms)})" for name, forms in kinds.items() if any(forms)]
    return f"rank {rank} multiplies out {', '.join(named)}" if named else ""


def _one_layer(d_in, d_out, R):
    from nsn_ref.analysis.cost import Layer

    for name, value in (("--d-in", d_in), ("--d-out", d_out)):
        if value is None:
            raise OptionError(f"cost: {name} is missing, expected --d-in and --d-out, or --widths and --R")
    return Layer(d_in, d_out, min(d_in, d_out) if R is None else R)


def _mlp(widths, R):
    from nsn_ref.analysis.cost import Layer

    if len(widths) < 3:
        raise OptionError(f"cost: --widths has {len(widths)} widths, expected an input, hidden layers and an output")
    if R is None:
        raise OptionError("cost: --R is missing, expected the components stored in each hidden layer")
    *hidden, head = itertools.pairwise(widths)
    return [Layer(*shape, R) for shape in hidden] + [Layer(*head)]


def _powers_of_two(R):
    return sorted({R, *(2**k for k in range(R.bit_length()))})


def _figures(layers, ranks, dtype, cached):
    """Everything that is shown and written, as plain numbers."""
    from nsn_ref.analysis.cost import break_even_rank, dense_cost, network_cost

    dense = dense_cost(layers, dtype=dtype)

    def row(cost):
        share = cost.multiply_adds / dense.multiply_adds
        return {**cost._asdict(), "flops": cost.flops, "share_of_dense": share}

    return {
        "dtype": dtype,
        "cached": cached,
        "layers": [
            {
                "d_in": layer.d_in,
                "d_out": layer.d_out,
                "R": layer.R,
                "break_even_rank": break_even_rank(layer.d_in, layer.d_out),
            }
            for layer in layers
        ],
        "ranks": [{"rank": r, **row(network_cost(layers, r, dtype=dtype, cached=cached))} for r in ranks],
        "dense": row(dense),
    }


def _show(figures):
    from rich.console import Console
    from rich.table import Table

    table = Table(caption_justify="left", caption="\n".join(map(_describe, figures["layers"])))
    for column in ("rank", "multiply-adds", "FLOPs", "of dense", "parameters", f"bytes ({figures['dtype']})"):
        table.add_column(column, justify="right")
    for row in [*figures["ranks"], {"rank": "dense", **figures["dense"]}]:
        counts = [f"{row[name]:,}" for name in ("multiply_adds", "flops", "parameters", "bytes")]
        share = f"{row['share_of_dense']:.1%}"
        table.add_row(str(row["rank"]), *counts[:2], share, *counts[2:], end_section=row is figures["ranks"][-1])
    Console().print(table)


def _describe(layer):
    shape = f"{layer['d_in']} to {layer['d_out']}"
    return f"{shape}: dense" if layer["R"] is None else f"{shape}: break-even rank {layer['break_even_rank']:.2f}"


def _write(path, figures):
    import json

    from nsn_ref.files import write_atomically

    write_atomically(path, json.dumps(figures, indent=1) + "\n")
    typer.echo(f"wrote {path}")
