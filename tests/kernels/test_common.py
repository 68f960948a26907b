"""What kernels take and refuse, where they write, and how their loops are compiled."""

import inspect
import os
import subprocess
import sys
from types import ModuleType

import numba
import numpy as np
import pytest

from nsn_ref import kernels, ops
from nsn_ref.errors import DTypeError, LabelError, OptionError, RankError, ShapeError
from nsn_ref.kernels import bias, common, relu


@pytest.fixture
def calls(rng):
    """For every kernel, arguments that it takes, by name."""
    x, A, B, b, W = (rng.standard_normal(shape) for shape in ((5, 3), (7, 3), (2, 7), (2,), (2, 3)))
    y, ys, labels = rng.standard_normal((5, 2)), rng.standard_normal((3, 5, 2)), rng.integers(0, 2, 5)
    losses, s = rng.random(2), rng.standard_normal(7)
    nested = {"x": x, "A": A, "B": B, "b": b}
    images, K = rng.standard_normal((5, 3, 8, 6)), rng.standard_normal((7, 3, 3, 2))
    heads = rng.standard_normal((3, 2, 4, 5))
    geometry = {"stride": (2, 3), "padding": (1, 0)}  # misses the last column of pixels
    ways = {
        "dense": ({"x": x, "W": W, "b": b}, {"dy": y}),
        "nested_linear": (nested | {"rank": 4}, {"dy": y}),
        "multirank_linear": (nested | {"ranks": (4, 1, 4)}, {"dys": ys}),
        "nested_embedding": ({"tokens": rng.integers(0, 3, 5), "E": A.T.copy(), "B": B, "rank": 4}, {"dy": y}),
        "embedding": ({"tokens": rng.integers(0, 3, 5), "E": A.T.copy()}, {"dy": rng.standard_normal((5, 7))}),
        "rotary": ({"x": heads, "cos": b[:, None], "sin": b[:, None] + 1}, {"dy": heads + 1}),
        "causal_attention": ({"q": heads, "k": heads[:, :, :2] + 1, "v": heads[:, :, :2] - 1}, {"dy": heads + 2}),
        "conv2d": ({"x": images, "W": K[:2], "b": b} | geometry, {"dy": rng.standard_normal((5, 2, 4, 2))}),
        "nested_conv2d": (
            nested | {"x": images, "A": K, "rank": 4} | geometry, {"dy": rng.standard_normal((5, 2, 4, 2))},
        ),
        "average_pool2d": ({"x": images, "size": (4, 2)}, {"dy": images[:, :, :2, :3].copy()}),
        "relu": ({"z": y}, {"dy": ys[0]}),
        "gelu": ({"z": y, "approximate": "tanh"}, {"dy": ys[0]}),
        "silu": ({"z": y}, {"dy": ys[0]}),
        "swiglu": ({"gate": y, "up": ys[0]}, {"dy": ys[1]}),
        "geglu": ({"gate": y, "up": ys[0]}, {"dy": ys[1]}),
        "layer_norm": ({"x": y, "w": b, "b": b + 1}, {"dy": ys[0]}),
        "rms_norm": ({"x": y, "w": b}, {"dy": ys[0]}),
        "softmax_cross_entropy": ({"z": y, "targets": labels}, {"dloss": 0.5}),
        "mean_squared_error": ({"y": y, "targets": ys[0]}, {"dloss": 0.5}),
        "kl_distillation": ({"z": y, "teacher_z": ys[0], "temperature": 2}, {"dloss": 0.5}),
        "objective": ({"losses": losses, "s": s, "ranks": (7, 2)}, {"dtotal": 0.5}),
        "weighted_sum": ({"losses": losses, "weights": s, "ranks": (7, 2)}, {"dtotal": 0.5}),
        "hard_orthogonality": ({"A": A}, {"dpenalty": 0.5}),
        "residual_orthogonality": ({"A": A, "rank": 2, "anchor": 5}, {"dpenalty": 0.5}),
        "logits_regularisation": ({"z_anchor": y, "z_variant": ys[0]}, {"dpenalty": 0.5}),
        "hidden_regularisation": ({"h_anchor": y, "h_variant": ys[0]}, {"dpenalty": 0.5}),
    }  # fmt: skip
    calls = {
        kernels.adamw_step: {"p": A, "g": A + 1, "m": A * 2, "v": A * A, "t": 3, "lr": 0.1},
        kernels.sgd_step: {"p": A, "g": A + 1, "m": A * 2, "lr": 0.1},
    }
    for stem, (arguments, cotangent) in ways.items():
        forward, backward = (getattr(kernels, f"{stem}_{way}") for way in ("forward", "backward"))
        calls[forward], calls[backward] = arguments, cotangent | {"saved": forward(**arguments)[1]}
    return calls


