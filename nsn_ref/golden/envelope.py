"""The operations again, over numbers with error bounds, wide enough for every correct formula.

`certify.rounding` allows any order of summation within one formula. But a port may also multiply B A out first, divide
by a sum instead of subtracting its logarithm, or interpolate a moment instead of adding two products. Here each
operation is evaluated by every formula that a correct port is known to use, and the largest of their bounds is passed
on to the next operation. So a chain is bounded for every mixture of formulas.

Where an operation has one formula only, it is the reference's. Over numbers without errors (Fractions, balls,
`certify.exactness`) all formulas are evaluated too, and the first is returned: they agree, which the tests check.
"""

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.certify.rounding import Rounded
from nsn_ref.ops.softmax_cross_entropy import SoftmaxCrossEntropySaved
from nsn_ref.scalars import at_ranks, exp, largest, log, log1p, logistic, number, rows, sqrt, sum_by_rank, zeros_like
from nsn_ref.training.optimizers import AdamWResult


def __getattr__(name):
    """Operations with one formula."""
    return getattr(reference, name)


def widest(first, *others):
    """The first array (or number), each element with the largest of the error bounds."""
    if not isinstance(first, np.ndarray):
        return widest(np.array(first, dtype=object), *others)[()]
    if not isinstance(first.flat[0], Rounded):
        return first
    out = np.empty(first.shape, dtype=object)
    others = [np.asarray(form, dtype=object) for form in others]
    for index, x in np.ndenumerate(first):
        out[index] = Rounded(x.v, max(x.error, *(form[index].error for form in others)))
    return out


# --- linear layers: one rank is the case K = 1 ------------------------------------------------------------------------


def nested_linear_forward(x, A, B, b, rank):
    """As `nsn_ref.ops.nested_linear_forward`."""
    ys, saved = multirank_linear_forward(x, A, B, b, [rank])
    return ys[0], reference.NestedLinearSaved(x, A, B, saved.h)


def nested_linear_backward(dy, saved):
    """As `nsn_ref.ops.nested_linear_backward`."""
    ranks = (saved.h.shape[-1],)
    return multirank_linear_backward(dy[None], reference.MultirankLinearSaved(*saved, ranks))


def multirank_linear_forward(x, A, B, b, ranks):
    """As `nsn_ref.ops.multirank_linear_forward`: factored, or with W_r = B_r A_r multiplied out."""
    factored, saved = reference.multirank_linear_forward(x, A, B, b, ranks)
    merged = np.stack([x @ (B[:, :r] @ A[:r]).T + b for r in ranks])
    return widest(factored, merged), saved


def multirank_linear_backward(dys, saved):
    """As `nsn_ref.ops.multirank_linear_backward`: by suffix sums, by a shared dh, rank by rank, or through dW_r."""
    forms = _by_suffix_sums, _by_shared_dh, _rank_by_rank, _through_dW
    return tuple(widest(*grads) for grads in zip(*(form(dys, saved) for form in forms), strict=True))


_by_suffix_sums = reference.multirank_linear_backward


def _by_shared_dh(dys, saved):
    x, A, B, h, ranks = saved
    dA, dB, dh = zeros_like(A), zeros_like(B), zeros_like(h)
    for dy, r in zip(dys, ranks, strict=True):
        dh[..., :r] = dh[..., :r] + dy @ B[:, :r]
        dB[:, :r] = dB[:, :r] + rows(dy).T @ rows(h[..., :r])
    top = h.shape[-1]
    dA[:top] = rows(dh).T @ rows(x)
    return dh @ A[:top], dA, dB, _sum_over_rows(dys)


def _rank_by_rank(dys, saved):
    x, A, B, h, ranks = saved
    dx, dA, dB = zeros_like(x), zeros_like(A), zeros_like(B)
    for dy, r in zip(dys, ranks, strict=True):
        dh = dy @ B[:, :r]
        dx = dx + dh @ A[:r]
        dA[:r] = dA[:r] + rows(dh).T @ rows(x)
        dB[:, :r] = dB[:, :r] + rows(dy).T @ rows(h[..., :r])
    return dx, dA, dB, _sum_over_rows(dys)


def _through_dW(dys, saved):
    x, A, B, _, ranks = saved
    dx, dA, dB = zeros_like(x), zeros_like(A), zeros_like(B)
    for dy, r in zip(dys, ranks, strict=True):
        dW = rows(dy).T @ rows(x)
        dx = dx + dy @ (B[:, :r] @ A[:r])
        dA[:r] = dA[:r] + B[:, :r].T @ dW
        dB[:, :r] = dB[:, :r] + dW @ A[:r].T
    return dx, dA, dB, _sum_over_rows(dys)


def _sum_over_rows(dys):
    return rows(dys).sum(axis=0)


# --- loss and objective -----------------------------------------------------------------------------------------------


def softmax_cross_entropy_forward(z, targets, **options):
    """As `nsn_ref.ops.softmax_cross_entropy_forward`: p = exp(ln p) or a quotient, the shift m added back or not."""
    loss, (p, t, n) = reference.softmax_cross_entropy_forward(z, targets, **options)
    m = largest(z)
    e = exp(z - m)
    total = e.sum(axis=-1, keepdims=True)
    shifted_back = (t * (m + log(total) - z)).sum() / n
    return widest(loss, shifted_back), SoftmaxCrossEntropySaved(widest(p, e / total), t, n)


def softmax_cross_entropy_backward(dloss, saved):
    """As `nsn_ref.ops.softmax_cross_entropy_backward`: with the scale outside or inside the difference."""
    p, t, n = saved
    g = dloss * (number(1, like=p) / n)
    return widest(reference.softmax_cross_entropy_backward(dloss, saved), p * t.sum(axis=-1, keepdims=True) * g - t * g)


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


def objective_backward(dtotal, saved):
    """As `nsn_ref.ops.objective_backward`: with dtotal outside or inside the difference."""
    losses, s, _, ranks, variant = saved
    dlosses, ds = reference.objective_backward(dtotal, saved)
    s_k = at_ranks(s, ranks)
    slope = {"uncertainty": 1, "classification": number(1, like=s) / 2, "bounded": logistic(s_k)}[variant]
    return dlosses, widest(ds, sum_by_rank(slope * dtotal - dlosses * losses, ranks, len(s)))


# --- optimiser --------------------------------------------------------------------------------------------------------


def adamw_step(p, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
    """As `nsn_ref.training.optimizers.adamw_step`: moments interpolated, constants folded, decay at either place."""
    lr, beta1, beta2, eps, weight_decay = (number(c, like=p) for c in (lr, beta1, beta2, eps, weight_decay))
    m = widest(beta1 * m + (1 - beta1) * g, m + (1 - beta1) * (g - m))
    v = widest(beta2 * v + (1 - beta2) * g * g, v + (1 - beta2) * (g * g - v))
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    direction = m / c1 / (sqrt(v / c2) + eps)
    steps = (
        lr * direction,
        lr / c1 * m / (sqrt(v) / sqrt(c2) + eps),
        lr * sqrt(c2) / c1 * m / (sqrt(v) + eps * sqrt(c2)),
    )
    decayed = p - lr * weight_decay * p, (1 - lr * weight_decay) * p
    forms = [d - step for d in decayed for step in steps]
    return AdamWResult(widest(*forms, p - lr * (direction + weight_decay * p)), m, v)
