"""The fuzz finds no correct arithmetic outside its bound, but does find broken bounds and broken contracts."""

import ast
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from nsn_ref.certify import rounding
from nsn_ref.certify.formats import FORMATS
from nsn_ref.errors import NSNError
from nsn_ref.golden import contracts, local, schema, truth
from nsn_ref.golden.fuzz import formulas, machine
from nsn_ref.golden.fuzz.__main__ import main
from nsn_ref.golden.fuzz.inputs import draw
from nsn_ref.golden.fuzz.machine import Machine
from nsn_ref.golden.fuzz.run import Outcome, fuzz, fuzz_stages, markdown, summary, upper_bound

NETS = ("mlp_forward", "mlp_loss_and_grads", "mlp_step", "convnet_step", "decoder_loss_and_grads")
SINGLE = [op for op in formulas.OPERATIONS if op not in NETS]
NUMPY = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def test_every_operation_is_fuzzed():
    assert schema.OPERATIONS.keys() == formulas.OPERATIONS.keys()


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_no_correct_arithmetic_is_rejected(dtype, rng):
    nets = [
        op for op in ("mlp_step", "convnet_step", "decoder_loss_and_grads") if dtype in formulas.FORMATS.get(op, dtype)
    ]
    outcomes = [fuzz(op, dtype, 200, rng) for op in (*SINGLE, *nets)]
    assert [o for o in outcomes if o.rejected] == []
    assert sum(o.trials for o in outcomes) == 200 * len(outcomes)
    assert 0.5 < max(o.rho for o in outcomes) <= 1  # the bounds are not loose everywhere


@pytest.mark.slow
@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
@pytest.mark.parametrize("op", formulas.OPERATIONS)
def test_no_correct_arithmetic_is_rejected_in_many_trials(op, dtype, rng):
    if dtype not in formulas.FORMATS.get(op, dtype):
        pytest.skip(f"{op} has no bounds in {dtype}")
    assert fuzz(op, dtype, 1000, rng).rejected == 0


@pytest.mark.parametrize("op", ["mlp_step", "convnet_step"])
def test_no_stage_of_correct_arithmetic_is_rejected(op, rng):
    outcome = fuzz_stages(op, "bfloat16", 20, rng)
    assert (outcome.op, outcome.trials, outcome.rejected) == (f"{op} by stages", 20, 0)
    assert 0.2 < outcome.rho <= 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
@pytest.mark.parametrize("op", ["mlp_step", "convnet_step"])
def test_no_stage_of_correct_arithmetic_is_rejected_in_many_trials(op, dtype, rng):
    assert fuzz_stages(op, dtype, 100, rng).rejected == 0


def test_the_rounding_that_stages_allow_is_needed(rng, monkeypatch):
    """Machines go on with more than they return: without the allowance some are rejected."""
    monkeypatch.setattr(local, "_gone_on_with", lambda own, bound: rounding.rounded(own))
    assert fuzz_stages("mlp_step", "bfloat16", 60, rng).rejected > 0


def test_digits_lost_below_the_normal_numbers_are_charged_where_nothing_is_flushed():
    """A sixteenth of a number of float16 near 2e-4 has fewer digits; found by the fuzz of stages."""
    with rounding.precision(contracts.default("float16")):
        stored = rounding.Rounded(2e-4, 1e-9, bits=FORMATS["float16"].bits)
        scaled = (stored / 16).in_format(FORMATS["float16"])
        assert scaled.error >= FORMATS["float16"].half_quantum > 2e-8


def rejected(op, dtype, rng, trials=600, **others):
    return fuzz(op, dtype, trials, rng, **others).rejected


@pytest.mark.parametrize(
    "op, dtype",
    [
        ("dense_forward", "float32"),
        ("nested_linear_backward", "tf32"),
        ("conv2d_backward", "bfloat16"),
        ("layer_norm_forward", "float32"),
        ("gelu_backward", "float32"),
        ("softmax_cross_entropy_forward", "bfloat16_master"),
        ("objective_backward", "float64"),
        ("adamw_step", "float16"),
    ],
)
def test_a_bound_that_is_too_small_is_noticed(op, dtype, rng):
    def broken(*args):
        return {name: bound / 8 for name, bound in truth.bounds(*args).items()}

    assert rejected(op, dtype, rng, bounds_of=broken) > 0


