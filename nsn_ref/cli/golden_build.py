"""`nsn-ref golden build`: write the committed suite again, or one for shapes of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.cli import console as terminal
from nsn_ref.errors import OptionError

PROCEED = 60.0, 1e9  # seconds and bytes up to which a suite is built without --yes


def build(
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: the suite that ships.")] = None,
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing: compare byte for byte; exit status 1 if they differ.")
    ] = False,
    new_inputs: Annotated[
        bool, typer.Option("--new-inputs", help="Draw the inputs of new cases, which have none yet.")
    ] = False,
    op: Annotated[
        str | None,
        typer.Option(help="For one's own shape: an operation or net; nested_linear means forward and backward."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Its sizes, by the letters of golden/README.md, such as n=64,d_in=784,d_out=256.")
    ] = None,
    ranks: Annotated[str | None, typer.Option(help="Its ranks, such as 1,16,64.")] = None,
    dtype: Annotated[
        str, typer.Option(help="Its format: float64, float32, tf32, bfloat16, float16 or bfloat16_master.")
    ] = "float32",
    lane: Annotated[
        str | None, typer.Option(help="certified or exact. Default: certified where feasible, else exact.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="Its inputs, a safetensors or npz file. Default: generated from --seed.")
    ] = None,
    attr: Annotated[list[str] | None, typer.Option(help="An attribute, such as variant=bounded.")] = None,
    seed: Annotated[int, typer.Option(help="Of the inputs that are generated.", min=0)] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Build it even if it takes long or is large.")] = False,
):
    """Write golden vectors: those of one's own shape (--op), or the suite that ships, from its committed inputs.

    Example: [bold]nsn-ref golden build --op nested_linear --shape n=8,d_in=784,d_out=256 --ranks 1,64 --out mine[/bold]

    Example: [bold]nsn-ref golden build --check[/bold]
    """
    own = {"--shape": shape, "--ranks": ranks, "--lane": lane, "--inputs": inputs, "--attr": attr}
    if op is not None:
        if compare or new_inputs:
            raise OptionError("golden build: --check and --new-inputs are for the suite that ships, without --op")
        _build_own(
            op, out, shape=shape, ranks=ranks, dtype=dtype, lane=lane, inputs=inputs, attr=attr, seed=seed, yes=yes
        )
    elif given := [name for name, value in own.items() if value is not None]:
        raise OptionError(f"golden build: {given[0]} is for one's own shape, and --op is missing")
    else:
        _build_committed(out, compare, new_inputs)


def _build_own(op, out, *, shape, ranks, dtype, lane, inputs, attr, seed, yes):
    from nsn_ref.cli.parsing import integers
    from nsn_ref.golden import custom

    if out is None:
        raise OptionError("golden build: --out is missing, expected a new folder")
    custom.check_new(out)
    plan = custom.plan(
        op,
        shape=_sizes(shape),
        ranks=None if ranks is None else integers("golden build: --ranks", ranks),
        dtype=dtype,
        lane=lane,
        inputs=inputs,
        attrs=dict(_pair("--attr", text) for text in attr or ()),
        seed=seed,
    )
    console = terminal.console()
    terminal.say(console, str(plan))
    seconds, size = PROCEED
    if not yes and (plan.cost.seconds > seconds or plan.cost.bytes > size):
        raise OptionError(f"golden build: that is more than {seconds:g} s or {size / 1e6:g} MB, add --yes to build it")
    with terminal.progress(console, "building", len(plan.requests)) as progress:
        contents = custom.build(plan, progress=progress)
    custom.write(contents, out)
    size = sum(map(len, contents.values())) / 1e6
    terminal.say(console, f"wrote {len(plan.requests)} cases, {size:.2g} MB, to {out}")


def _sizes(text):
    from nsn_ref.cli.parsing import integers

    pairs = (_pair("--shape", part) for part in text.split(",")) if text else ()
    return {name: integers(f"golden build: --shape {name}", size)[0] for name, size in pairs}


def _pair(option, text):
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise OptionError(f"golden build: {option} has {text!r}, expected name=value")
    return name.strip(), value.strip()


def _build_committed(out, compare, new_inputs):
    from nsn_ref.golden import build as builder
    from nsn_ref.golden.cases import CASES
    from nsn_ref.golden.locate import suite_dir

    committed = suite_dir()
    folder = out or committed
    console = terminal.console()
    with terminal.progress(console, "building", len(CASES)) as progress:
        contents = builder.build(committed, progress=progress, new_inputs=new_inputs)
    if compare:
        wrong = builder.differences(contents, folder)
        for name in wrong:
            terminal.say(console, f"differs: {folder / name}")
        terminal.say(console, f"{len(contents) - len(wrong)} of {len(contents)} files are as built")
        raise typer.Exit(1 if wrong else 0)
    builder.write(contents, folder)
    terminal.say(console, f"wrote {len(contents)} files, {len(CASES)} cases, to {folder}")
