"""What kernels take and refuse, where they write, and how their loops are compiled."""

import os
import subprocess
import sys
from types import ModuleType

import numba
import numpy as np
import pytest

from nsn_ref import kernels
from nsn_ref.errors import DTypeError, LabelError, OptionError, RankError, ShapeError
from nsn_ref.kernels import bias, common, relu


@pytest.fixture
def calls(rng):
    """For every kernel, arguments that it takes: the arrays by name, and what follows them."""
    x, A, B, b, W = (rng.standard_normal(shape) for shape in ((5, 3), (7, 3), (2, 7), (2,), (2, 3)))
    y, ys, labels = rng.standard_normal((5, 2)), rng.standard_normal((3, 5, 2)), rng.integers(0, 2, 5)
    losses, s = rng.random(2), rng.standard_normal(7)
    nested = {"x": x, "A": A, "B": B, "b": b}
    images, K = rng.standard_normal((5, 3, 8, 6)), rng.standard_normal((7, 3, 3, 2))
    geometry = {"stride": (2, 3), "padding": (1, 0)}  # misses the last column of pixels
    conv = {"x": images, "W": K[:2], "b": b}, (), geometry
    nested_conv = {"x": images, "A": K, "B": B, "b": b}, (4,), geometry
    return {
        kernels.dense_forward: ({"x": x, "W": W, "b": b}, (), {}),
        kernels.dense_backward: ({"dy": y}, (kernels.DenseSaved(x, W),), {}),
        kernels.nested_linear_forward: (nested, (4,), {}),
        kernels.nested_linear_backward: ({"dy": y}, (kernels.nested_linear_forward(*nested.values(), 4)[1],), {}),
        kernels.multirank_linear_forward: (nested, ((4, 1, 4),), {}),
        kernels.multirank_linear_backward: (
            {"dys": ys}, (kernels.multirank_linear_forward(*nested.values(), (4, 1, 4))[1],), {},
        ),
        kernels.conv2d_forward: conv,
        kernels.conv2d_backward: (
            {"dy": rng.standard_normal((5, 2, 4, 2))}, (kernels.conv2d_forward(images, K[:2], b, **geometry)[1],), {},
        ),
        kernels.nested_conv2d_forward: nested_conv,
        kernels.nested_conv2d_backward: (
            {"dy": rng.standard_normal((5, 2, 4, 2))},
            (kernels.nested_conv2d_forward(images, K, B, b, 4, **geometry)[1],),
            {},
        ),
        kernels.average_pool2d_forward: ({"x": images}, ((4, 2),), {}),
        kernels.average_pool2d_backward: (
            {"dy": images[:, :, :2, :3].copy()}, (kernels.average_pool2d_forward(images, (4, 2))[1],), {},
        ),
        kernels.relu_forward: ({"z": y}, (), {}),
        kernels.relu_backward: ({"dy": y}, (kernels.ReluSaved(y),), {}),
        kernels.gelu_forward: ({"z": y}, (), {"approximate": "tanh"}),
        kernels.gelu_backward: ({"dy": y}, (kernels.gelu_forward(y)[1],), {}),
        kernels.silu_forward: ({"z": y}, (), {}),
        kernels.silu_backward: ({"dy": y}, (kernels.silu_forward(y)[1],), {}),
        kernels.softmax_cross_entropy_forward: ({"z": y}, (labels,), {}),
        kernels.softmax_cross_entropy_backward: (
            {}, (0.5, kernels.softmax_cross_entropy_forward(y, labels)[1]), {},
        ),
        kernels.mean_squared_error_forward: ({"y": y, "targets": ys[0]}, (), {}),
        kernels.mean_squared_error_backward: ({}, (0.5, kernels.mean_squared_error_forward(y, ys[0])[1]), {}),
        kernels.objective_forward: ({"losses": losses, "s": s}, ((7, 2),), {}),
        kernels.objective_backward: ({}, (0.5, kernels.objective_forward(losses, s, (7, 2))[1]), {}),
        kernels.weighted_sum_forward: ({"losses": losses, "weights": s}, ((7, 2),), {}),
        kernels.weighted_sum_backward: ({}, (0.5, kernels.weighted_sum_forward(losses, s, (7, 2))[1]), {}),
        kernels.adamw_step: ({"p": A, "g": A + 1, "m": A * 2, "v": A * A}, (3,), {"lr": 0.1}),
        kernels.sgd_step: ({"p": A, "g": A + 1, "m": A * 2}, (), {"lr": 0.1}),
    }  # fmt: skip


