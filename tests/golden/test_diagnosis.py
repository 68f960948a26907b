"""Mistakes made on purpose get their sentence; right answers, and noise of no known kind, get none."""

import functools

import numpy as np
import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden.diagnosis import diagnose
from nsn_ref.golden.suspects import recomputed, round_to_bits

LONG = ("float64", "float32")  # where the noise of a right port is far below every mistake


def case_of(cases, case_id):
    return next(case for case in cases if case.id == case_id)


def sentences(port, cases):
    """Every sentence about every failure of a port, and the number of failures without one."""
    failures = [r for r in checker.check(port, cases).results if r.status == "failed"]
    assert failures, "the mistake was not even caught"
    found = [r.diagnoses() for r in failures]
    return {text for each in found for text in each.values()}, sum(not each for each in found)


def right(case):
    """An answer that is right: the truth, rounded to the port's dtype."""
    return {name: output.expected.astype(output.dtype) for name, output in case.outputs.items()}


def about(case, name, change):
    """The sentence for a right answer with one output changed."""
    outputs = right(case)
    outputs[name] = np.asarray(change(outputs[name]), outputs[name].dtype)
    return diagnose(case, outputs, [name]).get(name)


# --- no false diagnosis -----------------------------------------------------------------------------------------------


def test_a_right_answer_has_no_pattern(cases, numpy_port):
    for case in cases:
        outputs = numpy_port.run(case.op, {name: x.copy() for name, x in case.inputs.items()}, case.attrs)
        assert diagnose(case, outputs, list(outputs), {case.id: outputs}) == {}


def test_nor_has_a_float64_result_rounded_to_the_port_s_dtype(cases):
    for case in cases:
        assert diagnose(case, right(case), list(case.outputs)) == {}


def test_noise_of_no_known_kind_has_none(cases, rng):
    case = case_of(cases, "nested_linear_backward/f64/interior-rank-001")
    for name in ("dx", "dA", "dB", "db"):
        assert about(case, name, lambda x: x + rng.standard_normal(x.shape)) is None
        assert about(case, name, lambda x: x * (1 + 1e-6 * rng.standard_normal(x.shape))) is None


def test_a_result_that_is_next_to_nothing_has_none(cases):
    """Beside a wide bound any small pattern would explain it: a factor, the share of one rank, a small slice."""
    case = case_of(cases, "decoder_loss_and_grads/f32/gemma-block-001")
    name = "grad.blocks.0.mlp.gate.A"
    wrong = 1e-4 * np.roll(case.outputs[name].expected, 1, axis=1)
    assert diagnose(case, {**right(case), name: wrong.astype("float32")}, [name]) == {}


def test_errors_as_large_as_the_result_are_no_roundings(cases, rng):
    case = case_of(cases, "decoder_loss_and_grads/f32/gemma-block-001")
    bound = case.outputs["logits"].bound
    noise = 2e4 * bound * rng.choice([-50, -1, 1, 50], bound.shape, p=[0.1, 0.4, 0.4, 0.1])
    assert about(case, "logits", lambda x: x + noise) is None


# --- patterns of one tensor -------------------------------------------------------------------------------------------


def swap_rows(x):
    x = x.copy()
    x[[0, 2]] = x[[2, 0]]
    return x


def one_row_again(x):
    x = x.copy()
    x[2] = x[0]
    return x


def one_wrong_column(x):
    x = x.copy()
    x[:, 3] += 1
    return x


def not_a_number(x):
    x = x.copy()
    x.flat[:3] = [np.nan, np.inf, np.nan]
    return x


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("dA", lambda x: 0 * x, "all zeros: never written, or computed from zeros"),
        ("dA", not_a_number, "3 of 77 elements are NaN or infinite"),
        ("dA", lambda x: x.T.reshape(x.shape), "transposed"),
        ("dB", lambda x: -x, "the sign is flipped"),
        ("db", lambda x: 2 * x, "twice what is expected: a factor 1/2 is missing, or something is added twice"),
        ("db", lambda x: x / 2, "half of what is expected: a factor 2 is missing"),
        ("dA", lambda x: 5 * x, "5 times what is expected: the division by the number of rows is missing"),
        ("dA", lambda x: x / 5, "1/5 of what is expected: divided by the number of rows"),
        ("dA", lambda x: 3.25 * x, "3.25 times what is expected, everywhere"),
        ("dx", lambda x: x[::-1], "reversed along axis 0"),
        ("dx", lambda x: np.roll(x, 2, axis=0), "shifted by 2 along axis 0"),
        ("dx", lambda x: np.roll(x, 1, axis=1), "shifted by 1 along axis 1"),
        ("dx", swap_rows, "the slices along axis 0 are permuted"),
        ("dx", one_row_again, "stale: along axis 0, slice 2 is a copy of slice 0"),
        ("dx", lambda x: np.broadcast_to(x[0], x.shape), "every slice along axis 0 is number 0"),
        ("dx", one_wrong_column, "wrong only at index 3 of axis 1, which has 7"),
        ("dA", lambda x: x + (x == 0), "49 elements are not zero where exactly zero is expected"),
    ],
)
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_a_pattern_is_named(name, change, sentence, dtype, cases):
    case = case_of(cases, f"nested_linear_backward/{dtype}/interior-rank-001")
    assert case.inputs["x"].shape == (5, 7) and case.inputs["A"].shape == (11, 7) and case.attrs["rank"] == 4
    assert about(case, name, change) == sentence


