"""Suites for one's own shapes: every operation, both lanes, every format; and what is refused."""

import json
import re
from functools import partial

import numpy as np
import pytest

from nsn_ref.errors import (
    DTypeError,
    FileError,
    LabelError,
    NeedMorePrecision,
    NonFiniteError,
    NSNError,
    OptionError,
    RankError,
    ShapeError,
)
from nsn_ref.golden import contracts, custom, schema, suite, tensors, truth
from nsn_ref.golden.check import check
from nsn_ref.golden.custom import bounds as matrix_bounds
from nsn_ref.golden.custom import draw, linear
from nsn_ref.golden.custom import truth as matrix_truth
from nsn_ref.golden.custom.certificate import exact_outputs
from nsn_ref.golden.custom.requests import DEFAULTS, requests
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference
from nsn_ref.golden.locate import golden_dir

STEMS = sorted({re.sub("_(forward|backward)$", "", op) for op in schema.OPERATIONS})
LINEAR = sorted(linear.OPERATIONS)
DTYPES = sorted(contracts.DEFAULTS)
SIZES = {
    "n": 3, "d_in": 7, "d_out": 5, "R": 11, "c_in": 2, "c_out": 3, "H": 4, "W": 6, "k_h": 3, "k_w": 2, "c": 3, "V": 13,
    "d": 5, "C": 4, "width_0": 5, "H_0": 4, "W_0": 4, "k": 3, "c_0": 3, "K": 3,
    "T": 3, "S": 5, "G": 2, "D": 5, "P": 2, "hidden": 6, "width": 7, "q_out": 4, "k_out": 2,
}  # fmt: skip


def tiny(stem):
    """The arguments of a tiny suite of a stem."""
    operation = schema.operation(custom.plans.operations(stem)[-1])
    declared = {a.name: a for a in operation.attrs}
    ranks = [6, 2, 9] if declared.keys() & {"rank", "ranks"} else None
    attrs = {name: DEFAULTS.get(name, a.default) for name, a in declared.items()}
    inputs = operation.tensors("inputs", attrs).values()
    letters = {letter for t in inputs for letter in t.axes.split()} | (declared.keys() & {"R"})
    letters |= {"n"} if "..." in letters else set()
    return {
        "shape": {name: size for name, size in SIZES.items() if name in letters and not (ranks and name == "K")},
        "ranks": ranks,
        "attrs": {"anchor": 10} if "anchor" in declared else {},
    }


def reference_port(port_of):
    """The reference in float64, rounded to what is asked for."""

    def run(op, inputs, attrs):
        wide = {name: x.astype(np.float64) if tensors.is_float(x) else x for name, x in inputs.items()}
        return as_arrays(evaluate(reference(), op, wide, attrs))

    return port_of(run)


def in_float64(cases):
    """The same cases for a port that answers in float64."""
    return [
        case._replace(outputs={name: want._replace(dtype="float64") for name, want in case.outputs.items()})
        for case in cases
    ]


@pytest.mark.parametrize("stem", STEMS)
def test_every_operation_is_built_and_the_reference_passes(stem, tmp_path, port_of):
    plan = custom.build_cases(stem, tmp_path / "own", dtype="float32", **tiny(stem))
    cases = suite.load(tmp_path / "own")
    assert len(cases) == len(plan.requests) >= 1 and {case.lane for case in cases} == {"certified"}
    report = check(reference_port(port_of), in_float64(cases), require=["*"])
    assert [(r.case.id, r.error, r.tensors) for r in report.results if r.status != "passed"] == []
    written = sum(path.stat().st_size for path in (tmp_path / "own").iterdir())
    assert written / 2 < plan.cost.bytes < 2 * written


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lane", ["certified", "exact"])
@pytest.mark.parametrize("stem", ["dense", "nested_linear", "multirank_linear"])
def test_every_format_is_built_and_the_reference_passes(stem, lane, dtype, tmp_path, port_of):
    custom.build_cases(stem, tmp_path / "own", dtype=dtype, lane=lane, **tiny(stem))
    cases = suite.load(tmp_path / "own")
    report = check(reference_port(port_of), in_float64(cases), require=["*"])
    assert report.passed
    if lane == "exact":
        assert all((want.bound == 0).all() for case in cases for want in case.outputs.values())
        assert all(t.rho == 0 for r in report.results for t in r.tensors)
    wrong = [case._replace(attrs=case.attrs | {"rank": 7, "ranks": [6, 2, 7]}) for case in in_float64(cases)]
    if stem != "dense":
        assert check(reference_port(port_of), wrong).count("passed") == 0