def floats_of(arguments):
    """The arrays of floating-point numbers among them."""
    return {
        name: value for name, value in arguments.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


def test_calls_cover_every_kernel(calls):
    assert set(calls) == {pair.kernel for pair in kernels.PAIRS}


def test_other_number_types_are_refused(calls):
    """No silent conversion: integers, halves, complex numbers, objects, other byte orders, lists, mixtures."""
    tried = 0
    for kernel, arguments in calls.items():
        arrays = floats_of(arguments)
        for name, array in arrays.items():
            others = [array.astype(kind) for kind in (np.int64, np.float16, np.complex128, object, ">f8")]
            others += [array.tolist()] + ([array.astype(np.float32)] if len(arrays) > 1 else [])
            for other in others:
                with pytest.raises(DTypeError, match=f"{kernel.__name__}: .* expected"):
                    kernel(**arguments | {name: other})
                tried += 1
    assert tried > 150


FREE = ("x", "z", "y", "p", "s", "weights")  # arrays of forward operations that no other one determines
# R, d_out, k_h, k_w, V, T, H
FREE_AXES = {("A", 0), ("A", 2), ("A", 3), ("W", 0), ("W", 2), ("W", 3), ("E", 0), ("q", 1), ("q", 2)}


def is_free(kernel, arrays, name, axis):
    """Whether an array may be of any size along an axis."""
    if kernel.__name__.endswith("_backward"):
        return False
    determined_by_bias = name != "B" or axis == 1 or "b" in arrays
    return len(arrays) == 1 or name in FREE or (name, axis) in FREE_AXES or not determined_by_bias


def test_shapes_that_disagree_are_refused(calls):
    """Every array that another one determines, one longer and one shorter along each axis."""
    tried = 0
    for kernel, arguments in calls.items():
        arrays = floats_of(arguments)
        for name, array in arrays.items():
            for axis in (axis for axis in range(array.ndim) if not is_free(kernel, arrays, name, axis)):
                for other in (np.repeat(array, 2, axis), np.delete(array, 0, axis)):
                    with pytest.raises(ShapeError, match=f"{kernel.__name__}: .* has shape .*, expected"):
                        kernel(**arguments | {name: other})
                    tried += 1
    assert tried > 60


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def test_out_receives_the_result(calls):
    tried = 0
    for kernel, arguments in calls.items():
        if "out" not in inspect.signature(kernel).parameters:
            continue
        result = kernel(**arguments)
        forward = kernel.__name__.endswith("_forward")
        expected = as_tuple(result[0] if forward else result)
        out = tuple(np.full_like(array, 1e9) for array in expected)
        given = out if isinstance(result, tuple) and not forward else out[0]
        found = kernel(**arguments, out=given)
        for array, target, value in zip(as_tuple(found[0] if forward else found), out, expected, strict=True):
            assert array is target and target.tobytes() == value.tobytes(), kernel.__name__
        _refuse_bad_outputs(kernel, arguments, out, given)
        tried += 1
    assert tried >= 25


def _refuse_bad_outputs(kernel, arguments, out, given):
    read_only = np.empty_like(out[0])
    read_only.flags.writeable = False
    bad = [read_only, np.empty((*out[0].shape, 2))[..., 0], out[0].astype(np.float32), out[0].tolist()]
    for first in [*bad, np.empty((1, *out[0].shape))]:
        with pytest.raises((DTypeError, ShapeError), match=f"{kernel.__name__}: out"):
            kernel(**arguments, out=(first, *out[1:]) if isinstance(given, tuple) else first)
    if isinstance(given, tuple):
        with pytest.raises(ShapeError, match=f"{kernel.__name__}: out"):
            kernel(**arguments, out=out[1:])


def test_relu_works_in_place(rng):
    z = rng.standard_normal((5, 7))
    expected, dy = kernels.relu_forward(z.copy())[0], rng.standard_normal((5, 7))
    y, saved = kernels.relu_forward(z, out=z)
    assert y is z and (y == expected).all()
    assert (kernels.relu_backward(dy, saved) == np.where(expected > 0, dy, 0)).all()


def test_ranks_labels_and_options_are_checked(rng):
    x, A, B, b, z = (rng.standard_normal(shape) for shape in ((5, 3), (7, 3), (2, 7), (2,), (2, 3)))
    for rank in (0, 8, -1, 1.0, None):
        with pytest.raises(RankError, match=r"expected an integer in 1\.\.7"):
            kernels.nested_linear_forward(x, A, B, b, rank)
        with pytest.raises(RankError, match=r"expected an integer in 1\.\.7"):
            kernels.multirank_linear_forward(x, A, B, b, (1, rank))
        with pytest.raises(RankError, match=r"expected an integer in 1\.\.7"):
            kernels.nested_embedding_forward(np.array([1]), A.T, B, rank)
        with pytest.raises(RankError, match=r"anchor is .*, expected an integer in 1\.\.7"):
            kernels.residual_orthogonality_forward(A, 1, rank)
    with pytest.raises(RankError, match=r"rank is 3, expected an integer in 1\.\.2"):
        kernels.residual_orthogonality_forward(A, 3, 3)
    for forward in (kernels.objective_forward, kernels.weighted_sum_forward):
        with pytest.raises(RankError, match=r"expected an integer in 1\.\.5"):
            forward(np.ones(2), np.ones(5), (1, 6))
    for label in (-1, 3, 2**62):
        with pytest.raises(LabelError, match=f"has the label {label}, expected integers in 0..2"):
            kernels.softmax_cross_entropy_forward(z, np.array([1, label]))
        tokens = np.array([1, label])
        with pytest.raises(LabelError, match=f"forward: tokens has the label {label}, expected integers in 0..2"):
            kernels.nested_embedding_forward(tokens, A.T, B, 4)
        saved = kernels.NestedEmbeddingSaved(tokens, A.T, B, np.ones((2, 4)))
        with pytest.raises(LabelError, match=f"backward: tokens has the label {label}, expected integers in 0..2"):
            kernels.nested_embedding_backward(np.ones((2, 2)), saved)
    with pytest.raises(LabelError, match="no label but ignore_index = 1"):
        kernels.softmax_cross_entropy_forward(z, np.array([1, 1]), ignore_index=1)
    with pytest.raises(OptionError, match="beside soft targets"):
        kernels.softmax_cross_entropy_forward(z, np.abs(z), ignore_index=1)
    for option in ({"temperature": 0}, {"temperature": np.nan}, {"reduction": "max"}):
        with pytest.raises(OptionError, match=r"kl_distillation_forward: .*, expected"):
            kernels.kl_distillation_forward(z, z, **option)
    with pytest.raises(OptionError, match=r"^geglu_forward: approximate is 'erf', expected one of 'none', 'tanh'"):
        kernels.geglu_forward(z, z, approximate="erf")
    for eps in (0, np.nan, "1"):
        with pytest.raises(OptionError, match=r"norm_forward: eps is .*, expected"):
            kernels.layer_norm_forward(z, z[0], z[0], eps)
        with pytest.raises(OptionError, match=r"norm_forward: eps is .*, expected"):
            kernels.rms_norm_forward(z, z[0], eps)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("softmax_cross_entropy", ((0, 3), np.ones(0, np.int64))),
        ("mean_squared_error", ((0, 3), (0, 3))),
        ("kl_distillation", ((0, 3), (0, 3))),
        ("hidden_regularisation", ((0, 3), (0, 3))),
        ("logits_regularisation", ((2, 0), (2, 0))),
        ("hard_orthogonality", ((0, 3),)),
        ("residual_orthogonality", ((3, 0), 1, 2)),
    ],
)
def test_a_mean_over_nothing_is_refused(name, arguments):
    arrays = [np.ones(value) if isinstance(value, tuple) else value for value in arguments]
    with pytest.raises(ShapeError, match=f"{name}_forward: .*, expected at least one element"):
        getattr(kernels, f"{name}_forward")(*arrays)


