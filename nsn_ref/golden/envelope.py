"""The operations again, over numbers with error bounds, wide enough for every correct formula.

`certify.rounding` allows any order of summation within one formula. But a port may also multiply B A out first, divide
by a sum instead of subtracting its logarithm, or interpolate a moment instead of adding two products. Here each
operation is evaluated by every formula that a correct port is known to use, and the largest of their bounds is passed
on to the next operation. So a chain is bounded for every mixture of formulas.

Where an operation has one formula only, it is the reference's. Over numbers without errors (Fractions, balls,
`certify.exactness`) all formulas are evaluated too, and the first is returned: they agree, which the tests check.

Under a contract with several formats every operation works in the elementwise one and stores what it returns;
`certify.rounding` charges products of matrices and sums over an axis by their own.
"""

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.certify import rounding
from nsn_ref.certify.rounding import ContractArray, Rounded
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.ops.conv2d import Conv2dSaved
from nsn_ref.ops.gelu import CUBIC, GeluSaved
from nsn_ref.ops.nested_conv2d import NestedConv2dSaved
from nsn_ref.ops.softmax_cross_entropy import SoftmaxCrossEntropySaved
from nsn_ref.patches import geometry, patches, sum_of_patches
from nsn_ref.scalars import (
    at_ranks,
    erf,
    exp,
    largest,
    log,
    log1p,
    logistic,
    number,
    one_hot,
    pi,
    rows,
    rsqrt,
    sqrt,
    sum_by_rank,
    tanh,
    zeros_like,
)  # fmt: skip
from nsn_ref.training.optimizers import AdamWResult, SGDResult

_OF_MASTERS = (  # operations on losses, log-variances and parameters
    "objective", "weighted_sum", "analytic_weights", "softmax_weights", "gradnorm", "renormalised",
    "softmax_cross_entropy_forward", "mean_squared_error_forward", "kl_distillation_forward",
    "hard_orthogonality", "residual_orthogonality", "logits_regularisation_forward", "hidden_regularisation_forward",
)  # fmt: skip


def __getattr__(name):
    """Operations with one formula: the reference's."""
    return _operation(getattr(reference, name))


def _operation(function, inside="elementwise"):
    """An operation whose arguments and results are stored, and whose inner arithmetic is of one kind."""
    kind = "master" if function.__name__.startswith(_OF_MASTERS) or inside == "optimizer" else "storage"

    @functools.wraps(function)
    def operation(*args, **options):
        if not rounding.arithmetic().is_mixed:
            return function(*args, **options)
        args = [_closed(x) for x in args]
        with rounding.inside(inside):
            result = _closed(function(*args, **options))
        if isinstance(result, (AdamWResult, SGDResult)):
            return type(result)(*(rounding.stored(x, kind) for x in result))
        if not isinstance(result, tuple):
            return rounding.stored(result, kind)
        return tuple(x if hasattr(x, "_fields") else rounding.stored(x, kind) for x in result)  # not a saved context

    return operation


def _closed_if_mixed(x):
    return _closed(x) if rounding.arithmetic().is_mixed else x