def test_the_answer_to_another_case_is_named(cases, numpy_port, port_of):
    """A port that answers every call with the first answer of that shape."""
    kept = {}

    def run(op, inputs, attrs):
        outputs = numpy_port.run(op, inputs, attrs)
        return kept.setdefault((op, *(x.shape for x in outputs.values()), outputs["dlosses"].dtype), outputs)

    chosen = [c for c in cases if c.op == "objective_backward" and c.dtype in LONG]
    found, unexplained = sentences(port_of(run), chosen)
    assert {text.rpartition("/")[0] for text in found} == {
        "stale: this is the answer to objective_backward/f64",
        "stale: this is the answer to objective_backward/f32",
    }
    assert unexplained == 0


def test_a_parameter_that_never_moves_is_named(cases, numpy_port, port_of):
    def run(op, inputs, attrs):
        before = inputs["param.layers.0.A"].copy()
        return numpy_port.run(op, inputs, attrs) | {"param.layers.0.A": before}

    chosen = [c for c in cases if c.op == "mlp_step" and c.id.endswith("gelu-001")]
    found, unexplained = sentences(port_of(run), chosen)
    assert found == {"this is the input param.layers.0.A, unchanged"} and unexplained == 0


# --- mistakes that are recomputed -------------------------------------------------------------------------------------


def off_by_one(step):
    def change(port):
        layer = port.layer
        port.layer = lambda x, A, B, b, r: layer(x, A, B, b, min(max(r + step, 1), len(A)))

    return change


def clipped_rank(port):
    layer = port.layer
    port.layer = lambda x, A, B, b, r: layer(x, A, B, b, min(r, A.shape[1], B.shape[0]))


def ignored_rank(port):
    layer = port.layer
    port.layer = lambda x, A, B, b, r: layer(x, A, B, b, len(A))


def last_components(port):
    layer = port.layer
    port.layer = lambda x, A, B, b, r: layer(x, A[::-1], B[:, ::-1], b, r)


def no_bias(port):
    layer = port.layer
    port.layer = lambda x, A, B, b, r: layer(x, A, B, 0 * b, r)


def overwritten(port):
    def one_rank(t, attrs):
        return port.nested_linear_backward({**t, "dy": t["dys"][-1]}, {"rank": attrs["ranks"][-1]})

    port.OPERATIONS["multirank_linear_backward"] = one_rank


def with_s(how):
    def change(port):
        for op in ("objective_forward", "objective_backward"):
            run = port.OPERATIONS[op]
            port.OPERATIONS[op] = lambda t, attrs, run=run: run({**t, "s": how(t["s"], attrs["ranks"])}, attrs)

    return change


def by_position(s, ranks):
    s = s.copy()
    s[np.array(ranks) - 1] = s[: len(ranks)].copy()
    return s


def counted_once(port):
    def once(t, attrs):
        keep = sorted({attrs["ranks"].index(r) for r in attrs["ranks"]})
        return backward({**t, "dys": t["dys"][keep]}, {"ranks": [attrs["ranks"][k] for k in keep]})

    backward = port.OPERATIONS["multirank_linear_backward"]
    port.OPERATIONS["multirank_linear_backward"] = once


def adamw_with(**changed):
    def change(port):
        adamw = port.adamw

        def wrong(p, g, m, v, decay, attrs):
            other = attrs | {name: how(attrs) for name, how in changed.items() if name != "decay"}
            return adamw(p, g, m, v, changed["decay"](decay, attrs) if "decay" in changed else decay, other)

        port.adamw = wrong

    return change


