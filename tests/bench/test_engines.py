"""The engines: names, and that all of them take the same steps."""

import numpy as np
import pytest

from nsn_ref.bench import engines, equality, memory, names, recipe, subnormals, sweeps
from nsn_ref.bench.cells import NETS, Cell, pair
from nsn_ref.bench.contest import contest, hire
from nsn_ref.bench.engines import all_ranks_ours, all_ranks_reference, ours
from nsn_ref.bench.plan import Plan
from nsn_ref.bench.tasks import one_operation, products, subnormal
from nsn_ref.errors import OptionError
from nsn_ref.kernels import PAIRS
from nsn_ref.kernels.step import ConvStep, MLPStep
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.steppers import obstacle

CELL = Cell((7, 5, 11, 3), 13, (13, 2), 17, threads=2)


def test_plan_leaves_out_what_is_absent_and_what_takes_no_step(monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda name: name != "jax")
    plan = Plan(("torch", "jax", "sklearn", "torch", "ours"))
    assert plan.absent == ("jax",)
    assert plan.contestants(engines.STEPPING) == ("ours", "torch")
    assert plan.contestants(engines.DIGITS) == ("ours", "torch", "sklearn")


def test_numpy_is_the_reference():
    assert Plan(("numpy", "torch")).against == ("reference", "torch")


