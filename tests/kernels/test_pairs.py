"""Every kernel against its reference: correctly rounded truth and derived bounds, exact inputs, NaN, defects."""

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from helpers import assert_number_type, constants, distinct_primes, outputs_and_gradients, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops
from nsn_ref.certify import balls, rounding
from nsn_ref.kernels import PAIRS
from nsn_ref.kernels.layer_norm import layer_norm_backward_loop
from nsn_ref.kernels.patches import patches_loop, sum_of_patches_loop
from nsn_ref.ops.objective import VARIANTS
from nsn_ref.training import optimizers

DTYPES = (np.float32, np.float64)


class Case(NamedTuple):
    """One way to call an operation: its differentiable inputs, and the forward as a function of these alone."""

    inputs: tuple  # float64, rounded to the dtype under test
    bind: object  # bind(forward) -> function of the inputs


def options(**keywords):
    return lambda forward: lambda *inputs: forward(*inputs, **keywords)


def after(*arguments):
    return lambda forward: lambda *inputs: forward(*inputs, *arguments)


def ranks_of(R):
    return sorted({1, (R + 1) // 2, R})


def dense(rng, lead, d_in, d_out, R):
    shapes = (*lead, d_in), (d_out, d_in), (d_out,)
    yield Case(tuple(rng.standard_normal(shape) for shape in shapes), options())


def nested_inputs(rng, lead, d_in, d_out, R):
    shapes = (*lead, d_in), (R, d_in), (d_out, R), (d_out,)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def nested_linear(rng, *sizes):
    for rank in ranks_of(sizes[-1]):
        yield Case(nested_inputs(rng, *sizes), after(rank))


def multirank_linear(rng, *sizes):
    below = ranks_of(sizes[-1])
    for ranks in ((below[-1], 1), (1, *below, below[-1]), (below[len(below) // 2],)):
        yield Case(nested_inputs(rng, *sizes), after(ranks))


GEOMETRIES = (  # kernel, stride, padding; they reach every pixel of 3 x 4
    ((2, 3), {"padding": (1, 2)}),
    ((3, 2), {"stride": (1, 2), "padding": 0}),
    ((1, 1), {}),
    ((3, 4), {"stride": 2, "padding": (0, 1)}),
)


def images(rng, channels, batch=2):
    return rng.standard_normal((batch, channels, 3, 4))


def conv2d(rng, lead, d_in, d_out, R):
    (k_h, k_w), keywords = GEOMETRIES[rng.integers(len(GEOMETRIES))]
    c_in, c_out = min(d_in, 3), min(d_out, 5)
    factors = rng.standard_normal((c_out, c_in, k_h, k_w)), rng.standard_normal(c_out)
    yield Case((images(rng, c_in), *factors), options(**keywords))


def nested_conv2d(rng, lead, d_in, d_out, R):
    (k_h, k_w), keywords = GEOMETRIES[rng.integers(len(GEOMETRIES))]
    shapes = (R, 2, k_h, k_w), (min(d_out, 3), R), (min(d_out, 3),)
    factors = [rng.standard_normal(shape) for shape in shapes]
    for rank in ranks_of(R):
        yield Case((images(rng, 2, min(lead[0], 2)), *factors), lambda f, r=rank: lambda *x: f(*x, r, **keywords))


def average_pool2d(rng, lead, channels, *_):
    for size in ((3, 2), (1, 4), (3, 4)):
        yield Case((images(rng, channels),), after(size))


def elementwise(*forms):
    def cases(rng, lead, d, *_):
        for keywords in forms:
            yield Case((3 * rng.standard_normal((*lead, d)),), options(**keywords))

    return cases


def softmax_cross_entropy(rng, lead, C, *_):
    z, labels = 10 * rng.standard_normal((*lead, C)), rng.integers(0, C, lead)
    ignored = labels.copy()
    ignored[rng.random(lead) < 0.5] = -100
    ignored.flat[0] = C - 1
    for targets, keywords in (
        (labels, {}),
        (labels, {"label_smoothing": 0.25, "reduction": "sum"}),
        (ignored, {"ignore_index": -100, "label_smoothing": 0.125}),
        (rng.integers(0, 9, z.shape) / 8, {"label_smoothing": 0.5}),
    ):
        yield Case((z,), against(targets, keywords))


def mean_squared_error(rng, lead, d, *_):
    y, targets = rng.standard_normal((*lead, d)), rng.integers(-8, 9, (*lead, d)) / 4
    for reduction in ("mean", "sum"):
        yield Case((y,), against(targets, {"reduction": reduction}))


def against(targets, keywords):
    """Bind targets, in the number system of the first input; labels stay integers."""

    def bind(forward):
        return lambda z: forward(z, targets if targets.dtype.kind == "i" else constants(targets, z), **keywords)

    return bind


def layer_norm(rng, lead, d, *_):
    for eps in (1e-5, 0.5):
        yield Case((rng.standard_normal((*lead, d)), *rng.standard_normal((2, d))), options(eps=eps))


def rms_norm(rng, lead, d, *_):
    for eps in (1e-6, 0.5):
        yield Case((rng.standard_normal((*lead, d)), rng.standard_normal(d)), options(eps=eps))


def nested_embedding(rng, lead, V, d_out, R):
    tokens, factors = rng.integers(0, V, lead), (rng.standard_normal((V, R)), rng.standard_normal((d_out, R)))
    for rank in ranks_of(R):
        yield Case(factors, lambda f, r=rank: lambda E, B: f(tokens, E, B, r))


def kl_distillation(rng, lead, C, *_):
    for keywords in ({}, {"temperature": 4.0, "reduction": "sum"}, {"temperature": 0.3}):
        yield Case(tuple(3 * rng.standard_normal((2, *lead, C))), options(**keywords))


def hard_orthogonality(rng, lead, d_in, d_out, R):
    yield Case((rng.standard_normal((R, d_in)),), options())


def residual_orthogonality(rng, lead, d_in, d_out, R):
    for rank, anchor in {(1, R), (R - 1, R), (1, (R + 2) // 2)}:
        yield Case((rng.standard_normal((R, d_in)),), after(rank, anchor))


def distance(rng, lead, d, *_):
    for stop_anchor in (False, True):
        yield Case(tuple(rng.standard_normal((2, *lead, d))), options(stop_anchor=stop_anchor))


def embedding(rng, lead, V, d, *_):
    tokens = rng.integers(0, V, lead)
    yield Case((rng.standard_normal((V, d)),), lambda f: lambda E: f(tokens, E))


def rotary(rng, lead, H, pairs, *_):
    n, T = min(lead[0], 2), 3
    for D, own in ((2 * pairs, True), (2 * pairs + 1, False)):
        tables = rng.uniform(-1, 1, (2, n, T, pairs) if own else (2, T, pairs)).astype(np.float32)
        yield Case((rng.standard_normal((n, T, H, D)),), rotated_by(*tables))


def rotated_by(*tables):
    return lambda f: lambda x: f(x, *(constants(table, x) for table in tables))


def causal_attention(rng, lead, D, G, *_):
    n, T, share = min(lead[0], 2), 3, 2
    mask = rng.random((n, T + 2)) < 0.7
    mask[:, :2] = True  # a gradient of one key that no other query sees may be a sum that no ball can round
    for S, keywords in ((T, {}), (T + 2, {"mask": mask}), (T + 2, {"window": 2, "scale": 0.25})):
        shapes = (n, T, share * G, D), (n, S, G, D), (n, S, G, D)
        yield Case(tuple(rng.standard_normal(shape) for shape in shapes), options(**keywords))


def gated(*forms):
    def cases(rng, lead, d, *_):
        for keywords in forms:
            yield Case(tuple(2 * rng.standard_normal((2, *lead, d))), options(**keywords))

    return cases


def losses_and_ranks(rng, R):
    for ranks in ((R, 1), (1, R, R), (R,)):
        yield rng.random(len(ranks)) + 0.5, 6 * rng.standard_normal(R), ranks


def objective(rng, lead, R, *_):
    for losses, s, ranks in losses_and_ranks(rng, R):
        for variant in VARIANTS:
            yield Case((losses, s), lambda f, r=ranks, v=variant: lambda *inputs: f(*inputs, r, variant=v))


def weighted_sum(rng, lead, R, *_):
    for losses, weights, ranks in losses_and_ranks(rng, R):
        yield Case((losses, weights), after(ranks))


CASES = {
    "dense": dense,
    "nested_linear": nested_linear,
    "multirank_linear": multirank_linear,
    "conv2d": conv2d,
    "nested_conv2d": nested_conv2d,
    "average_pool2d": average_pool2d,
    "relu": elementwise({}),
    "gelu": elementwise({"approximate": "none"}, {"approximate": "tanh"}),
    "silu": elementwise({}),
    "softmax_cross_entropy": softmax_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "objective": objective,
    "weighted_sum": weighted_sum,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "nested_embedding": nested_embedding,
    "kl_distillation": kl_distillation,
    "hard_orthogonality": hard_orthogonality,
    "residual_orthogonality": residual_orthogonality,
    "logits_regularisation": distance,
    "hidden_regularisation": distance,
    "embedding": embedding,
    "rotary": rotary,
    "causal_attention": causal_attention,
    "swiglu": gated({}),
    "geglu": gated({"approximate": "none"}, {"approximate": "tanh"}),
}
OPTIMISERS = {"adamw_step": 3, "sgd_step": 2}  # and the arrays of their state


@st.composite
def sizes(draw):
    """Leading axes (batch 1 among them), d_in, d_out and R: all distinct primes, so R is often above both widths."""
    n, d_in, d_out, R = draw(distinct_primes(4))
    return draw(st.sampled_from([(n,), (1,), (n, 2)])), d_in, d_out, R


def foreign(array):
    """The same numbers, unaligned and read-only, as a mapped file may have them."""
    return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


LAYOUTS = {
    "contiguous": lambda array: array,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "transposed": np.asfortranarray,
    "foreign": foreign,
}


def pair(op):
    """Forward and backward of the reference, and of the kernel."""
    return [(getattr(module, f"{op}_forward"), getattr(module, f"{op}_backward")) for module in (ops, kernels)]


def drawn(op, sizes, seed, dtype):
    """Every case of an operation: reference, kernel, and the inputs with a random cotangent behind them."""
    rng = np.random.default_rng(seed)
    (reference, reference_backward), (kernel, kernel_backward) = pair(op)
    for case in CASES[op](rng, *sizes):
        inputs = [np.asarray(x, dtype) for x in case.inputs]
        forwards = case.bind(reference), case.bind(kernel)
        dy = rng.standard_normal(np.shape(forwards[0](*inputs)[0]))
        yield (
            lambda *a, f=forwards[0]: outputs_and_gradients(f, reference_backward, a[:-1], a[-1]),
            lambda *a, f=forwards[1]: outputs_and_gradients(f, kernel_backward, a[:-1], a[-1]),
            [*inputs, np.asarray(dy, dtype)],
        )


def assert_near(op, sizes, seed, dtype, layout="contiguous"):
    """Output and gradients lie within their rounding bounds of the correctly rounded ones."""
    for reference, kernel, arrays in drawn(op, sizes, seed, dtype):
        found = kernel(*(LAYOUTS[layout](array) if array.ndim else array for array in arrays))
        assert_number_type(dtype, *found)
        truth = balls.certified(lambda *a, f=reference: dict(enumerate(f(*a))), *arrays)
        with rounding.precision(np.dtype(dtype).name):
            bounds = [rounding.errors(x) for x in reference(*map(rounding.rounded, arrays))]
        for k, (value, bound) in enumerate(zip(found, bounds, strict=True)):
            slack = 2.0**-53 * np.abs(truth[k])  # the certified value is itself rounded
            assert (np.abs(value - truth[k]) <= bound + slack).all(), f"{op}: output or gradient {k}"


def assert_same_bits(op, sizes, seed, dtype, exact=lambda array: array):
    for reference, kernel, arrays in drawn(op, sizes, seed, dtype):
        arrays = [exact(array) for array in arrays]
        for value, expected in zip(kernel(*arrays), reference(*arrays), strict=True):
            assert np.asarray(value).tobytes() == np.asarray(expected).tobytes(), op


def test_every_pair_has_cases():
    names = {f"{op}_{way}" for op in CASES for way in ("forward", "backward")} | OPTIMISERS.keys()
    assert {p.reference.__name__ for p in PAIRS} == {p.kernel.__name__ for p in PAIRS} == names
    assert all(p.kernel is getattr(kernels, p.kernel.__name__) and p.kernel is not p.reference for p in PAIRS)
    public = {name for name in kernels.__all__ if name.endswith(("_forward", "_backward", "_step"))}
    assert public == names


@pytest.mark.parametrize("op", CASES)
@given(sizes(), seeds, st.sampled_from(DTYPES), st.sampled_from(sorted(LAYOUTS)))
def test_kernel_is_within_the_rounding_bound(op, sizes, seed, dtype, layout):
    assert_near(op, sizes, seed, dtype, layout)


BITS = sorted({p.reference.__name__.removesuffix("_forward") for p in PAIRS if p.bound == "bits"} & CASES.keys())


@pytest.mark.parametrize("op", BITS)
@given(sizes(), seeds, st.sampled_from(DTYPES))
def test_kernel_has_the_bits_of_the_reference(op, sizes, seed, dtype):
    assert_same_bits(op, sizes, seed, dtype)


EXACT = (
    "dense", "nested_linear", "multirank_linear", "conv2d", "nested_conv2d", "average_pool2d", "weighted_sum",
    "mean_squared_error", "nested_embedding", "embedding",
)  # fmt: skip


@pytest.mark.parametrize("op", EXACT)
@given(sizes(), seeds, st.sampled_from(DTYPES))
def test_kernel_is_exact_on_small_dyadic_numbers(op, sizes, seed, dtype):
    """Sums of products of multiples of 1/4 are exact in any order; dividing by a size rounds the same exact sum."""
    assert_same_bits(op, sizes, seed, dtype, exact=lambda array: np.round(array * 4).clip(-8, 8) / 4 + 0)


def loops():
    """Every compiled loop: module and name."""
    for module in vars(kernels).values():
        if isinstance(module, ModuleType) and module.__name__.startswith(kernels.__name__):
            yield from ((module, name) for name, value in vars(module).items() if hasattr(value, "py_func"))


@pytest.fixture
def python_bodies(monkeypatch):
    """Run the loops as plain Python, which also refuses to index beyond an array's end."""
    found = list(loops())
    assert len({name for _, name in found}) > 15
    for module, name in found:
        monkeypatch.setattr(module, name, getattr(module, name).py_func)


@pytest.mark.parametrize("op", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_python_body_is_within_the_rounding_bound(python_bodies, op, dtype):
    for sizes in (((5,), 3, 2, 7), ((1,), 2, 5, 3)):
        assert_near(op, sizes, 1, dtype)


USE_A_PART = ("embedding", "nested_embedding", "residual_orthogonality")  # of the first input: its gradient is not 0


@pytest.mark.parametrize("op", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_goes_through(op, dtype):
    """NaN in any input or the cotangent reaches an output; one NaN in the first input, the forward's."""
    for _, kernel, arrays in drawn(op, ((5,), 3, 2, 7), 2, dtype):
        for k, array in enumerate(arrays):
            changed = [*arrays[:k], np.full_like(array, np.nan), *arrays[k + 1 :]]
            assert any(np.isnan(value).any() for value in kernel(*changed)), f"{op}: NaN in input {k} is lost"
        used = kernel(*arrays)[1] != 0 if op in USE_A_PART else np.full(arrays[0].shape, True)
        for position in np.flatnonzero(used):
            first = arrays[0].copy()
            first.flat[position] = np.nan
            assert np.isnan(kernel(first, *arrays[1:])[0]).any(), f"{op}: NaN at {position} is lost"


def state(rng, count, dtype):
    p, g, *moments = rng.standard_normal((count + 1, 7, 11)).astype(dtype)
    return [p, g, *map(np.abs, moments)]


SETTINGS = [
    {"lr": 0.25},
    {"lr": 1e-3, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.99, "eps": 1e-3, "t": np.int64(7)},
    {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9},
]


def step(optimiser, arrays, setting, **out):
    takes = {"adamw_step": {"beta1", "beta2", "eps"}, "sgd_step": {"momentum"}}[optimiser.__name__]
    keywords = {key: value for key, value in setting.items() if key in {"lr", "weight_decay", *takes}}
    t = [setting.get("t", 1)] if optimiser.__name__ == "adamw_step" else []
    return optimiser(*arrays, *t, **keywords, **out)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_optimiser_step_has_the_bits_of_the_reference(rng, name, setting, dtype, layout):
    arrays = state(rng, OPTIMISERS[name], dtype)
    expected = step(getattr(optimizers, name), arrays, setting)
    before = [array.copy() for array in arrays]
    found = step(getattr(kernels, name), [LAYOUTS[layout](array) for array in arrays], setting)
    assert type(found) is type(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype and a.tobytes() == b.tobytes()
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True)), "an input was written to"
    p, g, *moments = arrays
    in_place = step(getattr(kernels, name), arrays, setting, out=(p, *moments))
    assert in_place.p is p and p.tobytes() == expected.p.tobytes() and (g == before[1]).all()
    g[0, 0] = np.nan
    assert all(np.isnan(a[0, 0]) for a in step(getattr(kernels, name), arrays, setting))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_python_body_of_an_optimiser_has_the_bits_of_the_reference(python_bodies, rng, name):
    arrays = state(rng, OPTIMISERS[name], np.float64)
    for setting in SETTINGS:
        found, expected = (step(getattr(module, name), arrays, setting) for module in (kernels, optimizers))
        assert all(a.tobytes() == b.tobytes() for a, b in zip(found, expected, strict=True))


def drop_last_row(dy, db):
    db[:] = dy[:-1].sum(axis=0)


def shift_by_a_column(x, stride, padding, out):
    patches_loop.py_func(np.roll(x, 1, axis=-1), stride, padding, out)


def forget_components_between(before, h, columns, start, rank, first, y):
    y[:] = before + np.outer(h[first : first + len(y), rank - 1], columns[rank - 1])


def drop_last_row_of_pixels(dpatches, stride, padding, dx):
    sum_of_patches_loop.py_func(dpatches, stride, padding, dx)
    dx[:, :, -1] = 0


def mean_of_a_row(x, k_h, k_w, y):
    y[:] = x[:, ::k_h].reshape(*y.shape, k_w).mean(axis=-1)


def swap_sign_of_slope(dy, z, p, dz):
    dz[:] = dy * (p - z * p * (1 - p))


def pass_everything(dy, z, dz):
    dz[:] = dy


def forget_one_class(z, top, t, p):
    total = p[:, 1:].sum(axis=-1, keepdims=True)
    p /= total
    return (t * (np.log(total) - (z - top[:, None]))).sum()


def forget_the_penalty(losses, s, ranks, variant, w):
    w[:] = np.exp(-s[ranks - 1])
    return (w * losses).sum()


def forget_duplicates(dtotal, losses, weights, ranks, dlosses, dweights):
    dlosses[:], dweights[:] = weights[ranks - 1] * dtotal, 0
    dweights[ranks - 1] = losses * dtotal


def off_by_a_millionth(y, targets, residual):
    residual[:] = y - targets
    return (residual * residual).sum() * (1 + 1e-5)


def forget_that_the_mean_moves(dy, x_hat, scale, w, dx, dw, db):
    layer_norm_backward_loop.py_func(dy, x_hat, scale, w, dx, dw, db)
    dx += scale[:, None] * (dy * w).mean(axis=1, keepdims=True)


def add_eps_outside_the_root(x, w, eps, x_hat, scale, y):
    scale[:] = 1 / (np.sqrt((x * x).mean(axis=1)) + eps)
    x_hat[:] = x * scale[:, None]
    y[:] = x_hat * w


def forget_repeated_tokens(tokens, dh, dE):
    dE[:] = 0
    dE[tokens, : dh.shape[1]] = dh
    return -1


def hold_the_teachers_divergence(p, q, log_ratio, scale, dz, dteacher_z):
    dz[:], dteacher_z[:] = (p - q) * scale, q * log_ratio * scale


def forget_the_identity(gap):
    return (gap * gap).sum()


def a_millionth_too_much(x):
    return (x * x).sum() * (1 + 1e-5)


def push_the_anchor(difference, factor, stop_anchor, danchor, dvariant):
    danchor[:] = dvariant[:] = -difference * factor


def pair_neighbours(x, cos, sin, y):
    even, odd = x[..., ::2], x[..., 1::2]
    y[:] = x
    y[..., ::2], y[..., 1::2] = even * cos[:, None] - odd * sin[:, None], odd * cos[:, None] + even * sin[:, None]


def see_the_next_key(p, mask, scale, window):
    p *= scale
    p -= p.max(axis=-1, keepdims=True)
    np.exp(p, out=p)
    p *= np.tri(*p.shape[2:], 1 + p.shape[3] - p.shape[2])
    p /= p.sum(axis=-1, keepdims=True)


def forget_the_scale(dp, p, scale):
    dp[:] = p * (dp - (p * dp).sum(axis=-1, keepdims=True))


DEFECTS = [
    ("dense", "dense", "sum_rows_loop", drop_last_row),
    ("nested_linear", "nested_linear", "sum_rows_loop", drop_last_row),
    ("multirank_linear", "multirank_linear", "sum_rows_loop", drop_last_row),
    ("multirank_linear", "prefix", "continue_loop", forget_components_between),
    ("conv2d", "patches", "sum_of_patches_loop", drop_last_row_of_pixels),
    ("nested_conv2d", "patches", "patches_loop", shift_by_a_column),
    ("average_pool2d", "average_pool2d", "average_pool2d_forward_loop", mean_of_a_row),
    ("silu", "silu", "silu_backward_loop", swap_sign_of_slope),
    ("gelu", "gelu", "TANH_SCALE", math.sqrt(8 / 3.15)),
    ("relu", "relu", "relu_backward_loop", pass_everything),
    ("softmax_cross_entropy", "softmax_cross_entropy", "normalise_loop", forget_one_class),
    ("objective", "objective", "objective_forward_loop", forget_the_penalty),
    ("weighted_sum", "weighted_sum", "weighted_sum_backward_loop", forget_duplicates),
    ("mean_squared_error", "mean_squared_error", "mean_squared_error_loop", off_by_a_millionth),
    ("layer_norm", "layer_norm", "layer_norm_backward_loop", forget_that_the_mean_moves),
    ("rms_norm", "rms_norm", "rms_norm_forward_loop", add_eps_outside_the_root),
    ("nested_embedding", "embedding", "add_up_loop", forget_repeated_tokens),
    ("kl_distillation", "kl_distillation", "kl_distillation_backward_loop", hold_the_teachers_divergence),
    ("hard_orthogonality", "hard_orthogonality", "minus_identity_loop", forget_the_identity),
    ("residual_orthogonality", "residual_orthogonality", "sum_of_squares", a_millionth_too_much),
    ("logits_regularisation", "hidden_regularisation", "pull_loop", push_the_anchor),
    ("hidden_regularisation", "hidden_regularisation", "mean_squared_error_loop", off_by_a_millionth),
    ("embedding", "embedding", "add_up_loop", forget_repeated_tokens),
    ("rotary", "rotary", "rotary_loop", pair_neighbours),
    ("causal_attention", "causal_attention", "softmax_loop", see_the_next_key),
    ("causal_attention", "causal_attention", "softmax_backward_loop", forget_the_scale),
    ("swiglu", "silu", "silu_backward_loop", swap_sign_of_slope),
    ("geglu", "gelu", "TANH_SCALE", math.sqrt(8 / 3.15)),
]


@pytest.mark.parametrize(("op", "module", "name", "defect"), DEFECTS, ids=[f"{d[0]}-{d[2]}" for d in DEFECTS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_planted_defect_is_refused(python_bodies, monkeypatch, op, module, name, defect, dtype):
    monkeypatch.setattr(getattr(kernels, module), name, defect)
    with pytest.raises(AssertionError, match=f"{op}: output or gradient"):
        assert_near(op, ((5,), 3, 2, 7), 1, dtype)


def structure(saved):
    """Types and shapes of a saved context, those within it too."""
    inner = [structure(part) for part in saved] if isinstance(saved, tuple) else np.shape(saved)
    return type(saved), inner


@pytest.mark.parametrize("op", CASES)
def test_saved_contexts_are_interchangeable(op, rng):
    """The kernel's backward takes what the reference's forward saved, and the other way round."""
    (forward, backward), (kernel_forward, kernel_backward) = pair(op)
    for case in CASES[op](rng, (5,), 3, 2, 7):
        (y, saved), (_, kernel_saved) = (case.bind(f)(*case.inputs) for f in (forward, kernel_forward))
        assert type(saved) is type(kernel_saved)
        assert structure(saved) == structure(kernel_saved)
        dy = y if np.ndim(y) else np.float64(0.75)
        swapped = backward(dy, kernel_saved), kernel_backward(dy, saved)
        for a, b in zip(*(grads if isinstance(grads, tuple) else (grads,) for grads in swapped), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
