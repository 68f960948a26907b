"""The cases obey the rules that make them catch mistakes."""

from math import prod

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.golden import contracts
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.tensors import is_float


def test_ids_are_unique_and_well_formed():
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids)) >= 40
    assert "nested_linear_forward/f64/interior-rank-001" in ids


def test_the_suite_holds_exactly_the_cases(cases):
    assert [case.id for case in cases] == [case.id for case in CASES]


def test_every_case_says_which_mistake_it_catches():
    for case in CASES:
        assert case.design.flag and case.design.why.endswith(".") and len(case.design.why) > 20


def test_inputs_are_in_the_format_with_full_mantissas(cases):
    """Inputs that are short by accident would hide rounding of operands."""
    full = {}
    for case in cases:
        floats = [x for x in case.inputs.values() if is_float(x)]
        storage = contracts.default(case.dtype)
        assert {x.dtype.name for x in floats} <= {storage.storage, storage.master}
        if case.dtype not in ("float64", "float32") or ("mlp_step" not in case.op and "linear" not in case.op):
            continue
        if case.lane == "certified" and not case.id.endswith("digits-001"):
            bits = 53 if case.dtype == "float64" else 24
            mantissas = [np.ldexp(np.frexp(x[x != 0].astype(np.float64))[0], bits - 4) for x in floats]
            full.setdefault((case.op, case.dtype), []).extend(np.ravel(m) % 1 != 0 for m in mantissas)
    assert len(full) == 10
    for group, last_bits in full.items():  # one mantissa in 16 ends in four zeros by chance
        assert np.concatenate(last_bits).mean() > 0.85, group


def test_no_subnormal_numbers(cases):
    for case in cases:
        for x in [x for x in case.inputs.values() if is_float(x)]:
            small = np.abs(x[x != 0].astype(np.float64))
            assert np.isfinite(small).all()
            flushed = contracts.default(case.dtype).flush_to_zero  # float16 has no such contract
            assert not flushed or (small >= formats.named(x.dtype.name).smallest_normal).all()


def test_sizes_of_linear_cases_are_distinct_primes_or_all_equal(cases):
    primes = {2, 3, 5, 7, 11, 13, 17, 61}
    for case in cases:
        if "linear" in case.op and "gemm" not in case.id:
            leading, (R, d_in), d_out = case.inputs["x"].shape[:-1], case.inputs["A"].shape, len(case.inputs["b"])
            distinct = 1 if "/square-" in case.id else 4
            assert len({prod(leading), d_in, d_out, R}) == distinct and {d_in, d_out, R} <= primes


def test_ranks_are_of_every_kind(cases):
    kinds = set()
    for case in cases:
        if "linear" in case.op:
            R, d_in = case.inputs["A"].shape
            ranks, width = case.attrs.get("ranks") or [case.attrs["rank"]], min(d_in, len(case.inputs["b"]))
            kinds |= {"one"} if 1 in ranks else set()
            kinds |= {"full"} if R in ranks else set()
            kinds |= {"interior"} if any(1 < r < R for r in ranks) else set()
            kinds |= {"above width"} if any(r > width for r in ranks) else set()
            kinds |= {"anchor below R"} if max(ranks) < R else set()
            kinds |= {"descending"} if len(ranks) > 1 and ranks == sorted(ranks, reverse=True) else set()
            kinds |= {"duplicate"} if len(set(ranks)) < len(ranks) else set()
            kinds |= {"sequence"} if case.inputs["x"].ndim == 3 else set()
    assert kinds == {"one", "full", "interior", "above width", "anchor below R", "descending", "duplicate", "sequence"}


def test_log_variances_are_distinct_and_not_zero(cases):
    largest = []
    for case in cases:
        for name in ("s", "param.s"):
            if name in case.inputs and not case.id.endswith("digits-001"):
                s = case.inputs[name]
                exact = case.lane == "exact" or case.dtype in ("bfloat16", "float16")  # few bits: two may be equal
                assert exact or (len(set(s.tolist())) == len(s) and (s != 0).all())
                largest.append(np.abs(s).max())
    assert max(largest) > 5


def test_steps_are_as_designed(cases):
    steps = [c for c in cases if c.op == "mlp_step" and c.lane != "sequence" and c.dtype in ("float64", "float32")]
    assert {(c.attrs["activation"], c.attrs["head"]) for c in steps} >= {
        ("relu", "nested"),
        ("relu", "dense"),
        ("gelu", "nested"),
        ("gelu_tanh", "nested"),
    }
    for case in steps:
        name = case.id.rpartition("/")[2]
        if name not in ("first-step-001", "confident-001", "digits-001"):
            moments = [x for key, x in case.inputs.items() if key.startswith(("m.", "v."))]
            assert all((m != 0).all() for m in moments) and case.attrs["eps"] == 1e-3
            old, new = case.inputs["param.layers.0.A"], case.outputs["param.layers.0.A"].expected
            assert np.median(np.abs(new - old) / np.abs(old)) > 0.2, "the step is as large as the parameter"
    for case in (c for c in steps if "confident" in c.id):
        logits, targets = case.outputs["logits"].expected, case.inputs["targets"]
        assert logits.max() > 100 and (logits.argmax(-1) != targets).mean() > 0.5


def test_gelu_inputs_reach_the_cancelling_range(cases):
    for case in cases:
        if case.op == "mlp_step" and case.attrs["activation"].startswith("gelu") and "/gelu-" in case.id:
            if case.dtype not in ("float64", "float32"):
                continue
            x, A, B, b = (case.inputs[n] for n in ("x", "param.layers.0.A", "param.layers.0.B", "param.layers.0.b"))
            r = case.attrs["ranks"][0]
            z = x @ (B[:, :r] @ A[:r]).T + b
            assert ((z > -6) & (z < -0.25)).mean() > 0.7 and z.min() < -5


def test_digits_case_is_real(cases):
    """Scans have pixels that are always blank, values that are multiples of 1/16, and the weights know them."""
    case = next(c for c in cases if c.id == "mlp_step/f32/digits-001")
    x = case.inputs["x"]
    assert x.shape == (7, 64) and (x * 16 % 1 == 0).all() and (x[:, 0] == 0).all()
    logits = case.outputs["logits"].expected[0]
    assert (logits.argmax(-1) == case.inputs["targets"]).mean() > 0.8
