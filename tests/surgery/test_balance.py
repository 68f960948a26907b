"""The balanced gauge: equal norms, unchanged products."""

import math

import numpy as np
import pytest
from helpers import distinct_primes, normal, seeds
from hypothesis import given

from nsn_ref.analysis.energy import component_energies
from nsn_ref.errors import DTypeError, ShapeError
from nsn_ref.surgery.balance import balance
from nsn_ref.surgery.factorise import factorise_svd

U = 2.0**-53


@given(distinct_primes(3), seeds)
def test_norms_agree_and_products_change_by_rounding_only(sizes, seed):
    R, d_in, d_out = sizes
    rng = np.random.default_rng(seed)
    A, B = normal(rng, (R, d_in), (d_out, R))
    gauge = 10.0 ** rng.uniform(-9, 9, R)
    A, B = A * gauge[:, None], B / gauge
    A_balanced, B_balanced = balance(A, B)
    norm_a, norm_b = np.linalg.norm(A_balanced, axis=1), np.linalg.norm(B_balanced, axis=0)
    assert (np.abs(norm_a - norm_b) <= 4 * (d_in + d_out) * U * norm_a).all()
    # c_i need not be exact: it cancels. The two scalings round once each, the two products as often as they have terms.
    for r in range(1, R + 1):
        bound = (2 + 2 * r) * U * np.abs(B[:, :r]) @ np.abs(A[:r])
        assert (np.abs(B_balanced[:, :r] @ A_balanced[:r] - B[:, :r] @ A[:r]) <= bound).all()


def test_powers_of_two_change_no_bit_of_any_product(rng):
    """Factors whose norms differ by powers of four exactly: c_i is a power of two."""
    (A,) = normal(rng, (5, 3))
    B = A.T * 4.0 ** np.array([-9, 3, 0, 1, 20])
    A_balanced, B_balanced = balance(A, B)
    assert (np.linalg.norm(A_balanced, axis=1) == np.linalg.norm(B_balanced, axis=0)).all()
    for r in range(1, 6):
        assert (B_balanced[:, :r] @ A_balanced[:r] == B[:, :r] @ A[:r]).all()


def test_the_result_is_canonical(rng):
    """Two gauges of the same components lead to the same factors, bit for bit where they differ by powers of two."""
    A, B = normal(rng, (5, 3), (7, 5))
    c = 2.0 ** rng.integers(-30, 31, 5)
    for one, other in zip(balance(A, B), balance(A * c[:, None], B / c), strict=True):
        assert (one == other).all()
    again = balance(*balance(A, B))
    for one, other in zip(balance(A, B), again, strict=True):
        assert (np.abs(one - other) <= 16 * U * np.abs(one)).all()  # norms of 3 and 7 terms, their quotient, its root


def test_energies_are_invariant(rng):
    A, B = normal(rng, (5, 3), (7, 5))
    before, after = component_energies(A, B), component_energies(*balance(A, B))
    # Four norms of 3 or 7 terms, each within (terms + 1) / 2 roundings and one; two scalings; two products.
    assert (np.abs(before - after) <= 20 * U * before).all()


@pytest.mark.parametrize(("a", "b"), [(1e300, 1e300), (1e-300, 1e-300), (1e-300, 1e300), (3 * 2.0**-1074, 2.0**1000)])
def test_extreme_scales(a, b):
    """Neither the squares in a norm nor the quotient of two norms overflow or vanish."""
    A_balanced, B_balanced = balance(np.full((1, 4), a), np.full((4, 1), b))
    expected = math.sqrt(a) * math.sqrt(b)
    assert (np.abs([A_balanced[0], B_balanced[:, 0]] / np.float64(expected) - 1) <= 16 * U).all()


def test_dead_components_are_left_alone(rng):
    A, B = normal(rng, (5, 3), (7, 5))
    A[1], B[:, 3] = 0, 0
    A[4], B[:, 4] = 0, 0
    A_balanced, B_balanced = balance(A, B)
    for i in (1, 3, 4):
        assert (A_balanced[i] == A[i]).all() and (B_balanced[:, i] == B[:, i]).all()


def test_svd_factors_are_balanced_already(rng):
    A, B = factorise_svd(rng.standard_normal((7, 5)))
    for before, after in zip((A, B), balance(A, B), strict=True):
        assert np.linalg.norm(before - after) <= 16 * 12 * U * np.linalg.norm(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(rng, dtype):
    A, B = balance(rng.standard_normal((5, 3)).astype(dtype), rng.standard_normal((7, 5)).astype(dtype))
    assert A.dtype == B.dtype == dtype


def test_bad_input_is_named(rng):
    A, B = normal(rng, (5, 3), (7, 5))
    with pytest.raises(ShapeError, match=r"balance: B has shape \(7, 4\), expected \(d_out, R\) = \(d_out, 5\)"):
        balance(A, B[:, :4])
    with pytest.raises(DTypeError, match="balance: A has dtype int64, expected an ndarray of float32 or float64"):
        balance(A.astype(np.int64), B)
