"""GAU in floating point: the balanced gauge, and what a gauge does to computed outputs.

Every bound is a count of roundings: gamma_n = n u / (1 - n u) bounds the relative error of n of them.
"""

from fractions import Fraction

import numpy as np
import pytest
from claims import exact
from claims.strategies import MODERATE, RATIONAL, exactly, layers
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops
from nsn_ref.surgery import balance

U = Fraction(1, 2**53)


def gamma(n):
    return n * U / (1 - n * U)


def rounded(array, dtype=np.float64):
    """The nearest floats: unlike those drawn for the engine, their products are rounded."""
    return array.astype(dtype)


def weights(A, B):
    """Every W_r of float factors, without rounding, and the sum of the magnitudes of its terms."""
    A, B = exactly(A), exactly(B)
    for r in range(1, len(A) + 1):
        yield exact.outer_products(A, B, 0, r), exact.outer_products(abs(A), abs(B), 0, r)


@pytest.mark.claim("GAU-5")
@given(layers(engines=(RATIONAL,)))
def test_balanced_factors_exist(layer):
    """Every layer has balanced factors with the same W_r, zero components included, ...

    The norms are of d_in and of d_out terms. Their quotient and its root round too, and both scalings do: the squares
    of the balanced norms agree up to d_in + d_out + 14 roundings. The scale cancels in a product of two factors,
    however it was rounded: such a product has two roundings more.
    """
    A, B = rounded(layer.A), rounded(layer.B)
    A_balanced, B_balanced = balance.balance(A, B)
    for i in range(len(A)):
        if A[i].any() and B[:, i].any():
            a, b = (sum(exactly(v) ** 2) for v in (A_balanced[i], B_balanced[:, i]))
            assert abs(a - b) <= gamma(A.shape[1] + len(B) + 14) * a
        else:
            assert (A_balanced[i] == A[i]).all() and (B_balanced[:, i] == B[:, i]).all()  # so that it can still learn
            A_balanced[i], B_balanced[:, i] = 0, 0  # the balanced factors: no W_r tells the difference
    for (W, size), (W_balanced, _) in zip(weights(A, B), weights(A_balanced, B_balanced), strict=True):
        assert (abs(W_balanced - W) <= (2 * U + U * U) * size).all()


@pytest.mark.claim("GAU-5")
@given(layers(engines=(RATIONAL,)), st.data())
def test_balanced_factors_are_unique(layer, data):
    """... and they are unique up to the sign of each component.

    From two gauges `balance` finds the same factors: in exact arithmetic d_i a_i is scaled to a_i sqrt(norm(b_i) /
    norm(a_i)) whatever d_i is, but for its sign. Powers of two lead to the same bits.
    """
    A, B = rounded(layer.A), rounded(layer.B)
    alive = [i for i in range(len(A)) if A[i].any() and B[:, i].any()]
    d = np.array(data.draw(st.lists(st.floats(0.5, 2) | st.floats(-2, -0.5), min_size=len(A), max_size=len(A))))
    powers = np.exp2(np.round(4 * d))
    A_balanced, B_balanced = balance.balance(A, B)
    A_same, B_same = balance.balance(A * powers[:, None], B / powers)
    A_near, B_near = balance.balance(A * d[:, None], B / d)
    bound = gamma((A.shape[1] + len(B)) // 2 + 10)
    for i in alive:
        for one, same, near in (
            (A_balanced[i], A_same[i], A_near[i]),
            (B_balanced[:, i], B_same[:, i], B_near[:, i]),
        ):
            assert (one == same).all()
            assert (abs(exactly(one) - exactly(near * np.sign(d[i]))) <= bound * abs(exactly(one))).all()


gauges_of_two = st.builds(lambda sign, k: sign * 2.0**k, st.sampled_from((1, -1)), st.integers(-20, 20))
modules = st.sampled_from((ops, kernels))


@pytest.mark.claim("GAU-6")
@given(layers(engines=(RATIONAL,), variants=MODERATE), modules, st.sampled_from((np.float32, np.float64)), st.data())
def test_powers_of_two_change_no_bit(layer, module, dtype, data):
    """A gauge of powers of two changes no bit of the output, without underflow or overflow."""
    x, A, B, b = (rounded(array, dtype) for array in layer.arrays)
    d = np.array(data.draw(st.lists(gauges_of_two, min_size=len(A), max_size=len(A))), dtype)
    for r in layer.ranks:
        y, _ = module.nested_linear_forward(x, A, B, b, r)
        gauged, _ = module.nested_linear_forward(x, A * d[:, None], B / d, b, r)
        assert (gauged == y).all()


@pytest.mark.claim("GAU-6")
@given(layers(engines=(RATIONAL,), variants=MODERATE), modules)
def test_balancing_by_powers_of_two_changes_no_bit(layer, module):
    """Where each norm(b_i) is norm(a_i) times a power of four, balancing is such a gauge."""
    x, A = rounded(layer.x), rounded(layer.A)
    B = A.T * 4.0 ** (np.arange(len(A)) % 5 - 2)
    A_balanced, B_balanced = balance.balance(A, B)
    for r in layer.ranks:
        outputs = [module.nested_linear_forward(x, *f, 0 * x[0], r)[0] for f in ((A, B), (A_balanced, B_balanced))]
        assert (outputs[0] == outputs[1]).all()


@pytest.mark.claim("GAU-7")
@given(layers(engines=(RATIONAL,)), modules, st.data())
def test_any_gauge_changes_outputs_by_rounding_only(layer, module, data):
    """Any other gauge, balancing among them, changes a computed output by rounding only, without underflow or overflow:
    two roundings in each term.

    A term b_oi (a_ij x_j) has d_in roundings at most in the inner product, r in the outer one, one when the bias is
    added, and two from the scalings.
    """
    x, A, B, b = map(rounded, layer.arrays)
    d = np.array(data.draw(st.lists(st.floats(1e-9, 1e9), min_size=len(A), max_size=len(A))))
    for gauged in ((A * d[:, None], B / d), balance.balance(A, B)):
        for r, (W, size) in zip(layer.ranks, weights(A, B), strict=True):
            y, _ = module.nested_linear_forward(x, *gauged, b, r)
            error = abs(exactly(y) - (exactly(x) @ W.T + exactly(b)))
            terms = abs(exactly(x)) @ size.T + abs(exactly(b))
            assert (error <= gamma(A.shape[1] + r + 3) * terms).all()