def test_patches_that_are_given_are_those_that_are_made(calls, monkeypatch):
    """From the kernel's own saved context or from the reference's; of the right shape and type."""
    arguments = calls[kernels.nested_conv2d_forward]
    y, saved = kernels.nested_conv2d_forward(**arguments)
    _, of_reference = ops.nested_conv2d_forward(**arguments | {"rank": 1})
    monkeypatch.delattr(kernels.nested_conv2d, "patches")  # so that none can be made
    for seen in (saved.linear.x, of_reference.linear.x):
        assert (kernels.nested_conv2d_forward(**arguments, seen=seen)[0] == y).all()
    with pytest.raises(ShapeError, match=r"nested_conv2d_forward: seen has shape .*, expected \(5, 4, 2, 18\)"):
        kernels.nested_conv2d_forward(**arguments, seen=saved.linear.x[1:])
    with pytest.raises(DTypeError, match="nested_conv2d_forward: seen has dtype float32, expected float64"):
        kernels.nested_conv2d_forward(**arguments, seen=saved.linear.x.astype(np.float32))


def test_an_empty_batch_has_zero_gradients(rng):
    A, B, b = (rng.standard_normal(shape) for shape in ((7, 3), (2, 7), (2,)))
    ys, saved = kernels.multirank_linear_forward(np.ones((0, 3)), A, B, b, (7, 2))
    dx, *grads = kernels.multirank_linear_backward(ys, saved)
    assert ys.shape == (2, 0, 2) and dx.shape == (0, 3) and all((g == 0).all() for g in grads)