def test_the_numpy_port_passes_in_float32(tmp_path, numpy_port, port_of):
    for lane in ("certified", "exact"):
        custom.build_cases("multirank_linear", tmp_path / lane, lane=lane, **tiny("multirank_linear"))
        assert check(port_of(numpy_port.run), suite.load(tmp_path / lane), require=["*"]).passed


def test_the_manifest_is_as_the_schema_says(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    known = json.loads((golden_dir() / "schema" / "manifest.schema.json").read_text())
    for dtype in DTYPES:
        custom.build_cases("objective", tmp_path / dtype, dtype=dtype, **tiny("objective"))
        jsonschema.validate(json.loads((tmp_path / dtype / "manifest.json").read_text()), known)


def test_what_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    contents = custom.build(custom.plan("relu", shape={"n": 3}))
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(path, data, error=error):
            raise error

        monkeypatch.setattr("nsn_ref.golden.build.write_atomically", fail)
        with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt):
            custom.write(contents, tmp_path / "own")
        assert list(tmp_path.iterdir()) == []


# --- linear layers over whole matrices --------------------------------------------------------------------------------


def linear_case(op, dtype):
    (request,) = requests(op, shape={"n": 3, "d_in": 7, "d_out": 5} | ({} if "dense" in op else {"R": 11}),
                          ranks=None if "dense" in op else [9] if "nested" in op else [6, 2, 9, 6],
                          dtype=dtype, attrs={})  # fmt: skip
    return request, draw.real(request, np.random.default_rng(7))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", LINEAR)
def test_the_truth_is_that_of_the_balls(op, dtype):
    request, inputs = linear_case(op, dtype)
    slow, fast = truth.expected(op, inputs, request.attrs), matrix_truth.expected(op, inputs, request.attrs)
    assert slow.keys() == fast.keys()
    for name, x in slow.items():
        assert fast[name].tobytes() == x.tobytes() and fast[name].shape == x.shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", LINEAR)
def test_the_bounds_are_not_below_those_of_single_numbers_and_close_to_them(op, dtype):
    request, inputs = linear_case(op, dtype)
    expected = truth.expected(op, inputs, request.attrs)
    slow = truth.bounds(op, "certified", dtype, inputs, request.attrs, expected)
    fast = matrix_bounds.bounds(op, dtype, inputs, request.attrs)
    assert slow.keys() == fast.keys()
    for name, e in slow.items():
        own = truth.around(expected[name], fast[name])
        assert ((own == 0) == (e == 0)).all()
        ratio = own[e > 0] / e[e > 0]
        # one operation inside another stores a sum over the batch twice, where parameters are float32
        lowest = 0.49 if (dtype, name) == ("bfloat16_master", "db") else 0.999
        assert ratio.min() >= lowest and ratio.max() < 8 and np.median(ratio) < 2.5


def rounded_to(x, bits):
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [("float64", 24), ("float32", 11), ("tf32", 11), ("bfloat16", 8), ("float16", 11), ("bfloat16_master", 8)],
)
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_sums_in_a_shorter_format_are_rejected_in_the_exact_lane(way, dtype, bits, tmp_path, numpy_port, port_of):
    custom.build_cases(f"nested_linear_{way}", tmp_path / "own", dtype=dtype, lane="exact", shape=SHAPE, ranks=[7])
    (case,) = in_float64(suite.load(tmp_path / "own"))

    def short_sums(a, b):
        total = np.zeros((len(a), b.shape[1]))
        for k in range(a.shape[1]):
            total = rounded_to(total + a[:, k, None] * b[k], bits)
        return total

    def run(op, inputs, attrs):
        return numpy_port.run(op, {name: x.astype(np.float64) for name, x in inputs.items()}, attrs)

    assert check(port_of(run), [case]).passed
    numpy_port.matmul = short_sums
    assert not check(port_of(run), [case]).passed


SHAPE = {"n": 5, "d_in": 30, "d_out": 20, "R": 11}


