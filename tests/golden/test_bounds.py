"""The bounds against correct arithmetic of many kinds: nothing that is right may be rejected.

The arithmetic is that of the NumPy port, with products of matrices summed in random orders, in random trees, fused or
not, by merged weights, or with a last rounding from float64; none of it knows the bounds.
"""

import numpy as np
import pytest

from nsn_ref.golden.check import check

PRODUCTS = ("dense", "nested", "multirank", "conv2d", "causal_attention", "mlp_step")
TRIALS = 6  # evaluations of every float32 case; the fuzz makes many more


def with_products(cases, dtype):
    """Certified cases of the operations whose results depend on a product of matrices."""
    return [
        c for c in cases if (c.dtype, c.lane, c.session) == (dtype, "certified", None) and c.op.startswith(PRODUCTS)
    ]


def random_matmul(rng):
    """A product of matrices that adds its terms in a random order, chosen anew at every call."""

    def matmul(a, b):
        if a.ndim > 2:  # a stack of matrices
            return np.stack([matmul(*pair) for pair in zip(a, b, strict=True)])
        order = rng.permutation(a.shape[1])
        a, b = a[:, order], b[order]
        how = rng.integers(4)
        if how == 0:
            return one_by_one(a, b, fused=False)
        if how == 1:
            return one_by_one(a, b, fused=True)
        if how == 2:
            return tree(a[:, :, None] * b[None], rng)
        return (a.astype(np.float64) @ b.astype(np.float64)).astype(a.dtype)

    return matmul


def one_by_one(a, b, fused):
    """Running sums; fused: one rounding for each product and addition, by way of float64."""
    total = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        if fused:
            total = (total + a[:, k, None].astype(np.float64) * b[k].astype(np.float64)).astype(a.dtype)
        else:
            total = total + a[:, k, None] * b[k]
    return total


def tree(terms, rng):
    """Sums of two random halves, down to single terms."""
    n = terms.shape[1]
    if n <= 1:
        return terms.sum(axis=1, dtype=terms.dtype)
    cut = int(rng.integers(1, n))
    return tree(terms[:, :cut], rng) + tree(terms[:, cut:], rng)


def merged_layer(matmul):
    """The layer with W_r = B_r A_r multiplied out."""

    def layer(x, A, B, b, r):
        return matmul(x, matmul(B[:, :r], A[:r]).T) + b, matmul(x, A[:r].T)

    return layer


def through_dW(matmul):
    """The gradients of a layer by way of that of W_r."""

    def layer_grads(x, A, B, h, dy):
        r = h.shape[1]
        dA, dB, dW = np.zeros_like(A), np.zeros_like(B), matmul(dy.T, x)
        dA[:r], dB[:, :r] = matmul(B[:, :r].T, dW), matmul(dW, A[:r].T)
        return matmul(dy, matmul(B[:, :r], A[:r])), dA, dB, dy[::-1].sum(axis=0)

    return layer_grads


def folded_adamw(p, g, m, v, decay, attrs):
    """Moments interpolated, constants folded, all constants rounded to the format."""
    lr, beta1, beta2, eps, decay = (
        p.dtype.type(c) for c in (*(attrs[k] for k in ("lr", "beta1", "beta2", "eps")), decay)
    )
    one = p.dtype.type(1)
    c1, c2 = one - beta1 ** p.dtype.type(attrs["t"]), one - beta2 ** p.dtype.type(attrs["t"])
    m = m + (one - beta1) * (g - m)
    v = v + (one - beta2) * (g * g - v)
    return p * (one - lr * decay) - lr / c1 * m / (np.sqrt(v) / np.sqrt(c2) + eps), m, v


@pytest.mark.parametrize("trial", range(TRIALS))
def test_no_correct_arithmetic_is_rejected(trial, cases, numpy_port, port_of, rng):
    numpy_port.matmul = random_matmul(rng)
    if trial % 2:
        numpy_port.layer = merged_layer(numpy_port.matmul)
    if trial % 3 == 1:
        numpy_port.layer_grads = through_dW(numpy_port.matmul)
    if trial % 3 == 2:
        numpy_port.adamw = folded_adamw
    chosen = [case for case in cases if case.dtype == "float32" and case.session is None]
    report = check(port_of(numpy_port.run), chosen)
    assert [(r.case.id, r.error, r.tensors) for r in report.results if r.status != "passed"] == []
    assert report.passed and report.covered * TRIALS > 600
    assert 0 < max(t.rho for r in report.results for t in r.tensors) <= 1


def test_float64_rounded_to_float32_at_the_end_is_accepted(cases, numpy_port, port_of):
    def run(op, inputs, attrs):
        wide = {name: x.astype(np.float64) if x.dtype == np.float32 else x for name, x in inputs.items()}
        return {name: x.astype(np.float32) for name, x in numpy_port.run(op, wide, attrs).items()}

    assert check(port_of(run), [case for case in cases if case.dtype == "float32" and case.session is None]).passed


@pytest.mark.parametrize("bits", [11, 8])
def test_operands_of_a_shorter_format_are_rejected(bits, cases, numpy_port, port_of):
    """TF32 has 11 bits, bfloat16 has 8: every float32 operation with a product of matrices shows it."""

    def shorten(x):
        mantissa, exponent = np.frexp(x)
        return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits).astype(x.dtype)

    numpy_port.matmul = lambda a, b: shorten(a) @ shorten(b)
    chosen = with_products(cases, "float32")
    report = check(port_of(numpy_port.run), chosen)
    assert {r.case.id for r in report.results if r.status == "passed"} == set()


def test_float32_sums_are_rejected_in_float64(cases, numpy_port, port_of):
    numpy_port.matmul = lambda a, b: (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)
    report = check(port_of(numpy_port.run), with_products(cases, "float64"))
    assert report.count("passed") == 0
