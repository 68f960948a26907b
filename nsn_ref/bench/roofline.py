"""How near a step is to what the machine can do: its products alone, and the same arithmetic at the measured peak."""

from nsn_ref.bench.cells import Cell, multiply_adds
from nsn_ref.bench.paired import take_turns, workers
from nsn_ref.bench.statistics import median
from nsn_ref.bench.tables import Table

SIZES = (384, 512, 768, 1024, 1536, 2048)
ASKED = 0.8


def peak(plan):
    """GFLOP/s of NumPy's matrix product by size."""
    plan.say("measuring the peak of matrix products")
    found = {}
    with workers({"gemm": "nsn_ref.bench.tasks.gemm"}, plan.threads) as crew:
        for size in SIZES[:2] if plan.quick else SIZES:
            ms = take_turns(crew, {"gemm": {"size": size, "dtype": plan.dtype}}, plan.rounds, plan.turn)["gemm"]["ms"]
            found[str(size)] = 2 * size**3 / median(ms) / 1e6
    return found


def table(record):
    """By network: the products alone, and all the arithmetic at the peak, as shares of the step."""
    best = max(record["peak"].values())
    rows = []
    for cell in record["cells"]:
        step, products = (median(cell["engines"][name]["ms"]) for name in ("ours", "products"))
        flops = 2 * multiply_adds(Cell.from_json(cell["cell"]))
        rows.append(
            (
                cell["name"], f"{products:.3f}", f"{products / step:.2f}", f"{flops / products / 1e6:.0f}",
                f"{flops / best / 1e6:.3f}", f"{flops / best / 1e6 / step:.2f}",
            )
        )  # fmt: skip
    asked = f"On the two large networks at least {ASKED} is asked of the second column."
    return Table(
        "Against the limits of the machine",
        ("net (R, batch)", "products alone, ms", "/ the step", "GFLOP/s of them", "at the peak, ms", "/ the step"),
        rows,
        (
            f"The peak: {best:.0f} GFLOP/s, the best of NumPy's square products of sizes {', '.join(record['peak'])}. "
            f"{asked} It and the step took turns, so each may be slower than the other by noise.",
        ),
    )