@pytest.mark.parametrize(
    "op, dtype, charge",
    [
        ("dense_forward", "tf32", "operand"),
        ("dense_forward", "bfloat16", "storage"),
        ("dense_backward", "bfloat16_master", "storage"),
        ("rms_norm_forward", "float16", "elementwise"),
        ("dense_backward", "bfloat16", "batch_sum"),
        ("adamw_step", "bfloat16_master", "optimizer"),
    ],
)
def test_a_charge_that_is_left_out_is_noticed(op, dtype, charge, rng):
    """Bounds for arithmetic of one kind in float64, against machines that do it in the format of the contract."""
    contract = contracts.default(dtype)
    if charge == "batch_sum":
        contract = replace(contract, batch_sum="bfloat16")
    too_good = replace(contract, **{charge: "float64"})

    def broken(op, lane, _, inputs, attrs, expected):
        return truth.bounds(op, lane, too_good, inputs, attrs, expected)

    assert rejected(op, dtype, rng, contract=contract) == 0
    assert rejected(op, dtype, rng, contract=contract, bounds_of=broken) > 0


def test_an_accumulator_that_is_left_out_is_noticed(rng, monkeypatch):
    monkeypatch.setattr(rounding, "_accumulated", lambda v, e, magnitude, terms: e)
    assert rejected("dense_forward", "tf32", rng) == 0  # there the operands hide it
    contract = replace(contracts.default("float32"), truncating=True)
    assert rejected("dense_forward", "float32", rng, contract=contract) > 0


@pytest.mark.parametrize(
    "op, dtype, looser",
    [
        ("dense_backward", "bfloat16", {"batch_sum": "bfloat16"}),
        ("dense_forward", "bfloat16", {"accumulator": "bfloat16"}),
        ("dense_forward", "float32", {"operand": "tf32"}),
        ("dense_forward", "float64", {"accumulator": "float32"}),
        ("gelu_forward", "bfloat16_master", {"elementwise": "bfloat16"}),
    ],
)
def test_a_machine_that_breaks_the_default_contract_is_rejected(op, dtype, looser, rng):
    contract = contracts.for_port(dtype, looser)
    assert contract.looser_than(contracts.default(dtype))

    def of_the_default(op, lane, _, *args):
        return truth.bounds(op, lane, dtype, *args)

    assert rejected(op, dtype, rng, contract=contract, bounds_of=of_the_default) > 0
    assert rejected(op, dtype, rng, contract=contract) == 0  # its own bounds allow it


def test_the_machines_know_nothing_of_the_bounds():
    allowed = {"contextlib", "math", "numpy", "scipy", "nsn_ref.certify.formats"}
    for module in (machine, formulas):
        tree = ast.parse(Path(module.__file__).read_text())
        imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= allowed


@pytest.mark.parametrize("name", NUMPY)
def test_machines_round_as_the_types_do(name, rng):
    x = rng.standard_normal(2000) * 2.0 ** rng.integers(-20, 12, 2000)
    to_nearest = machine._to(x, FORMATS[name], np.rint)
    assert (to_nearest == x.astype(NUMPY[name]).astype(float)).all()
    cut = machine._to(x, FORMATS[name], np.trunc)
    assert (np.abs(cut) <= np.abs(x)).all() and (np.abs(cut) <= np.abs(to_nearest)).all()
    assert (cut != to_nearest).any() and (cut.astype(NUMPY[name]).astype(float) == cut).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_trials_differ(dtype, rng):
    inputs, attrs = draw("layer_norm_forward", dtype, rng)
    outputs = [
        formulas.run(Machine(contracts.default(dtype), 10, rng), "layer_norm_forward", inputs, attrs)["y"]
        for _ in range(10)
    ]
    y = np.concatenate(outputs)
    assert (y != y[0]).any()
    assert (y.astype(inputs["x"].dtype).astype(float) == y).all()


def test_the_upper_bound_is_the_rule_of_three():
    assert upper_bound(0, 10_000) == pytest.approx(3.0e-4, rel=0.01)
    assert upper_bound(5, 10) == pytest.approx(0.7776, abs=1e-4)  # 10 trials, 5 hits: from tables
    assert upper_bound(3, 3) == 1


def test_the_report_says_what_was_tried():
    outcomes = [Outcome("a", "float32", 100, 0, 0.5, 0), Outcome("a", "float64", 200, 2, 1.7, 3)]
    assert summary(outcomes).startswith("2 of 300 correct evaluations rejected; largest error / bound 1.700.")
    text = markdown(outcomes, 7)
    assert "| `a` | 0.50 | 1.70, 2 of 200 rejected |" in text and "--trials 100 --seed 7" in text


def test_the_command_prints_the_figure_and_refuses_nonsense(tmp_path, capsys):
    path = tmp_path / "fuzz.md"
    assert main(["--trials", "200", "--op", "relu*", "--dtype", "float32", "--markdown", str(path)]) == 0
    assert "0 of 400 correct evaluations rejected" in capsys.readouterr().out
    assert "| `relu_forward` | 0.00 |" in path.read_text()
    assert main(["--op", "nothing"]) == 2
    assert "nothing to do" in capsys.readouterr().err


def test_an_unknown_operation_is_not_drawn(rng):
    with pytest.raises((NSNError, KeyError)):
        fuzz("no_such_op", "float32", 1, rng)