@pytest.mark.parametrize("op", LINEAR)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_cases_are_exact_by_the_certificate_of_single_numbers(op, dtype):
    """The proof over matrices accepts nothing that the proof over single numbers refuses."""
    request, _ = linear_case(op, dtype)
    inputs, outputs = draw.integers(request, np.random.default_rng(3))
    expected = truth.expected(op, inputs, request.attrs)
    bounds = truth.bounds(op, "exact", dtype, inputs, request.attrs, expected)
    assert all((outputs[name] == x).all() and not bounds[name].any() for name, x in expected.items())
    assert all(x.any() for x in inputs.values())


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53), ("bfloat16", 8)])
def test_sums_that_may_round_are_no_exact_case(dtype, bits):
    _, inputs = linear_case("dense_forward", dtype)
    inputs = {name: np.ones_like(x) for name, x in inputs.items()}
    exact_outputs("dense_forward", dtype, inputs, {})
    inputs["x"][:, 1:] = 1
    inputs["x"][:, 1] = 2.0 ** (bits + 1)
    with pytest.raises(NeedMorePrecision):
        exact_outputs("dense_forward", dtype, inputs, {})


STAND_ALONE = ("average_pool2d", "conv2d", "embedding", "nested_conv2d", "nested_embedding", "relu", "rotary")


@pytest.mark.parametrize("stem", STAND_ALONE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_operations_have_exact_cases(stem, dtype, tmp_path, numpy_port, port_of):
    """Any formula gives these bits, and one result that is off by a unit in its last place is noticed."""
    asked = {"shape": {"n": 17}} if stem == "relu" else tiny(stem)  # 3 numbers may all be negative
    plan = custom.build_cases(stem, tmp_path / "own", dtype=dtype, lane="exact", **asked)
    cases = suite.load(tmp_path / "own")
    assert len(cases) == len(plan.requests) and {case.lane for case in cases} == {"exact"}
    assert not any(want.bound.any() for case in cases for want in case.outputs.values())
    assert all(want.expected.any() for case in cases for want in case.outputs.values())

    def answer(op, inputs, attrs, factor=1.0):
        wide = {name: x.astype(np.float64) if tensors.is_float(x) else x for name, x in inputs.items()}
        return {name: factor * x for name, x in as_arrays(evaluate(reference(), op, wide, attrs)).items()}

    assert check(port_of(answer), in_float64(cases), require=["*"]).passed
    off = check(port_of(partial(answer, factor=1 + 2.0**-52)), in_float64(cases))
    assert all(result.status == "failed" for result in off.results)


def in_random_order(a, b, rng):
    """A product of matrices that adds its terms one by one, in any order, in the format of the factors."""
    total = np.zeros((len(a), b.shape[1]), a.dtype)
    for k in rng.permutation(a.shape[1]):
        total = total + a[:, k, None] * b[k]
    return total


def truncated(x, bits):
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits)), exponent - bits).astype(x.dtype)


@pytest.mark.parametrize("stem", ["dense", "nested_linear", "multirank_linear"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_correct_arithmetic_of_every_format_is_accepted(dtype, stem, tmp_path, numpy_port, port_of, rng):
    """Sums in any order; operands cut off, where they may be; every product of matrices stored, or none."""
    shape = {"n": 9, "d_in": 60, "d_out": 40} | ({} if stem == "dense" else {"R": 30})
    custom.build_cases(stem, tmp_path / "own", dtype=dtype, shape=shape, ranks=None if stem == "dense" else [30, 1, 13])
    cases = suite.load(tmp_path / "own")
    storage = np.dtype(contracts.default(dtype).storage)

    def matmul(a, b, stores):
        if dtype == "tf32":
            a, b = truncated(a, 11), truncated(b, 11)
        if dtype == "bfloat16_master":  # factors are bfloat16 whatever is stored
            a, b = (x.astype(storage).astype(x.dtype) for x in (a, b))
        product = in_random_order(a, b, rng)
        return product.astype(storage).astype(product.dtype) if stores else product

    for stores in (False, True):
        numpy_port.matmul = partial(matmul, stores=stores)
        report = check(port_of(numpy_port.run), cases, require=["*"])
        assert [(r.case.id, r.error, r.tensors) for r in report.results if r.status != "passed"] == []
        assert 0 < max(t.rho for r in report.results for t in r.tensors) <= 1


def test_a_layer_of_hundreds_by_hundreds_takes_seconds(tmp_path, numpy_port, port_of):
    shape = {"n": 64, "d_in": 1024, "d_out": 768}
    for lane, op in (("exact", "nested_linear_forward"), ("certified", "nested_linear_backward")):
        plan = custom.build_cases(op, tmp_path / lane, shape=shape, ranks=[1, 512], lane=lane)
        assert plan.requests[0].sizes["R"] == 512
        cases = suite.load(tmp_path / lane)
        assert check(port_of(numpy_port.run), cases, require=["*"]).passed
        assert cases[0].inputs["A"].any(axis=1).mean() > 0.9


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "tf32"])
def test_short_formats_have_exact_cases_of_real_sizes(dtype):
    for request in requests(
        "nested_linear", shape={"n": 64, "d_in": 512, "d_out": 384}, ranks=[256], dtype=dtype, attrs={}
    ):
        inputs, outputs = draw.integers(request, np.random.default_rng(0))
        assert all((x != 0).mean() > 0.05 for x in inputs.values())
        assert all((x != 0).mean() > 0.5 for x in outputs.values())


