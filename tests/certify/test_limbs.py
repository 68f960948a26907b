"""Exact matrix arithmetic against Fractions: equal in every bit, whatever the exponents."""

from fractions import Fraction

import numpy as np
import pytest

from nsn_ref.certify.limbs import Limbs, width
from nsn_ref.errors import NonFiniteError


def fractions(x):
    return np.vectorize(Fraction, otypes=[object])(x)


def floats(x):
    """Each Fraction rounded by Python's own division of integers."""
    return np.vectorize(float, otypes=[float])(x)


@pytest.mark.parametrize("spread", [0, 3, 40, 300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_and_sums_are_correctly_rounded(spread, dtype, rng):
    spread = min(spread, 30) if dtype == np.float32 else spread
    for _ in range(5):
        n, k, m = rng.integers(1, 14, 3)
        x, y, b = (
            (rng.standard_normal(shape) * 2.0 ** rng.integers(-spread, spread + 1, shape)).astype(dtype)
            for shape in ((n, k), (k, m), (1, m))
        )
        x[rng.random(x.shape) < 0.2] = 0
        w = width(k)
        product = Limbs.from_floats(x, w) @ Limbs.from_floats(y, w)
        X, Y, B = fractions(x), fractions(y), fractions(b)
        assert (product.to_floats() == floats(X @ Y)).all()
        assert ((product + Limbs.from_floats(b, w)).to_floats() == floats(X @ Y + B)).all()
        cube = product @ Limbs.from_floats(y, w).T
        assert (cube.to_floats() == floats(X @ Y @ Y.T)).all()
        assert (cube.over_rows().to_floats() == floats((X @ Y @ Y.T).sum(axis=0, keepdims=True))).all()


def test_ties_go_to_even_and_sums_cancel():
    w = width(3)
    x = np.array([[1.0, 2.0**-53, 0.0], [1.0 + 2.0**-52, 2.0**-53, 0.0], [1.0, 2.0**-53, 2.0**-200], [-1.0, 1.0, 0.0]])
    sums = (Limbs.from_floats(x, w) @ Limbs.from_floats(np.ones((3, 1)), w)).to_floats()[:, 0]
    assert sums.tolist() == [1.0, 1.0 + 2.0**-51, 1.0 + 2.0**-52, 0.0]
    assert not np.signbit(sums[3])
    assert (Limbs.from_floats(-x, w) @ Limbs.from_floats(np.ones((3, 1)), w)).to_floats()[2, 0] == -(1.0 + 2.0**-52)


def test_a_long_sum_of_the_largest_digits_is_exact():
    n = 4097
    w = width(n)
    x = np.full((1, n), float(2**w // 2 - 1))
    product = (Limbs.from_floats(x, w) @ Limbs.from_floats(x, w).T).to_floats()
    assert product[0, 0] == float(n * (2**w // 2 - 1) ** 2)
    assert n * 2 ** (2 * w - 2) <= 2**53 < 2 * n * 2 ** (2 * w)


def test_subnormal_results_are_rounded_once():
    x, y = np.array([[1.2345 * 2.0**-530]]), np.array([[1.111 * 2.0**-530]])
    product = (Limbs.from_floats(x, 20) @ Limbs.from_floats(y, 20)).to_floats()
    assert product[0, 0] == float(Fraction(x[0, 0]) * Fraction(y[0, 0])) > 0


def test_overflow_is_an_error():
    x = Limbs.from_floats(np.array([[2.0**600]]), 20)
    with pytest.raises(NonFiniteError, match="largest float64"):
        (x @ x).to_floats()


def test_slices_transposes_and_padding(rng):
    x = rng.standard_normal((3, 5))
    limbs = Limbs.from_floats(x, 20)
    assert (limbs[1:, :2].T.to_floats() == x[1:, :2].T).all()
    padded = limbs.padded(4, 7).to_floats()
    assert padded.shape == (4, 7) and (padded[:3, :5] == x).all() and not padded[3].any() and not padded[:, 5:].any()
