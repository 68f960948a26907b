"""The stored truth against scalar loops; the bounds of the exact lane; every formula of the envelope."""

from fractions import Fraction

import flint
import golden_formulas as formulas
import numpy as np
import pytest

from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import envelope, truth
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.cases.case import dtype_of
from nsn_ref.golden.evaluate import evaluate
from nsn_ref.ops import nested_linear_forward

IDS = [case.id for case in CASES]


@pytest.fixture(scope="session")
def by_id(cases):
    return {case.id: case for case in cases}


@pytest.mark.parametrize("case_id", IDS)
def test_truth_is_the_formula_correctly_rounded(by_id, case_id):
    case = by_id[case_id]
    loops = formulas.evaluate(case.op, case.inputs, case.attrs)
    assert loops.keys() == case.outputs.keys()
    for name, output in case.outputs.items():
        assert loops[name].shape == output.expected.shape
        assert (loops[name] == output.expected).all(), name


def test_the_formulas_notice_a_wrong_truth(by_id):
    case = by_id["nested_linear_forward/f64/interior-rank-001"]
    loops = formulas.evaluate(case.op, case.inputs, {"rank": case.attrs["rank"] + 1})
    assert (loops["y"] != case.outputs["y"].expected).all()


def test_exact_cases_are_exact(cases):
    exact = [case for case in cases if case.lane == "exact"]
    assert {case.op for case in exact} >= {
        f"{s}_linear_{w}" for s in ("nested", "multirank") for w in ("forward", "backward")
    }
    for case in exact:
        for output in case.outputs.values():
            assert (output.bound == 0).all()
            assert (output.expected == output.expected.astype(dtype_of(output.dtype))).all()
            assert output.expected.any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_case_that_may_round_is_not_exact(dtype):
    inputs = {
        "x": np.array([[1.0, 2.0 ** (53 if dtype == "float64" else 24), 1.0]], dtype=dtype),
        "A": np.ones((1, 3), dtype=dtype),
        "B": np.ones((2, 1), dtype=dtype),
        "b": np.zeros(2, dtype=dtype),
    }
    attrs = {"rank": 1}
    expected = truth.expected("nested_linear_forward", inputs, attrs)
    with pytest.raises(NeedMorePrecision, match="needs more than"):
        truth.bounds("nested_linear_forward", "exact", dtype, inputs, attrs, expected)


def test_a_relu_that_rounding_may_switch_has_no_bounds():
    """Its derivative is 0 or 1 by the last bit of its input, so such a case must not be built."""
    case = next(c for c in CASES if c.id == "mlp_step/f64/relu-001")
    inputs, attrs = case.new_inputs(), case.design.attrs
    x, A, B, b = (inputs[name] for name in ("x", "param.layers.0.A", "param.layers.0.B", "param.layers.0.b"))
    z, _ = nested_linear_forward(x, A, B, b, attrs["ranks"][0])
    b[0] -= z[0, 0]  # what is left is the rounding error of z
    expected = truth.expected("mlp_step", inputs, attrs)
    with pytest.raises(NeedMorePrecision, match="undecided"):
        truth.bounds("mlp_step", "certified", "float64", inputs, attrs, expected)


def test_every_formula_of_the_envelope_is_the_same_function(cases, monkeypatch):
    """Over Fractions the formulas are equal, over balls they overlap, to a hundred digits."""
    calls = []

    def compare(first, *others):
        for form in others:
            for a, b in zip(
                np.ravel(np.asarray(first, dtype=object)), np.ravel(np.asarray(form, dtype=object)), strict=True
            ):
                same = a == b if isinstance(a, Fraction) else a.overlaps(b) and (a - b).rad() < 1e-70
                assert same, (a, b)
        calls.append(len(others))
        return first

    monkeypatch.setattr(envelope, "widest", compare)
    monkeypatch.setattr(flint.ctx, "prec", 400)
    for case in cases:
        if case.dtype == "float32" and not case.id.endswith("digits-001"):
            convert = Fraction if "linear" in case.op else flint.arb
            inputs = {name: objects(x, convert) if x.dtype.kind == "f" else x for name, x in case.inputs.items()}
            evaluate(truth.ENVELOPE, case.op, inputs, case.attrs)
    assert sum(calls) > 500


def objects(x, convert):
    out = np.empty(x.shape, dtype=object)
    for index, value in np.ndenumerate(x):
        out[index] = convert(float(value))
    return out


def test_bounds_are_rounded_up_and_coarse(rng):
    e = 10.0 ** rng.uniform(-300, 300, 1000)
    up = truth._round_up(e)
    assert (up > e).all() and (up <= e * (1 + 2.0**-14)).all()
    mantissa, _ = np.frexp(up)
    assert (mantissa * 2.0**truth.BOUND_BITS % 1 == 0).all()
    assert truth._round_up(np.zeros(3)).tolist() == [0, 0, 0]