def test_what_is_installed_has_a_version(monkeypatch):
    assert engines.installed("reference") and not engines.ENGINES["reference"].distribution
    monkeypatch.setitem(engines.ENGINES, "jax", engines.Engine("no-such-distribution", "jax_jit"))
    assert not engines.installed("jax") and engines.version("jax") is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"against": ("torch", "tensorflow")}, "bench: --against is 'tensorflow', expected one of 'ours'"),
        ({"dtype": "float16"}, "bench: --dtype is 'float16'"),
        ({"threads": 0}, "bench: --threads is 0"),
        ({"repeats": 0}, "bench: --repeats is 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        Plan(**options)


def test_names():
    assert names.chosen("batch") == ("batch",) and names.chosen("all") == names.NAMES
    assert names.chosen("digits, step") == ("step", "digits")
    assert all(callable(names.runner(name)) for name in names.NAMES)
    with pytest.raises(OptionError, match="bench: NAME is 'speed', expected one of 'step'"):
        names.chosen("step,speed")


@pytest.mark.parametrize("name", [pair.kernel.__name__ for pair in PAIRS])
def test_every_pair_is_prepared_and_agrees(name):
    found = []
    for engine, dtype in (("numba", "float32"), ("reference", "float64")):
        steps = one_operation.make({"name": name, "engine": engine, "dtype": dtype})
        found.append(np.array(steps.read(steps.step(0))))
    assert found[0].shape == found[1].shape and np.abs(found[1]).max() > 0
    assert (np.abs(found[0] - found[1]) <= 1e-4 * np.maximum(1, np.abs(found[1]))).all()


def test_products_are_those_of_a_step():
    """Without biases and activations, with the logits as their own gradient, in plain NumPy."""
    steps = products.make(CELL.to_json() | {"dtype": "float64"})
    steps.several(2)
    g = steps.model.space.g
    g[0] = g.sum(axis=0)  # where each member has gradients of its own, a step adds them up later
    params, batches = Cell.from_json(CELL.to_json() | {"dtype": "float64"}).data()
    x, W = batches[0][0], params["layers.2.W"]
    grads = {name: np.zeros_like(p) for name, p in params.items()}
    for r in CELL.ranks:
        (A0, B0), (A1, B1) = ((params[f"layers.{i}.A"][:r], params[f"layers.{i}.B"][:, :r]) for i in range(2))
        y0 = x @ A0.T @ B0.T
        y1 = y0 @ A1.T @ B1.T
        dz = y1 @ W.T
        grads["layers.2.W"] += dz.T @ y1
        d1 = dz @ W
        grads["layers.1.B"][:, :r] += d1.T @ (y0 @ A1.T)
        grads["layers.1.A"][:r] += (d1 @ B1).T @ y0
        d0 = d1 @ B1 @ A1
        grads["layers.0.B"][:, :r] += d0.T @ (x @ A0.T)
        grads["layers.0.A"][:r] += (d0 @ B0).T @ x
    for name in (name for name in grads if name.endswith((".A", ".B", ".W"))):
        np.testing.assert_allclose(steps.grads[name], grads[name], rtol=1e-11, atol=1e-11)


def test_recipe_is_that_of_the_command(monkeypatch, tmp_path):
    pytest.importorskip("sklearn")
    from typer.testing import CliRunner

    from nsn_ref.cli.train import app

    seen = {}

    def train(net, data, config, **options):
        seen.update(net=net, data=data, config=config, options=options)
        raise KeyboardInterrupt

    monkeypatch.setattr("nsn_ref.training.loop.train", train)
    CliRunner().invoke(app, ["digits", "--out", str(tmp_path)])
    assert seen["net"] == recipe.network()
    assert seen["config"].to_json() == recipe.config(120).to_json()
    assert np.array_equal(seen["data"][0], recipe.scans().x_train)


def test_ours_is_what_training_takes():
    for cell, kind in ((CELL, MLPStep), (pair((1, 3, 5, 3), 2, 7, 4), ConvStep)):
        steps = ours.make(cell.to_json())
        assert isinstance(steps.engine, kind) and obstacle(cell.net(), TrainConfig(steps=1), np.zeros(1, int)) is None
        steps.close()


def test_all_ranks_find_the_losses_of_the_reference():
    found = [engine.make(CELL.to_json()) for engine in (all_ranks_ours, all_ranks_reference)]
    losses = [steps.read(steps.step(3)) for steps in found]
    assert len(losses[0]) == CELL.R and equality.check("ours", losses[:1], losses[1:], 1e-5) > 0


def test_a_sweep_leaves_out_what_is_slow_to_compile(monkeypatch):
    few = sweeps.SWEEPS["batch"]._replace(points=lambda quick: [(n, (5, 7, 3), 4, (4, 1), n) for n in (2, 3)])
    monkeypatch.setitem(sweeps.SWEEPS, "batch", few)
    plan = Plan(("operations", "reference", "torch-compile"), threads=1, quick=True, repeats=1, say=lambda text: None)
    record = names.runner("batch")(plan)
    assert [point["x"] for point in record["points"]] == [2, 3]
    assert all(set(point["engines"]) == {"ours", "operations"} for point in record["points"])
    assert len(names.tables("batch", record)[0].rows) == 2


def test_a_fitted_batch_has_subnormal_gradients():
    shares = {}
    for gap in subnormals.GAPS["float32"]:
        steps = subnormal.make({"cell": pair(*NETS[0], threads=1).to_json(), "gap": gap})
        shares[gap] = steps.read(steps.step(0))[0]
        steps.close()
    assert shares[0] == 0 and shares[80] < shares[88] and shares[88] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv", "allranks"])
def test_what_is_shown_beside_the_targets_agrees(name):
    plan = Plan(("reference", "torch", "jax"), threads=2, repeats=1, quick=True, say=lambda text: None)
    record = names.runner(name)(plan)
    assert all(set(cell["engines"]) == {"ours", *plan.against} for cell in record["cells"])
    (times, *_) = names.tables(name, record)
    assert len(times.rows) == len(record["cells"]) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_engines_agree_where_their_frameworks_are_installed(dtype):
    """A small paired benchmark; it fails on errors and unequal results only, never on a time."""
    mkl = ("ours-mkl",) if engines.installed("ours-mkl") else ()
    plan = Plan((*mkl, "operations", "reference", "torch", "torch-compile", "jax"), dtype, threads=2, quick=True)
    assert not plan.absent
    with hire(plan.contestants(engines.STEPPING), plan) as crew:
        record = contest(Cell((64, 128, 128, 10), 32, (32, 8), 64, dtype=dtype), crew, plan)
    assert list(record["engines"]) == ["ours", *plan.against]
    assert all(len(result["ms"]) == 2 for result in record["engines"].values())


@pytest.mark.slow
def test_training_the_largest_network_takes_the_memory_that_is_asked(monkeypatch):
    """No time, so it may fail: a copy of the parameters that is kept too long would show."""
    monkeypatch.setattr(memory, "NETS", NETS[-1:])
    (table,) = memory.tables(memory.run(Plan(threads=2, say=lambda text: None)))
    assert [row[-1] for row in table.rows] == ["yes"], table.rows


@pytest.mark.slow
def test_digits_agree_step_by_step():
    from nsn_ref.bench import digits

    plan = Plan(("torch", "reference", "sklearn"), threads=2, repeats=1, quick=True)
    record = digits.run(plan)
    assert set(record["engines"]) == {"ours", "torch", "reference", "sklearn"}
    assert all(result["accuracy"] > 0.8 for result in record["engines"].values())