@pytest.mark.parametrize(
    ("op", "cases_like", "change", "expected"),
    [
        ("nested_linear_forward", "interior-rank-001", off_by_one(-1), "the rank is one too small"),
        ("nested_linear_backward", "interior-rank-001", off_by_one(1), "the rank is one too large"),
        ("multirank_linear_*", "-001", off_by_one(-1), "every rank is one too small"),
        ("nested_linear_forward", "rank-above-width-001", clipped_rank, "the rank is clipped"),
        ("nested_linear_forward", "interior-rank-001", ignored_rank, "the rank is ignored"),
        ("nested_linear_forward", "interior-rank-001", last_components, "the last r components are used"),
        ("nested_linear_forward", "interior-rank-001", no_bias, "the bias b is missing"),
        ("mlp_step", "relu-001", no_bias, "the bias param.layers.0.b is missing"),
        ("multirank_linear_backward", "descending-001", overwritten, "overwritten instead of accumulated"),
        ("multirank_linear_backward", "duplicates-001", counted_once, "a rank that is listed twice counts once"),
        ("objective_*", "by-rank-001", with_s(by_position), "s is looked up by position"),
        ("objective_*", "by-rank-001", with_s(lambda s, ranks: np.roll(s, -1)), "at r instead of r - 1"),
        ("objective_*", "far-001", with_s(lambda s, ranks: np.clip(s, -5, 5)), "s is clipped"),
        ("mlp_step", "relu-001", adamw_with(t=lambda attrs: attrs["t"] + 1), "uses t = 8 instead of 7"),
        ("mlp_step", "relu-001", adamw_with(decay=lambda d, attrs: 0.0), "there is no weight decay"),
        ("mlp_step", "relu-001", adamw_with(decay=lambda d, attrs: attrs["weight_decay"]), "s is decayed"),
        (
            "mlp_step",
            "gelu-001",
            lambda port: port.ACTIVATIONS.update(gelu=port.gelu_tanh),
            "with activation 'gelu_tanh' instead of 'gelu'",
        ),
    ],
)
def test_a_mistake_is_named(op, cases_like, change, expected, cases, numpy_port, port_of):
    change(numpy_port)
    chosen = [c for c in checker.select(cases, op=op) if c.id.endswith(cases_like) and c.dtype in LONG]
    found, unexplained = sentences(port_of(numpy_port.run), chosen)
    assert found and all(expected in text for text in found) and unexplained == 0


def test_mistakes_are_made_for_every_operation(cases):
    """Each has some, and what they return are the operation's outputs, in its shapes."""
    for op in {case.op for case in cases}:
        case = next(c for c in cases if c.op == op and c.lane == "certified")
        made = [outputs for _, outputs in recomputed(case)]
        assert len(made) >= 3
        assert all(outputs.keys() <= case.outputs.keys() for outputs in made)


# --- roundings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "dtype", "expected"),
    [
        (11, "float32", "11 bits, as in TF32 or float16"),
        (8, "float32", "8 bits, as in bfloat16"),
        (24, "float64", "to float32"),
    ],
)
def test_short_operands_are_named(bits, dtype, expected, cases, numpy_port, port_of):
    numpy_port.matmul = lambda a, b: (
        round_to_bits(a.astype(np.float64), bits).astype(a.dtype)
        @ round_to_bits(b.astype(np.float64), bits).astype(a.dtype)
    )
    chosen = [c for c in checker.select(cases, op="nested_linear*", dtype=dtype) if c.lane == "certified"]
    found, unexplained = sentences(port_of(numpy_port.run), chosen)
    assert found == {f"the operands of products are rounded {'to ' * (bits != 24)}{expected}"} and unexplained == 0


def test_bfloat16_sums_are_named(cases, numpy_port, port_of):
    def short(x):
        return round_to_bits(x, 8).astype(x.dtype)

    def matmul(a, b):
        return functools.reduce(lambda x, y: short(x + y), [short(a[:, k, None] * b[k]) for k in range(a.shape[1])])

    numpy_port.matmul = matmul
    chosen = [c for c in checker.select(cases, op="nested_linear_backward", dtype="float32") if c.lane == "certified"]
    found, _ = sentences(port_of(numpy_port.run), chosen)
    assert any("at most 8 significant bits: it went through bfloat16" in text for text in found)


def test_float32_results_are_named_in_float64(cases):
    case = case_of(cases, "nested_linear_backward/f64/interior-rank-001")
    sentence = about(case, "dA", lambda x: x.astype(np.float32))
    assert sentence == "every element has at most 24 significant bits: it went through float32"


def test_noise_of_the_size_of_a_shorter_format_is_named(cases, rng):
    case = case_of(cases, "nested_linear_backward/f64/interior-rank-001")
    sentence = about(case, "dx", lambda x: x + 1e8 * case.outputs["dx"].bound * rng.uniform(-1, 1, x.shape))
    assert "the errors have the size of roundings to about 2" in sentence