def test_calls_cover_every_kernel(calls):
    assert set(calls) == {pair.kernel for pair in kernels.PAIRS}


def test_other_number_types_are_refused(calls):
    """No silent conversion: integers, halves, complex numbers, objects, other byte orders, lists, mixtures."""
    tried = 0
    for kernel, (arrays, rest, keywords) in calls.items():
        for name, array in arrays.items():
            others = [array.astype(kind) for kind in (np.int64, np.float16, np.complex128, object, ">f8")]
            others += [array.tolist()] + ([array.astype(np.float32)] if len(arrays) > 1 else [])
            for other in others:
                with pytest.raises(DTypeError, match=f"{kernel.__name__}: .* expected"):
                    kernel(*(arrays | {name: other}).values(), *rest, **keywords)
                tried += 1
    assert tried > 150


def test_shapes_that_disagree_are_refused(calls):
    """Every array that another one determines, one longer and one shorter along each axis."""
    free = {"x", "z", "y", "p", "s", "weights"}
    tried = 0
    for kernel, (arrays, rest, keywords) in calls.items():
        for name in arrays.keys() - (free - {"y"} if "backward" in kernel.__name__ else free):
            for axis in range(arrays[name].ndim):
                if name in ("A", "W") and axis != 1:  # R, d_out, k_h, k_w are free; B and b are held against the first
                    continue
                for other in (np.repeat(arrays[name], 2, axis), np.delete(arrays[name], 0, axis)):
                    with pytest.raises(ShapeError, match=f"{kernel.__name__}: .* has shape .*, expected"):
                        kernel(*(arrays | {name: other}).values(), *rest, **keywords)
                    tried += 1
    assert tried > 40


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def test_out_receives_the_result(calls):
    tried = 0
    for kernel, (arrays, rest, keywords) in calls.items():
        if "out" not in kernel.__code__.co_varnames[: kernel.__code__.co_argcount + kernel.__code__.co_kwonlyargcount]:
            continue
        result = kernel(*arrays.values(), *rest, **keywords)
        forward = kernel.__name__.endswith("_forward")
        expected = as_tuple(result[0] if forward else result)
        out = tuple(np.full_like(array, 1e9) for array in expected)
        given = out if isinstance(result, tuple) and not forward else out[0]
        found = kernel(*arrays.values(), *rest, **keywords, out=given)
        for array, target, value in zip(as_tuple(found[0] if forward else found), out, expected, strict=True):
            assert array is target and target.tobytes() == value.tobytes(), kernel.__name__
        _refuse_bad_outputs(kernel, arrays, rest, keywords, out, given)
        tried += 1
    assert tried >= 15


def _refuse_bad_outputs(kernel, arrays, rest, keywords, out, given):
    read_only = np.empty_like(out[0])
    read_only.flags.writeable = False
    bad = [read_only, np.empty((*out[0].shape, 2))[..., 0], out[0].astype(np.float32), out[0].tolist()]
    for first in [*bad, np.empty((1, *out[0].shape))]:
        with pytest.raises((DTypeError, ShapeError), match=f"{kernel.__name__}: out"):
            kernel(*arrays.values(), *rest, **keywords, out=(first, *out[1:]) if isinstance(given, tuple) else first)
    if isinstance(given, tuple):
        with pytest.raises(ShapeError, match=f"{kernel.__name__}: out"):
            kernel(*arrays.values(), *rest, **keywords, out=out[1:])


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
    for forward in (kernels.objective_forward, kernels.weighted_sum_forward):
        with pytest.raises(RankError, match=r"expected an integer in 1\.\.5"):
            forward(np.ones(2), np.ones(5), (1, 6))
    for label in (-1, 3, 2**62):
        with pytest.raises(LabelError, match=f"has the label {label}, expected integers in 0..2"):
            kernels.softmax_cross_entropy_forward(z, np.array([1, label]))
    with pytest.raises(LabelError, match="no label but ignore_index = 1"):
        kernels.softmax_cross_entropy_forward(z, np.array([1, 1]), ignore_index=1)
    with pytest.raises(OptionError, match="beside soft targets"):
        kernels.softmax_cross_entropy_forward(z, np.abs(z), ignore_index=1)
    with pytest.raises(ShapeError, match="at least one element"):
        kernels.softmax_cross_entropy_forward(np.ones((0, 3)), np.ones(0, np.int64))


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