def dispatchers():
    for module in vars(kernels).values():
        if isinstance(module, ModuleType):
            yield from (value for value in vars(module).values() if hasattr(value, "py_func"))


def test_loops_keep_ieee_arithmetic_and_start_no_threads():
    found = list(dispatchers())
    assert len(found) > 15
    for loop in found:
        assert not loop.targetoptions.get("fastmath") and not loop.targetoptions.get("parallel")
        assert loop.targetoptions["error_model"] == "numpy"


def test_one_compiled_form_serves_every_layout(rng):
    """Strided and read-only inputs are copied: they cost no compilation of their own."""
    x, W, b = rng.standard_normal((5, 3)), rng.standard_normal((2, 3)), rng.standard_normal(2)
    y, _ = kernels.dense_forward(x, W, b)
    kernels.relu_forward(x)
    loops = bias.add_bias_loop, relu.relu_forward_loop
    before = [len(loop.signatures) for loop in loops]
    strided = np.repeat(b, 2)[::2]
    read_only = x.copy()
    read_only.setflags(write=False)
    assert (kernels.dense_forward(read_only, W, strided)[0] == y).all()
    for z in (read_only, x[:, ::2], x.T):
        assert (kernels.relu_forward(z)[0] == np.maximum(z, 0)).all()
    assert [len(loop.signatures) for loop in loops] == before


def test_a_loop_compiles_where_no_cache_can_be_written(monkeypatch):
    def njit(cache=False, **keywords):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**keywords)

    real = numba.njit
    real(lambda x: x)(1)  # Numba loads parts of itself, which cache, at its first use
    monkeypatch.setattr(common.numba, "njit", njit)
    twice = common.compiled(lambda x: 2 * x)
    assert twice(2.5) == 5.0


@pytest.mark.slow
def test_a_second_process_finds_the_compiled_code(tmp_path):
    """The cache works: what the first process compiled, the second one loads."""
    code = (
        "import numpy as np\nfrom nsn_ref import kernels\nfrom nsn_ref.kernels import relu\n"
        "kernels.relu_forward(np.ones(3))\nprint(sum(relu.relu_forward_loop.stats.cache_hits.values()))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
        for _ in range(2)
    ]
    assert [int(hit) for hit in hits] == [0, 1]


def test_code_older_than_a_source_is_dropped(tmp_path):
    """Numba would keep code that inlined another file's function as it was."""
    kernels, other = tmp_path / "kernels", tmp_path / "other" / "__pycache__"
    for folder in (kernels / "__pycache__", other):
        folder.mkdir(parents=True)
    source = kernels / "common.py"
    cached = [
        folder / f"{name}.{kind}"
        for folder in (kernels / "__pycache__", other)
        for name, kind in (("old", "nbi"), ("new", "nbc"))
    ]
    for time, path in enumerate([*cached[::2], source, *cached[1::2]]):
        path.write_text("")
        os.utime(path, (time, time))
    common.drop_stale_code(tmp_path, kernels)
    assert [path.exists() for path in cached] == [False, True] * 2 and source.exists()