def _closed(x):
    """Every number in an array, a context or a tuple of arrays, with its additions charged."""
    if isinstance(x, tuple):
        parts = [_closed(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, np.ndarray) and x.dtype == object:
        return rounding.objects([value.closed() for value in x.ravel().tolist()], x.shape).view(ContractArray)
    return x.closed() if isinstance(x, Rounded) else x


def widest(first, *others):
    """The first array (or number), each element with the largest of the error bounds."""
    if not isinstance(first, np.ndarray):
        return widest(np.array(first, dtype=object), *others)[()]
    if not first.size or not isinstance(first.flat[0], Rounded):
        return first
    forms = [np.asarray(form, dtype=object).ravel().tolist() for form in (first, *others)]
    widened = [
        Rounded(at[0].v, max(f.error for f in at), bits=max(f.closed().bits for f in at))
        for at in zip(*forms, strict=True)
    ]
    return rounding.objects(widened, first.shape).view(type(first))


def _matmul(x, W, b=None, more=0):
    """x W^T + b, where a port may add `more` further terms to the same sums; x of any leading axes."""
    if rounding.arithmetic().is_mixed:
        return rounding.product(x, W.T, b, more)
    return x @ W.T if b is None else x @ W.T + b


def _added(parts):
    """The sum of arrays, each of them and each partial sum stored; in any order."""
    if rounding.arithmetic().is_mixed:
        stack = rounding.stored(np.stack(parts).view(ContractArray))
        with rounding.inside("storage"):
            return rounding.stored(rounding.total(stack, axis=0, kind="storage"))
    out = zeros_like(parts[0])
    for part in parts:
        out = out + part
    return out


def _merges():
    """Whether B A may be multiplied out."""
    return rounding.arithmetic().merged_weights


# --- linear layers: one rank is the case K = 1 ------------------------------------------------------------------------


@_operation
def dense_forward(x, W, b):
    """As `nsn_ref.ops.dense_forward`."""
    return _matmul(x, W, b), reference.DenseSaved(x, W)


@_operation
def dense_backward(dy, saved):
    """As `nsn_ref.ops.dense_backward`."""
    x, W = saved
    return _matmul(dy, W.T), _matmul(rows(dy).T, rows(x).T), _sum_over_rows(dy)


@_operation
def nested_linear_forward(x, A, B, b, rank):
    """As `nsn_ref.ops.nested_linear_forward`."""
    ys, saved = multirank_linear_forward(x, A, B, b, [rank])
    return ys[0], reference.NestedLinearSaved(x, A, B, saved.h)


@_operation
def nested_linear_backward(dy, saved):
    """As `nsn_ref.ops.nested_linear_backward`."""
    ranks = (saved.h.shape[-1],)
    return multirank_linear_backward(dy[None], reference.MultirankLinearSaved(*saved, ranks))


@_operation
def multirank_linear_forward(x, A, B, b, ranks):
    """As `nsn_ref.ops.multirank_linear_forward`: rank by rank, in one pass, or with W_r = B_r A_r multiplied out."""
    one_pass, saved = reference.multirank_linear_forward(x, A, B, b, ranks)
    forms = []
    if rounding.arithmetic().is_mixed:
        forms.append(np.stack([_matmul(saved.h[..., :r], B[:, :r], b) for r in ranks]))
        forms.append(_prefix_sums(saved.h, B, b, ranks))
    if _merges():
        forms.append(np.stack([_matmul(x, B[:, :r] @ A[:r], b) for r in ranks]))
    return widest(one_pass, *forms), saved


def _prefix_sums(h, B, b, ranks):
    """Outputs in one pass, each partial one stored."""
    edges = sorted(set(ranks))
    parts = [b + zeros_like(h[..., :1])]
    parts += [_matmul(h[..., start:r], B[:, start:r]) for start, r in zip([0, *edges[:-1]], edges, strict=True)]
    parts[0] = parts[0] + zeros_like(parts[1])
    return np.stack([_added(parts[: edges.index(r) + 2]) for r in ranks])


@_operation
def multirank_linear_backward(dys, saved):
    """As `nsn_ref.ops.multirank_linear_backward`: by suffix sums, by a shared dh, rank by rank, or through dW_r."""
    forms = [_by_suffix_sums, _rank_by_rank]
    if len(dys) > 1:  # else the same as rank by rank
        forms.append(_by_shared_dh)
    if _merges():
        forms.append(_through_dW)
    return tuple(widest(*grads) for grads in zip(*(form(dys, saved) for form in forms), strict=True))


_by_suffix_sums = reference.multirank_linear_backward


def _by_shared_dh(dys, saved):
    x, A, B, h, ranks = saved
    top, dh, dB = h.shape[-1], [], []
    for dy, r in _pairs(dys, ranks):
        dh.append(_columns(h, r, _matmul(dy, B[:, :r].T, more=_more(dys, dy))))
        dB.append(_columns(B, r, _matmul(rows(dy).T, rows(h[..., :r]).T, more=_more(dys, rows(dy).T))))
    dh, dA = _added(dh), zeros_like(A)
    dA[:top] = _matmul(rows(dh).T, rows(x).T)
    return _matmul(dh, A[:top].T), dA, _added(dB), _sum_over_rows(dys)


def _rank_by_rank(dys, saved):
    x, A, B, h, ranks = saved
    dx, dA, dB = [], [], []
    for dy, r in _pairs(dys, ranks):
        dh = _matmul(dy, B[:, :r].T)
        dx.append(_matmul(dh, A[:r].T, more=_more(dys, dh)))
        dA.append(_rows(A, r, _matmul(rows(dh).T, rows(x).T, more=_more(dys, rows(dh).T))))
        dB.append(_columns(B, r, _matmul(rows(dy).T, rows(h[..., :r]).T, more=_more(dys, rows(dy).T))))
    return _added(dx), _added(dA), _added(dB), _added([_sum_over_rows(dy) for dy in dys])


def _through_dW(dys, saved):
    x, A, B, _, ranks = saved
    dx, dA, dB = [], [], []
    for dy, r in _pairs(dys, ranks):
        dW = _matmul(rows(dy).T, rows(x).T)
        dx.append(_matmul(dy, (B[:, :r] @ A[:r]).T))
        dA.append(_rows(A, r, _matmul(B[:, :r].T, dW.T)))
        dB.append(_columns(B, r, _matmul(dW, A[:r])))
    return _added(dx), _added(dA), _added(dB), _sum_over_rows(dys)


def _pairs(dys, ranks):
    return zip(dys, ranks, strict=True)


def _more(dys, factor):
    """Terms that the other ranks bring to a sum over the last axis of a factor, where all are added at once."""
    return (len(dys) - 1) * factor.shape[-1]


def _columns(like, r, part):
    out = zeros_like(like)
    out[..., :r] = part
    return out


def _rows(like, r, part):
    out = zeros_like(like)
    out[:r] = part
    return out


def _sum_over_rows(dys):
    return rows(dys).sum(axis=0)


# --- convolutions and embeddings --------------------------------------------------------------------------------------


@_operation
def conv2d_forward(x, W, b, *, stride=1, padding=0):
    """As `nsn_ref.ops.conv2d_forward`: a dense layer on patches."""
    stride, padding = geometry("conv2d_forward", "W", W.shape[2:], x.shape, stride, padding)
    y, dense = dense_forward(patches(x, W.shape[2:], stride, padding), W.reshape(len(W), -1), b)
    return np.moveaxis(y, -1, 1), Conv2dSaved(dense, x.shape, W.shape[2:], stride, padding)


@_operation
def conv2d_backward(dy, saved):
    """As `nsn_ref.ops.conv2d_backward`: the patches stored and added up, or all terms in one sum."""
    dense, x_shape, kernel, stride, padding = saved
    dy = np.moveaxis(dy, 1, -1)
    _, dW, db = dense_backward(dy, dense)
    dx = _sum_of_patches(dy, dense.W, x_shape, kernel, stride, padding)
    return dx, dW.reshape(len(dW), x_shape[1], *kernel), db


def _sum_of_patches(dy, W, x_shape, kernel, stride, padding):
    dpatches = _matmul(dy, W.T, more=(math.prod(kernel) - 1) * dy.shape[-1])
    with rounding.inside("storage"):
        return _closed_if_mixed(sum_of_patches(dpatches, x_shape, kernel, stride, padding))


@_operation
def nested_conv2d_forward(x, A, B, b, rank, *, stride=1, padding=0, seen=None):
    """As `nsn_ref.ops.nested_conv2d_forward`: a nested linear layer on patches."""
    stride, padding = geometry("nested_conv2d_forward", "A", A.shape[2:], x.shape, stride, padding)
    seen = patches(x, A.shape[2:], stride, padding) if seen is None else seen
    y, linear = nested_linear_forward(seen, A.reshape(len(A), -1), B, b, rank)
    return np.moveaxis(y, -1, 1), NestedConv2dSaved(linear, x.shape, A.shape[2:], stride, padding)


@_operation
def nested_conv2d_backward(dy, saved):
    """As `nsn_ref.ops.nested_conv2d_backward`: by way of dh, or of B_r A_r multiplied out."""
    linear, x_shape, kernel, stride, padding = saved
    dy, r = np.moveaxis(dy, 1, -1), linear.h.shape[-1]
    _, dA, dB, db = nested_linear_backward(dy, linear)
    place = x_shape, kernel, stride, padding
    dx = [_sum_of_patches(_matmul(dy, linear.B[:, :r].T), linear.A[:r], *place)]
    if _merges():
        dx.append(_sum_of_patches(dy, linear.B[:, :r] @ linear.A[:r], *place))
    return widest(*dx), dA.reshape(len(dA), x_shape[1], *kernel), dB, db


@_operation
def nested_embedding_forward(tokens, E, B, rank):
    """As `nsn_ref.ops.nested_embedding_forward`: looked up first, or in the product of the two factors."""
    y, saved = reference.nested_embedding_forward(tokens, E, B, rank)
    return (widest(y, (E[:, :rank] @ B[:, :rank].T)[tokens]) if _merges() else y), saved


@_operation
def nested_embedding_backward(dy, saved):
    """As `nsn_ref.ops.nested_embedding_backward`: rows of dh stored and added, or by way of dW."""
    tokens, E, B, h = saved
    rank, flat = h.shape[-1], tokens.reshape(-1)
    dE, dB = zeros_like(E), zeros_like(B)
    dh = _matmul(rows(dy), B[:, :rank].T)
    dB[:, :rank] = _matmul(rows(dy).T, rows(h).T)
    for token in set(flat.tolist()):
        dE[token, :rank] = _added(list(dh[flat == token]))
    if not _merges():
        return dE, dB
    hot = one_hot(flat, len(E), like=E)
    dW = _matmul(rows(dy).T, hot.T)  # (d_out, V)
    through_E, through_B = zeros_like(E), zeros_like(B)
    through_E[:, :rank] = _matmul(dW.T, B[:, :rank].T)
    through_B[:, :rank] = _matmul(dW, E[:, :rank].T)
    return widest(dE, through_E), widest(dB, through_B)


# --- activations ------------------------------------------------------------------------------------------------------


def _undecided_as(choose, z, *others):
    """`choose(z, ...)` number by number, for signs that an error leaves open under a contract of several formats."""
    out = np.empty_like(z, order="C")
    for index, number_ in np.ndenumerate(z):
        out[index] = choose(number_, *(x[index] for x in others))
    return out


@_operation
def relu_forward(z):
    """As `nsn_ref.ops.relu_forward`; where the sign is open, the function still moves no more than z.

    Claims: FLT-9.
    """
    if not rounding.arithmetic().is_mixed:
        return reference.relu_forward(z)
    return _undecided_as(_relu, z), reference.ReluSaved(z)


def _relu(z):
    try:
        return z if z > 0 else z * 0
    except NeedMorePrecision:
        return Rounded(max(z.v, 0.0), z.error, bits=z.bits)


@_operation
def relu_backward(dy, saved):
    """As `nsn_ref.ops.relu_backward`; where the sign is open, the derivative may be 0 or 1."""
    if not rounding.arithmetic().is_mixed:
        return reference.relu_backward(dy, saved)
    return _undecided_as(_relu_slope, saved.z, dy)


def _relu_slope(z, dy):
    try:
        return dy if z > 0 else dy * 0
    except NeedMorePrecision:
        return Rounded(dy.v if z.v > 0 else 0.0, abs(dy.v) + 2 * dy.error, bits=dy.closed().bits)


# Where the error of z is so large that a formula has no bound, the function still moves by no more than its slope lets
# it: the largest slope of each is below 1.13, and of each derivative below 1.


def _guarded(formula, z, *others, limit):
    """`formula(z, ...)`, number by number where it has no bound; each error at most `limit(z, ...)`."""
    if not rounding.arithmetic().is_mixed:
        return formula(z, *others)
    try:
        y = formula(z, *others)
    except NeedMorePrecision:
        y = np.empty_like(z, order="C")
        for index in np.ndindex(z.shape):
            y[index] = _guarded_number(formula, *(np.array(x[index], dtype=object) for x in (z, *others)))
    return _spread(y, np.minimum(rounding.errors(y), limit(z, *others)))


def _guarded_number(formula, z, *others):
    try:
        y = formula(z, *others)
    except NeedMorePrecision:
        centre = np.array(Rounded(z[()].v), dtype=object)
        y = formula(centre, *others)
        y = y[()] if isinstance(y, np.ndarray) else y
        return Rounded(y.v, math.inf, bits=y.closed().bits)
    return y[()] if isinstance(y, np.ndarray) else y


def _units():
    """A generous number of roundings for all steps of an activation, and what a flush to zero costs."""
    a = rounding.arithmetic()
    return (32 + 4 * a.ulps) * a.current.unit_roundoff, 8 * a.tiny(a.current)


def _activation_limit(z):
    (u, tiny), e = _units(), rounding.errors(z)
    size = abs(rounding.values(z)) + 2 * e
    return np.where(size > 0, 1.13 * e + u * size + tiny, 0.0)


def _slope_limit(z, dy):
    (u, tiny), e, e_dy = _units(), rounding.errors(z), rounding.errors(dy)
    size, size_dy = abs(rounding.values(z)) + 2 * e, abs(rounding.values(dy)) + 2 * e_dy
    off = np.minimum(e, 2.5) + u * (1 + size + size**3)
    return np.where(size_dy > 0, size_dy * off + 1.13 * e_dy + tiny * (1 + size_dy) * (1 + size), 0.0)


@_operation
def gelu_forward(z, *, approximate="none"):
    """As `nsn_ref.ops.gelu_forward`, or by 1 + erf and 1 + tanh as the papers have it."""
    y = _guarded(functools.partial(_gelu, approximate=approximate), z, limit=_activation_limit)
    return y, GeluSaved(z, None, approximate)


def _gelu(z, approximate):
    y, (_, phi, _) = reference.gelu_forward(z, approximate=approximate)
    half = number(Fraction(1, 2), z)
    return widest(y, z * phi, *(form for p in _plus(z, approximate) for form in (half * z * p, z * (half * p))))


def _plus(z, approximate):
    """1 + erf(z / sqrt 2) or 1 + tanh w, which is twice Phi."""
    if approximate == "none":
        return [1 + erf(z * sqrt(number(Fraction(1, 2), z))), 1 + erf(z / sqrt(number(2, z)))]
    return [1 + tanh(w) for w in _inner(z)]


def _inner(z):
    """sqrt(2 / pi) (z + 0.044715 z^3) and sqrt(2 / pi) z (1 + 0.044715 z^2)."""
    c, k = sqrt(2 / pi(z)), number(CUBIC, z)
    return c * (z + k * z * z * z), c * (z + k * z**3), c * z * (1 + k * z * z)


@_operation
def gelu_backward(dy, saved):
    """As `nsn_ref.ops.gelu_backward`, or with 1 - tanh^2, or with dy inside the sum."""
    return _guarded(functools.partial(_gelu_slope, approximate=saved.approximate), saved.z, dy, limit=_slope_limit)


def _gelu_slope(z, dy, approximate):
    half = number(Fraction(1, 2), z)
    _, saved = reference.gelu_forward(z, approximate=approximate)
    phi = widest(saved.phi, *(half * p for p in _plus(z, approximate)))
    first = reference.gelu_backward(dy, saved._replace(phi=phi))
    if approximate == "none":
        dphis = [exp(-z * z / 2) * sqrt(half / pi(z)), exp(-half * z * z) / sqrt(2 * pi(z))]
    else:
        c, k = sqrt(2 / pi(z)), number(CUBIC, z)
        slopes = c * (1 + 3 * k * z * z), c + 3 * k * c * z * z
        T = widest(*(tanh(w) for w in _inner(z)))
        dphis = [half * f * s for f in (1 - T * T, (1 - T) * (1 + T)) for s in slopes]
    return widest(first, *(form for d in dphis for form in (dy * (phi + z * d), dy * phi + dy * z * d)))


@_operation
def silu_forward(z):
    """As `nsn_ref.ops.silu_forward`, or z / (1 + exp(-z)), or by tanh.

    Claims: FLT-9.
    """
    return _guarded(_silu, z, limit=_activation_limit), reference.SiluSaved(z, None)


def _silu(z):
    y, _ = reference.silu_forward(z)
    return widest(y, *(z * form for form in _logistic_forms(z)), z / (1 + exp(-z)))


def _logistic_forms(z):
    half = number(Fraction(1, 2), z)
    return 1 / (1 + exp(-z)), half * (1 + tanh(half * z))


@_operation
def silu_backward(dy, saved):
    """As `nsn_ref.ops.silu_backward`, or with 1 - p."""
    return _guarded(_silu_slope, saved.z, dy, limit=_slope_limit)


def _silu_slope(z, dy):
    _, saved = reference.silu_forward(z)
    p = widest(saved.p, *_logistic_forms(z))
    return widest(
        reference.silu_backward(dy, saved._replace(p=p)),
        dy * (p + z * p * (1 - p)),
        dy * (p * (1 + z * (1 - p))),
        dy * p + dy * z * p * (1 - p),
    )


# --- norms ------------------------------------------------------------------------------------------------------------
# The variance as the mean of squares less the square of the mean is not among the formulas: where the mean is large its
# error has no bound in terms of the result.


class _LayerNormSaved(NamedTuple):
    x_hat: np.ndarray
    scale: np.ndarray
    w: np.ndarray
    x: np.ndarray
    eps: float


@_operation
def layer_norm_forward(x, w, b, eps=1e-5):
    """As `nsn_ref.ops.layer_norm_forward`: by a root or its reciprocal, centred before or after the scaling."""
    y, (x_hat, scale, _) = reference.layer_norm_forward(x, w, b, eps)
    d = x.shape[-1]
    mean = x.sum(axis=-1, keepdims=True) / d
    centred = x - mean
    variance = (centred * centred).sum(axis=-1, keepdims=True) / d + number(eps, like=x)
    scale = widest(scale, 1 / sqrt(variance))
    x_hat = widest(x_hat, centred * scale, centred / sqrt(variance), *_not_centred(x, 1, 0, eps))
    forms = x_hat * w + b, centred * (scale * w) + b, *_not_centred(x, w, b, eps)
    return widest(y, *forms), _LayerNormSaved(x_hat, scale, w, x, eps)


def _not_centred(x, w, b, eps):
    """With the mean subtracted after the scaling, as kernels do that keep everything in the accumulator's format."""
    with rounding.inside("accumulator"):
        mean, scale = _statistics(x, eps)
        return _closed_if_mixed((x * (scale * w) + (b - mean * (scale * w)), (x * scale - mean * scale) * w + b))


def _statistics(x, eps):
    mean = x.sum(axis=-1, keepdims=True) / x.shape[-1]
    centred = x - mean
    return mean, rsqrt((centred * centred).sum(axis=-1, keepdims=True) / x.shape[-1] + number(eps, like=x))


@_operation
def layer_norm_backward(dy, saved):
    """As `nsn_ref.ops.layer_norm_backward`, or as a combination of dx_hat, x and 1 with x not centred."""
    x_hat, scale, w, x, eps = saved
    dx, dw, db = reference.layer_norm_backward(dy, reference.LayerNormSaved(x_hat, scale, w))
    d, dx_hat = x.shape[-1], dy * w
    plain, along = (s.sum(axis=-1, keepdims=True) for s in (dx_hat, dx_hat * x_hat))
    factored = scale / d * (d * dx_hat - plain - x_hat * along)
    return widest(dx, factored, _combined(dy * w, x, eps)), dw, db


def _combined(dx_hat, x, eps):
    """The same, of such kernels."""
    with rounding.inside("accumulator"):
        (mean, scale), d = _statistics(x, eps), x.shape[-1]
        plain, along = (s.sum(axis=-1, keepdims=True) for s in (dx_hat, dx_hat * x))
        slope = (plain * mean - along) * (scale * scale * scale / d)
        return _closed_if_mixed(scale * dx_hat + slope * x + (-(slope * mean) - plain * scale / d))


class _RmsNormSaved(NamedTuple):
    x_hat: np.ndarray
    scale: np.ndarray
    w: np.ndarray
    x: np.ndarray


@_operation
def rms_norm_forward(x, w, eps=1e-6):
    """As `nsn_ref.ops.rms_norm_forward`: by a root or its reciprocal, weighted before or after."""
    y, (x_hat, scale, _) = reference.rms_norm_forward(x, w, eps)
    square = (x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + number(eps, like=x)
    scale = widest(scale, 1 / sqrt(square))
    x_hat = widest(x_hat, x * scale, x / sqrt(square))
    return widest(y, x_hat * w, x * (scale * w), x * w * scale), _RmsNormSaved(x_hat, scale, w, x)


@_operation
def rms_norm_backward(dy, saved):
    """As `nsn_ref.ops.rms_norm_backward`, or with the cube of the scale."""
    x_hat, scale, w, x = saved
    dx, dw = reference.rms_norm_backward(dy, reference.RmsNormSaved(x_hat, scale, w))
    dx_hat = dy * w
    along = (dx_hat * x).sum(axis=-1, keepdims=True) / x.shape[-1]
    return widest(dx, scale * dx_hat - x * (scale * scale * scale * along)), dw


# --- what decoders have -----------------------------------------------------------------------------------------------


@_operation
def embedding_backward(dy, saved):
    """As `nsn_ref.ops.embedding_backward`: rows of equal tokens stored and added, in any order."""
    tokens, E = saved
    dE, dy, flat = zeros_like(E), rows(dy), tokens.reshape(-1)
    for token in set(flat.tolist()):
        dE[token] = _added(list(dy[flat == token]))
    return dE


@_operation
def swiglu_forward(gate, up):
    """As `nsn_ref.ops.swiglu_forward`."""
    activated, silu = silu_forward(gate)
    return activated * up, reference.SwigluSaved(up, activated, silu)


@_operation
def swiglu_backward(dy, saved):
    """As `nsn_ref.ops.swiglu_backward`: the other factor before or after the derivative."""
    return _through_gate(silu_backward, dy, *saved)


@_operation
def geglu_forward(gate, up, *, approximate="none"):
    """As `nsn_ref.ops.geglu_forward`."""
    activated, gelu = gelu_forward(gate, approximate=approximate)
    return activated * up, reference.GegluSaved(up, activated, gelu)


@_operation
def geglu_backward(dy, saved):
    """As `nsn_ref.ops.geglu_backward`: the other factor before or after the derivative."""
    return _through_gate(gelu_backward, dy, *saved)


def _through_gate(activation_backward, dy, up, activated, saved):
    dgate = widest(activation_backward(dy * up, saved), activation_backward(dy, saved) * up)
    return dgate, dy * activated


class _CausalAttentionSaved(NamedTuple):
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    p: np.ndarray
    y: np.ndarray
    scale: Rounded


@_operation
def causal_attention_forward(q, k, v, mask=None, scale=None, window=None):
    """As `nsn_ref.ops.causal_attention_forward`: the scale at either factor, at both, or at their product.

    Weights are quotients, or exp(z - ln sum exp z); or values are weighted by exponentials, and divided at the end.
    """
    scale = rsqrt(number(q.shape[3], like=q)) if scale is None else number(scale, like=q)
    seen = _seen(q, k, mask, window)
    z = widest(*(_products(x, y) * s for x, y, s in _scaled(q, k, scale)))
    shift = largest(z, seen)
    shifted = np.where(seen, z, shift) - shift
    e = np.where(seen, exp(shifted), number(0, z))
    total = np.where(seen.any(axis=-1, keepdims=True), e.sum(axis=-1, keepdims=True), number(1, z))
    p = widest(e / total, np.where(seen, exp(shifted - log(total)), number(0, z)))
    if rounding.arithmetic().is_mixed:
        p = _probabilities(p)
    y = widest(_means(p, v), _means(e, v) / np.moveaxis(total, 1, 2))
    return y, _CausalAttentionSaved(q, k, v, p, rounding.stored(y), scale)


@_operation
def causal_attention_backward(dy, saved):
    """As `nsn_ref.ops.causal_attention_backward`; the sum of p dp may be that of y dy."""
    q, k, v, p, y, scale = saved
    dp = _products(dy, v)
    along = widest((p * dp).sum(axis=-1, keepdims=True), np.moveaxis((y * dy).sum(axis=-1, keepdims=True), 1, 2))
    dz = widest(p * (dp - along), p * dp - p * along)
    dq = widest(_means(dz * scale, k), *(_means(dz * s, x) * t for x, s, t in _apart(k, scale)))
    dk = widest(_over_queries(dz * scale, q, k), *(_over_queries(dz * s, x, k) * t for x, s, t in _apart(q, scale)))
    return dq, dk, _over_queries(p, dy, v)


def _seen(q, k, mask, window):
    """Which keys a query sees: booleans, (n, 1, T, S)."""
    T, S = q.shape[1], k.shape[1]
    age = np.arange(S - T, S)[:, None] - np.arange(S)
    seen = (age >= 0) & (age < (S if window is None else window))
    mask = np.ones((len(q), S), bool) if mask is None else mask
    return seen & mask[:, None, None, :]


def _scaled(q, k, scale):
    """Factors of the scores, and what their product is multiplied by."""
    root = sqrt(scale)
    return (q, k, scale), (q * scale, k, 1), (q * root, k * root, 1)


def _apart(x, scale):
    """A factor beside dz, what dz is multiplied by, and what the product is."""
    root = sqrt(scale)
    return (x, 1, scale), (x * scale, 1, 1), (x * root, 1, root)


def _products(x, y):
    """Inner products, (n, H, T, S), of (n, T, H, D) with the head of (n, S, G, D) that belongs to each."""
    share = x.shape[2] // y.shape[2]
    each = [[_matmul(x[i, :, h], y[i, :, h // share]) for h in range(x.shape[2])] for i in range(len(x))]
    return np.stack([np.stack(heads) for heads in each]).view(type(x))


def _means(p, v):
    """Sums, (n, T, H, D), of (n, S, G, D) with weights (n, H, T, S)."""
    share = p.shape[1] // v.shape[2]
    each = [[_matmul(p[i, h], v[i, :, h // share].T) for h in range(p.shape[1])] for i in range(len(p))]
    return np.stack([np.stack(heads, axis=1) for heads in each]).view(type(p))


def _over_queries(p, x, like):
    """Sums, (n, S, G, D), of (n, T, H, D) with weights (n, H, T, S): over positions, and the heads of a group."""
    out, share = zeros_like(like), p.shape[1] // like.shape[2]
    for i, g in np.ndindex(len(like), like.shape[2]):
        heads = range(g * share, (g + 1) * share)
        parts = [_matmul(p[i, h].T, x[i, :, h].T, more=(share - 1) * x.shape[1]) for h in heads]
        out[i, :, g] = _added(parts)
    return out


# --- losses and objective ---------------------------------------------------------------------------------------------


@_operation
def softmax_cross_entropy_forward(z, targets, **options):
    """As `nsn_ref.ops.softmax_cross_entropy_forward`: p = exp(ln p) or a quotient, the shift m added back or not.

    Where the errors of the logits are large, the loss moves by no more than its Lipschitz constant allows.

    Claims: FLT-9.
    """
    if not rounding.arithmetic().is_mixed:
        return _cross_entropy(z, targets, options)
    centre = rounding.rounded(rounding.values(z))
    loss, (p, t, n) = _cross_entropy(centre, targets, options)
    try:
        loss, (p, t, n) = _cross_entropy(z, targets, options)
    except NeedMorePrecision:
        p = _spread(p, np.full(p.shape, math.inf))
        loss = _spread(loss, math.inf)
    loss = _at_most(loss, _lipschitz(z, t, n))
    return loss, SoftmaxCrossEntropySaved(_probabilities(p), t, n)


def _cross_entropy(z, targets, options):
    loss, (p, t, n) = reference.softmax_cross_entropy_forward(z, targets, **options)
    m = largest(z)
    e = exp(z - m)
    total = e.sum(axis=-1, keepdims=True)
    shifted_back = (t * (m + log(total) - z)).sum() / n
    by_rows = (t * (log(total) - (z - m))).sum(axis=-1).sum() / n
    return widest(loss, shifted_back, by_rows), SoftmaxCrossEntropySaved(widest(p, e / total), t, n)


def _spread(x, e):
    """The same values with other errors."""
    if isinstance(x, Rounded):
        return Rounded(x.v, e, bits=x.closed().bits)
    out = np.empty_like(x, order="C")
    for index, number_ in np.ndenumerate(x):
        out[index] = _spread(number_, float(e[index]))
    return out


def _at_most(x, e):
    """The same number with the smaller of two bounds on its error."""
    return _spread(x, min(x.error, e))


def _probabilities(p):
    """No softmax is further from another than 1, but for the rounding of a quotient."""
    u = rounding.arithmetic().current.unit_roundoff
    return _spread(p, np.minimum(rounding.errors(p), 1 + 8 * u))


def _lipschitz(z, t, n):
    """Bound on the error of the loss: what the logits' errors move it by, and every step's rounding at its largest.

    -ln p_j moves by at most 2 max e. Each intermediate result on the way to it is at most S; an error in an exponent is
    one of the logarithm too. So C + 16 roundings of S cover any of the formulas, the products with t and the sums.
    """
    u = rounding.arithmetic().current.unit_roundoff
    v, e, weight = rounding.values(z), rounding.errors(z).max(axis=-1), abs(rounding.values(t)).sum(axis=-1)
    C, count = z.shape[-1], math.prod(z.shape[:-1])
    if (C + count + 16) * u > 0.5:
        return math.inf
    S = 2 * (abs(v).max(axis=-1) + 4 * e) + math.log(C) + 1
    return float((weight * (2 * e + 2 * (C + count + 16) * u * S)).sum() * (1 + 8 * u) / n)


@_operation
def softmax_cross_entropy_backward(dloss, saved):
    """As `nsn_ref.ops.softmax_cross_entropy_backward`: with the scale outside or inside the difference."""
    p, t, n = saved
    g = dloss * (number(1, like=p) / n)
    return widest(reference.softmax_cross_entropy_backward(dloss, saved), p * t.sum(axis=-1, keepdims=True) * g - t * g)


@_operation
def kl_distillation_forward(z, teacher_z, **options):
    """As `nsn_ref.ops.kl_distillation_forward`: of the difference of logarithms, or the difference of two sums."""
    loss, saved = reference.kl_distillation_forward(z, teacher_z, **options)
    p, q, log_ratio, T, n = saved
    log_p, log_q = (_log_softmax(x / T) for x in (z, teacher_z))
    forms = [(q * log_q - q * log_p).sum(axis=-1).sum(), (q * (log_q - log_p)).sum(axis=-1).sum()]
    p, q = (widest(form, _softmax(x / T)) for form, x in ((p, z), (q, teacher_z)))
    saved = saved._replace(p=p, q=q, log_ratio=widest(log_ratio, log_q - log_p))
    return widest(loss, *(form * (T * T) / n for form in forms), *(form * (T * T / n) for form in forms)), saved


def _softmax(z):
    e = exp(z - largest(z))
    return e / e.sum(axis=-1, keepdims=True)


def _log_softmax(z):
    shifted = z - largest(z)
    return shifted - log(exp(shifted).sum(axis=-1, keepdims=True))


@_operation
def kl_distillation_backward(dloss, saved):
    """As `nsn_ref.ops.kl_distillation_backward`: with the scale outside or inside the differences."""
    p, q, log_ratio, T, n = saved
    dz, dteacher = reference.kl_distillation_backward(dloss, saved)
    scale = dloss * T / n
    divergence = (q * log_ratio).sum(axis=-1, keepdims=True)
    return widest(dz, p * scale - q * scale), widest(dteacher, (q * log_ratio - q * divergence) * scale)


@_operation
def objective_forward(losses, s, ranks, *, variant="uncertainty"):
    """As `nsn_ref.ops.objective_forward`: multiplied by exp(-s) or divided by exp(s), ln(1 + e^s) as it stands."""
    total, saved = reference.objective_forward(losses, s, ranks, variant=variant)
    s_k = at_ranks(s, ranks)
    e = exp(s_k)
    if variant == "uncertainty":
        w, penalty = 1 / e, s_k
    elif variant == "classification":
        w, penalty = 1 / e, s_k / 2
    else:
        w, penalty = 1 / (2 * e), widest(log(1 + e), log1p(e), s_k + log1p(1 / e))
    return widest(total, (losses * w + penalty).sum()), saved._replace(w=widest(saved.w, w))


@_operation
def objective_backward(dtotal, saved):
    """As `nsn_ref.ops.objective_backward`: with dtotal outside or inside the difference."""
    losses, s, _, ranks, variant = saved
    dlosses, ds = reference.objective_backward(dtotal, saved)
    s_k = at_ranks(s, ranks)
    slope = {"uncertainty": 1, "classification": number(1, like=s) / 2, "bounded": logistic(s_k)}[variant]
    return dlosses, widest(ds, sum_by_rank(slope * dtotal - dlosses * losses, ranks, len(s)))


@_operation
def softmax_weights(losses, ranks, R, *, temperature=1.0):
    """As `nsn_ref.ops.softmax_weights`."""
    if not rounding.arithmetic().is_mixed:
        return reference.softmax_weights(losses, ranks, R, temperature=temperature)
    try:
        return _probabilities(reference.softmax_weights(losses, ranks, R, temperature=temperature))
    except NeedMorePrecision:
        centre = rounding.rounded(reference.softmax_weights(rounding.values(losses), ranks, R, temperature=temperature))
        return _probabilities(_spread(centre, np.where(rounding.values(centre) > 0, math.inf, 0.0)))


@_operation
def hard_orthogonality_backward(dpenalty, saved):
    """As `nsn_ref.ops.hard_orthogonality_backward`, or as the sum of the gradients of the two factors of A A^T."""
    A, gap = saved
    dgap = 2 * gap * dpenalty
    both = _added([_matmul(dgap, A.T, more=len(A)), _matmul(dgap.T, A.T, more=len(A))])
    return widest(reference.hard_orthogonality_backward(dpenalty, saved), both)


# --- optimisers -------------------------------------------------------------------------------------------------------

_step = functools.partial(_operation, inside="optimizer")


@_step
def adamw_step(p, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    """As `nsn_ref.training.optimizers.adamw_step`: moments interpolated, constants folded, decay at either place.

    The direction is of the moments before or after they are stored. Where the error of g is so large that the second
    moment may vanish, the direction is enclosed piece by piece over all g.
    """
    hyper = lr, beta1, beta2, eps, weight_decay
    constants = [number(c, like=p) for c in hyper]
    try:
        return _adamw(p, g, m, v, t, *constants)
    except NeedMorePrecision:
        if not rounding.arithmetic().is_mixed:
            raise
    out = AdamWResult(*(np.empty_like(p, order="C") for _ in range(3)))
    for index in np.ndindex(p.shape):
        element = [np.array(x[index], dtype=object) for x in (p, g, m, v)]
        try:
            new = _adamw(*element, t, *constants)
        except NeedMorePrecision:
            new = _adamw(*element, t, *constants, direction=_enclosed(element, t, hyper))
        for whole, part in zip(out, new, strict=True):
            whole[index] = part[()] if isinstance(part, np.ndarray) else part
    return out


def _adamw(p, g, m, v, t, lr, beta1, beta2, eps, weight_decay, direction=None):
    m = widest(beta1 * m + (1 - beta1) * g, m + (1 - beta1) * (g - m))
    v = widest(beta2 * v + (1 - beta2) * g * g, v + (1 - beta2) * (g * g - v))
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    used_m, used_v = (rounding.stored(moment, "master") for moment in (m, v))
    if direction is None:
        direction = used_m / c1 / (sqrt(used_v / c2) + eps)
        steps = (
            lr * direction,
            lr / c1 * used_m / (sqrt(used_v) / sqrt(c2) + eps),
            lr * sqrt(c2) / c1 * used_m / (sqrt(used_v) + eps * sqrt(c2)),
        )
    else:
        steps = (lr * direction,)
    decayed = p - lr * weight_decay * p, (1 - lr * weight_decay) * p
    forms = [d - step for d in decayed for step in steps]
    return AdamWResult(widest(*forms, p - lr * (direction + weight_decay * p)), m, v)


PIECES = 64


def _enclosed(element, t, hyper):
    """m / c1 / (sqrt(v / c2) + eps) over every g that is allowed, by intervals; p, g, m, v are single numbers."""
    a = rounding.arithmetic()
    u, stored_u = a.optimizer.unit_roundoff, a.master.unit_roundoff
    _, g, m, v = (x[()] for x in element)
    _, b1, b2, eps, _ = hyper
    c1, c2 = 1 - b1**t, 1 - b2**t
    off = [u * (b / (1 - b) + 2) for b in (b1, b2)]  # of 1 - beta, relative
    off_c = [u * ((t + a.ulps) * b**t / c + 2) for b, c in ((b1, c1), (b2, c2))]  # of 1 - beta^t
    reach = 2 * g.error
    edges = np.linspace(g.v - reach, g.v + reach, PIECES + 1)
    low, high = edges[:-1], edges[1:]
    largest_g = np.maximum(abs(low), abs(high))
    square_low = np.where(low * high > 0, np.minimum(low * low, high * high), 0.0)
    m_off = 8 * u * (abs(m.v) + 2 * m.error + largest_g) + off[0] * (1 - b1) * largest_g + 2 * m.error
    m_low, m_high = b1 * m.v + (1 - b1) * low - m_off, b1 * m.v + (1 - b1) * high + m_off
    v_off = 12 * u + off[1] + off_c[1] + stored_u
    v_low = np.maximum(b2 * (v.v - 2 * v.error) + (1 - b2) * square_low, 0) * (1 - v_off)
    v_high = (b2 * (v.v + 2 * v.error) + (1 - b2) * largest_g**2) * (1 + v_off)
    wide, narrow = (np.sqrt(x / c2) + eps for x in (v_low, v_high))  # denominators; a tiny v may be flushed
    ends = np.array([numerator / c1 / d for numerator in (m_low, m_high) for d in (wide, narrow)])
    relative = 16 * u + off_c[0] + stored_u + np.sqrt(a.tiny(a.optimizer)) / eps
    centre = (b1 * m.v + (1 - b1) * g.v) / c1 / (math.sqrt((b2 * v.v + (1 - b2) * g.v**2) / c2) + eps)
    off_centre = max(abs(ends - centre).max(), (ends.max() - ends.min()))
    return Rounded(centre, float(off_centre + abs(ends).max() * relative) * (1 + 2.0**-20))


@_step
def sgd_step(p, g, m, *, lr, momentum, weight_decay):
    """As `nsn_ref.training.optimizers.sgd_step`: the three terms of m in any order."""
    lr, momentum, weight_decay = (number(c, like=p) for c in (lr, momentum, weight_decay))
    m = momentum * m + (g + weight_decay * p)
    return SGDResult(p - lr * m, m)