def test_the_lane_is_exact_where_it_is_too_large_to_certify(monkeypatch):
    monkeypatch.setattr(custom.plans, "MOST_MULTIPLY_ADDS", 100)
    assert custom.plan("nested_linear", **tiny("nested_linear")).lane == "exact"
    message = "too large to certify: about .* multiply-adds, at most 1e\\+02; --lane exact has no such limit"
    with pytest.raises(OptionError, match=message):
        custom.plan("nested_linear", lane="certified", **tiny("nested_linear"))
    monkeypatch.setattr(custom.plans, "MOST_OPERATIONS", 100)
    with pytest.raises(OptionError, match=r"gelu_forward .* too large .*; only linear layers have none"):
        custom.plan("gelu", shape={"n": 1000})


def test_the_same_request_gives_the_same_bytes_and_another_seed_others(tmp_path):
    arguments = tiny("objective")
    first, again, other = (custom.build(custom.plan("objective", seed=seed, **arguments)) for seed in (0, 0, 1))
    assert first == again and first.keys() == other.keys()
    name = "objective_forward.float32.inputs.safetensors"
    assert first[name] != other[name]


# --- inputs that are given --------------------------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path):
    """Inputs of nested_linear in a file, changed as asked."""

    def write(suffix=".npz", **changed):
        rng = np.random.default_rng(5)
        shapes = {"x": (2, 3, 7), "A": (11, 7), "B": (5, 11), "b": (5,), "dy": (2, 3, 5)}
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} | changed
        arrays = {name: x for name, x in arrays.items() if x is not None}
        path = tmp_path / f"given{suffix}"
        path.write_bytes(tensors.encode(arrays)) if suffix == ".safetensors" else np.savez(path, **arrays)
        return path

    return write


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_given_inputs_are_used_as_they_are(suffix, given, tmp_path, numpy_port, port_of):
    path = given(suffix)
    plan = custom.build_cases("nested_linear", tmp_path / "own", ranks=[4], inputs=path)
    cases = suite.load(tmp_path / "own")
    assert [case.op for case in cases] == ["nested_linear_forward", "nested_linear_backward"]
    assert plan.requests[0].sizes["..."] == (2, 3)
    assert (cases[1].inputs["dy"] == custom.given.read(path)["dy"]).all()
    assert check(port_of(numpy_port.run), cases, require=["*"]).passed


@pytest.mark.parametrize(
    ("changed", "arguments", "error", "message"),
    [
        ({"A": None}, {}, OptionError, "has no A, which nested_linear_forward needs"),
        ({"dy": None}, {}, OptionError, "has no dy, which nested_linear_backward needs"),
        ({"extra": np.zeros(3)}, {}, OptionError, "'extra', expected A, B, b, dy, x"),
        ({"x": np.zeros((2, 3, 7))}, {}, DTypeError, "x has dtype float64, expected float32"),
        ({"b": np.zeros(4, np.float32)}, {}, ShapeError, "another input"),
        ({"x": np.full((2, 3, 7), np.nan, np.float32)}, {}, NonFiniteError, "x has NaN or infinity"),
        ({"b": np.zeros((1, 5), np.float32)}, {}, ShapeError, "b has shape"),
        ({"dy": np.zeros((3, 2, 5), np.float32)}, {}, ShapeError, "another input"),
        ({}, {"shape": {"d_in": 8}}, OptionError, "--shape has d_in = 8, --inputs has 7"),
        ({}, {"ranks": [12]}, RankError, "rank 12 is not in 1..R = 1..11"),
        ({}, {"lane": "exact"}, NeedMorePrecision, "needs more than 24 bits|not a number|may need"),
    ],
)
def test_given_inputs_that_are_wrong_are_refused_before_anything_is_written(
    changed, arguments, error, message, given, tmp_path
):
    with pytest.raises(error, match=message):
        custom.build_cases("nested_linear", tmp_path / "own", inputs=given(**changed), **{"ranks": [4]} | arguments)
    assert not (tmp_path / "own").exists() and [p.name for p in tmp_path.iterdir()] == ["given.npz"]


