"""Energies against scalar loops, spectral norms, and what they bound."""

import math

import numpy as np
import pytest
from helpers import distinct_primes, normal, seeds
from hypothesis import given

from nsn_ref.analysis.energy import component_energies, factor_norms, non_increasing_share, tail_energies
from nsn_ref.errors import DTypeError, NonFiniteError, ShapeError
from nsn_ref.ops.nested_linear import nested_linear_forward

U = 2.0**-53


def layer(sizes, seed):
    d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    return *normal(rng, (R, d_in), (d_out, R)), rng


@given(distinct_primes(3), seeds)
def test_energies_are_products_of_norms(sizes, seed):
    A, B, _ = layer(sizes, seed)
    norm_a, norm_b = factor_norms(A, B)
    for i, energy in enumerate(component_energies(A, B)):
        a, b = math.hypot(*A[i]), math.hypot(*B[:, i])
        tolerance = U * (sum(A.shape) + sum(B.shape))  # d squares and d additions for each norm, halved by the root
        assert abs(norm_a[i] - a) <= tolerance * a and abs(norm_b[i] - b) <= tolerance * b
        assert abs(energy - a * b) <= 2 * tolerance * a * b


def test_energy_is_the_spectral_norm_of_the_component(rng):
    A, B = normal(rng, (5, 3), (7, 5))
    for i, energy in enumerate(component_energies(A, B)):
        largest = np.linalg.svd(np.outer(B[:, i], A[i]), compute_uv=False)[0]
        assert abs(energy - largest) <= 64 * U * energy  # the SVD's backward error: a modest multiple of u


def test_energies_do_not_depend_on_the_gauge_and_the_separate_norms_do(rng):
    """Powers of two scale exactly, so the energies keep every bit."""
    A, B = normal(rng, (5, 3), (7, 5))
    c = 2.0 ** rng.integers(-9, 10, 5)
    assert (component_energies(A * c[:, None], B / c) == component_energies(A, B)).all()
    rising = 4.0 ** np.arange(5)
    norm_a, norm_b = factor_norms(np.ones((5, 3)) * rising[:, None], np.ones((7, 5)) / rising)
    assert non_increasing_share(norm_a) == 0 and non_increasing_share(norm_b) == 1
    assert (norm_a * norm_b == norm_a[0] * norm_b[0]).all()


@given(distinct_primes(4), seeds)
def test_tails_bound_what_the_components_above_a_rank_can_change(sizes, seed):
    """Prop. 1 for one layer, at every pair of ranks."""
    n, *sizes = sizes
    A, B, rng = layer(sizes, seed)
    R, d_in = A.shape
    (x,) = normal(rng, (n, d_in))
    tail = tail_energies(A, B)
    outputs = [nested_linear_forward(x, A, B, np.zeros(len(B)), r)[0] for r in range(1, R + 1)]
    for y, bound in zip(outputs, tail, strict=True):
        change = np.linalg.norm(outputs[-1] - y, axis=1)
        assert (change <= (bound + 64 * U * component_energies(A, B).sum()) * np.linalg.norm(x, axis=1)).all()
    assert tail[-1] == 0
    assert abs(tail[0] - sum(component_energies(A, B)[1:])) <= R * U * tail[0]


def test_tail_is_reached_where_components_agree():
    """Parallel components pull the same way: the bound is an equality."""
    A, B = np.ones((3, 4)) / 2, np.array([[4.0, 2.0, 1.0]])
    assert tail_energies(A, B).tolist() == [3.0, 1.0, 0.0]
    x = np.ones((1, 4)) / 2
    full, _ = nested_linear_forward(x, A, B, np.zeros(1), 3)
    assert [float((full - nested_linear_forward(x, A, B, np.zeros(1), r)[0])[0, 0]) for r in (1, 2, 3)] == [3, 1, 0]


@pytest.mark.parametrize("dtype, exponent", [(np.float64, 1000), (np.float32, 120)])
def test_norms_do_not_overflow_or_vanish_at_extreme_scales(dtype, exponent, rng):
    A, B = (a.astype(dtype) for a in normal(rng, (5, 3), (7, 5)))
    huge, tiny = (np.ldexp(dtype(1), sign * exponent) for sign in (1, -1))
    assert (component_energies(A * huge, B * tiny) == component_energies(A, B)).all()
    assert (factor_norms(A * tiny, B)[0] == factor_norms(A, B)[0] * tiny).all()
    assert (component_energies(0 * A, B) == 0).all()


def test_share_of_neighbours():
    assert non_increasing_share(np.array([3.0, 2.0, 2.0, 5.0])) == 2 / 3
    assert non_increasing_share(np.array([3.0])) == 1
    assert non_increasing_share(np.arange(4.0)) == 0


def test_dtype_is_kept(rng):
    A, B = (a.astype(np.float32) for a in normal(rng, (5, 3), (7, 5)))
    assert {component_energies(A, B).dtype, tail_energies(A, B).dtype} == {np.dtype(np.float32)}


def test_bad_input_is_named(rng):
    A, B = normal(rng, (5, 3), (7, 5))
    with pytest.raises(ShapeError, match=r"factor_norms: B has shape \(7, 4\), expected \(d_out, R\) = \(d_out, 5\)"):
        component_energies(A, B[:, :4])
    with pytest.raises(DTypeError, match="factor_norms: A has dtype complex128, expected an ndarray of float32 or"):
        component_energies(A.astype(complex), B)
    with pytest.raises(NonFiniteError, match="factor_norms: B has NaN"):
        tail_energies(A, B * np.nan)
    with pytest.raises(ShapeError, match=r"non_increasing_share: values has shape \(0,\)"):
        non_increasing_share(np.zeros(0))
