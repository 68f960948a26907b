"""Every kernel against the reference operation it stands for."""

from nsn_ref.bench.paired import agree, take_turns, workers
from nsn_ref.bench.statistics import geometric_mean, median
from nsn_ref.bench.tables import Table, milliseconds

ENGINES = {"kernel": "numba", "reference": "reference"}
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}


def run(plan):
    """Time each pair."""
    from nsn_ref.kernels import PAIRS

    names = [pair.kernel.__name__ for pair in PAIRS]
    record = {"dtype": plan.dtype, "threads": plan.threads, "operations": {}}
    with workers(dict.fromkeys(ENGINES, "nsn_ref.bench.tasks.one_operation"), plan.threads) as crew:
        for name in names[:4] if plan.quick else names:
            plan.say(name)
            tasks = {key: {"name": name, "engine": engine, "dtype": plan.dtype} for key, engine in ENGINES.items()}
            crew["reference"].ask("make", task=tasks["reference"] | {"dtype": "float64"})
            expected = crew["reference"].ask("read", steps=2)["found"]
            facts = agree(crew, tasks, expected, TOLERANCE[plan.dtype])
            results = take_turns(crew, tasks, plan.rounds, plan.turn / 4)
            record["operations"][name] = {key: results[key] | facts[key] for key in ENGINES}
    return record


def tables(record):
    """Milliseconds of kernel and reference by operation."""
    rows, ratios = [], []
    for name, results in record["operations"].items():
        kernel, reference = (results[key]["ms"] for key in ENGINES)
        ratios.append(median(reference) / median(kernel))
        rows.append((f"`{name}`", milliseconds(kernel), milliseconds(reference), f"{ratios[-1]:.2f}"))
    rows.append(("geometric mean", "", "", f"{geometric_mean(ratios):.2f}"))
    title = f"Kernels against reference operations, {record['dtype']}, {record['threads']} threads"
    note = (
        "Milliseconds, median and range. Layers: 128 rows, 784 to 256, R = 64, rank 16 or ranks 64 and 16; "
        "convolutions: 32 images of 16 channels, 16 x 16 pixels, 64 kernels of 3 x 3, rank 16; activations and losses "
        "of 128 x 256; cross-entropy of 128 x 10; optimisers on 256 x 784; decoders: 4 texts of 64 tokens, width 256."
    )
    return [Table(title, ("operation", "kernel", "reference", "reference / kernel"), rows, (note,))]