def test_labels_out_of_range_are_refused(tmp_path):
    arrays = {"z": np.zeros((3, 4), np.float32), "targets": np.array([0, 4, 1])}
    with pytest.raises(LabelError, match=r"targets has 4, expected 0\.\.3"):
        custom.build_cases("softmax_cross_entropy_forward", tmp_path / "own", inputs=arrays)


def test_a_file_that_is_no_tensor_file_is_refused(tmp_path):
    for name in ("a.npz", "a.safetensors"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(FileError, match=name):
            custom.plan("relu", inputs=tmp_path / name)
    with pytest.raises(FileError, match=r"missing\.npz"):
        custom.plan("relu", inputs=tmp_path / "missing.npz")


# --- what is asked for wrongly ----------------------------------------------------------------------------------------

LAYER = {"n": 3, "d_in": 7, "d_out": 5}


@pytest.mark.parametrize(
    ("op", "arguments", "error", "message"),
    [
        ("linear", {}, OptionError, "unknown operation 'linear', expected one of dense, nested_linear"),
        (
            "nested_linear",
            {"shape": {"n": 3, "d_in": 7}, "ranks": [2]},
            OptionError,
            r"lacks d_out; its inputs are x\(",
        ),
        ("nested_linear", {"shape": {"d_in": 7, "d_out": 5}, "ranks": [2]}, OptionError, r"lacks n \(or B and T\)"),
        (
            "nested_linear",
            {"shape": LAYER | {"q": 1}, "ranks": [2]},
            OptionError,
            "--shape has no 'q' here, expected B",
        ),
        ("nested_linear", {"shape": LAYER | {"n": 0}, "ranks": [2]}, OptionError, "n is 0, expected an integer of at"),
        ("nested_linear", {"shape": LAYER}, OptionError, "needs --ranks"),
        ("nested_linear", {"shape": LAYER, "ranks": [0]}, RankError, "at least 1"),
        ("nested_linear", {"shape": LAYER | {"R": 4}, "ranks": [2, 5]}, RankError, "rank 5 is not in 1..R = 1..4"),
        ("nested_linear", {"shape": LAYER, "ranks": [2], "dtype": "float8"}, OptionError, "unknown contract 'float8'"),
        ("nested_linear", {"shape": LAYER, "ranks": [2], "lane": "fast"}, OptionError, "unknown lane 'fast'"),
        ("nested_linear", {"shape": LAYER, "ranks": [2], "attrs": {"bias": "1"}}, OptionError, "has no 'bias' here"),
        ("dense", {"shape": LAYER, "ranks": [2]}, OptionError, "has no rank, but --ranks is given"),
        ("gelu", {"shape": {"n": 3}, "lane": "exact"}, OptionError, "gelu_forward has no exact lane"),
        (
            "mlp_forward",
            tiny("mlp_forward") | {"lane": "exact"},
            OptionError,
            "mlp_forward has no exact lane here: it is a net",
        ),
        (
            "conv2d",
            tiny("conv2d") | {"lane": "exact", "shape": tiny("conv2d")["shape"] | {"n": 10**7}},
            OptionError,
            "too large",
        ),
        ("mean_squared_error", {"shape": {"n": 3, "d": 1}, "lane": "exact"}, NeedMorePrecision, "not a power of two"),
        ("decoder_loss_and_grads", {"ranks": [1], "attrs": {"family": "gpt_4"}}, OptionError, "family is 'gpt_4'"),
        ("average_pool2d", {"shape": {"n": 1, "c": 1, "H": 4, "W": 4}, "attrs": {"size": "a"}}, OptionError, "size"),
        ("gelu", {"shape": {"n": 3}, "attrs": {"approximate": "sigmoid"}}, NSNError, "approximate"),
    ],
)
def test_a_wrong_request_is_one_sentence(op, arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        custom.build_cases(op, tmp_path / "own", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_not_touched(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("mine")
    with pytest.raises(FileError, match="expected a new or an empty folder"):
        custom.build_cases("relu", tmp_path / "own", shape={"n": 3})
    assert [p.name for p in (tmp_path / "own").iterdir()] == ["file"]


def test_an_undecided_sign_is_drawn_again_and_given_ones_are_refused(monkeypatch, tmp_path):
    drawn, real = [], draw.real
    zero = {"z": np.zeros(3, np.float32), "dy": np.ones(3, np.float32)}
    (request,) = requests("relu_backward", shape={"n": 3}, ranks=None, dtype="float32", attrs={})

    def undecided(request, inputs):
        drawn.append(inputs)
        if len(drawn) < 3:
            raise NeedMorePrecision("the sign of 0 is undecided")
        return truth_of(request, inputs)

    truth_of = custom.plans._truth
    monkeypatch.setattr(custom.plans, "_truth", undecided)
    custom.build_cases("relu_backward", tmp_path / "own", shape={"n": 3})
    assert len(drawn) == 3 and not (drawn[0]["z"] == drawn[2]["z"]).any()
    drawn.clear()
    with pytest.raises(NeedMorePrecision, match="cannot be certified on these inputs"):
        custom.build_cases("relu_backward", tmp_path / "given", inputs=zero)
    assert len(drawn) == 1 and real(request, np.random.default_rng(0)).keys() == zero.keys()


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def nsn(nsn):
    """`nsn-ref golden`."""
    return lambda *args: nsn("golden", *args)


def test_the_command_says_what_it_takes_and_what_it_wrote(nsn, tmp_path, numpy_port):
    own = tmp_path / "own"
    arguments = ("--op", "nested_linear", "--shape", "n=3,d_in=7,d_out=5", "--ranks", "2,4", "--dtype", "float64")
    status, out, _ = nsn("build", *arguments, "--out", own)
    assert status == 0
    assert re.search(r"4 cases, lane certified, inputs generated \(seed 0\); predicted: about .* s and .* MB", out)
    assert "wrote 4 cases" in out
    status, out, _ = nsn("check", numpy_port.__file__, "--suite", own)
    assert status == 0 and "PASSED" in out
    status, _, err = nsn("build", *arguments, "--out", own)
    assert status == 2 and "expected a new or an empty folder" in err


def test_what_takes_long_needs_a_yes(nsn, tmp_path, monkeypatch):
    monkeypatch.setattr("nsn_ref.cli.golden_build.PROCEED", (0.0, 10.0))
    arguments = ("build", "--op", "relu", "--shape", "n=3", "--out", tmp_path / "own")
    status, out, err = nsn(*arguments)
    assert status == 2 and "predicted" in out and "add --yes" in err and not (tmp_path / "own").exists()
    assert nsn(*arguments, "--yes")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--op", "relu"], "--out is missing"),
        (["--shape", "n=3"], "--shape is for one's own shape, and --op is missing"),
        (["--op", "relu", "--check"], "for the suite that ships"),
        (["--op", "relu", "--shape", "n", "--out", "own"], "has 'n', expected name=value"),
        (["--op", "relu", "--shape", "n=x", "--out", "own"], "expected integers"),
        (["--op", "rel", "--shape", "n=3", "--out", "own"], "unknown operation 'rel'"),
    ],
)
def test_a_wrong_command_ends_with_status_2(arguments, message, nsn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = nsn("build", *arguments)
    assert status == 2 and err.startswith("error: ") and len(err.splitlines()) == 1 and message in err
    assert list(tmp_path.iterdir()) == []


def test_attributes_are_read_as_the_schema_says(nsn, tmp_path):
    arguments = ("--op", "objective_forward", "--shape", "R=5", "--ranks", "2,5", "--attr", "variant=bounded")
    assert nsn("build", *arguments, "--out", tmp_path / "own")[0] == 0
    (case,) = suite.load(tmp_path / "own")
    assert case.attrs == {"ranks": [2, 5], "variant": "bounded"}
