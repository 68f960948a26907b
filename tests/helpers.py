"""What the tests share: exact arrays, drawn shapes, gradient assertions."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from nsn_ref.certify.complex_step import check_gradient

PRIMES = (2, 3, 5, 7, 11, 13)


def fractions(array):
    """The same numbers as exact rationals."""
    out = np.empty(np.shape(array), dtype=object)
    for index, value in np.ndenumerate(array):
        out[index] = Fraction(float(value))
    return out


def random_fractions(rng, *shape):
    """Small rationals with denominators 1..6, zero among them."""
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = Fraction(int(rng.integers(-9, 10)), int(rng.integers(1, 7)))
    return out


def normal(rng, *shapes):
    """Standard normal float64 arrays."""
    return [rng.standard_normal(shape) for shape in shapes]


def distinct_primes(count):
    """Strategy: `count` different prime sizes, so that no transpose or swapped axis can pass unnoticed."""
    return st.permutations(PRIMES).map(lambda primes: tuple(primes[:count]))


seeds = st.integers(0, 2**32 - 1)


def leading_axes(n, T=2):
    """Strategy: the leading axes of an activation, (n,) or (n, T)."""
    return st.sampled_from([(n,), (n, T)])


def adversarial(rng, x):
    """Copies of `x` with what breaks careless code: huge, tiny, graded, constant, duplicated, zero."""
    graded = x * np.logspace(-8, 8, x.shape[-1])
    duplicated = np.repeat(x[..., :1], x.shape[-1], axis=-1)
    return [
        x * 1e100,
        x * 1e-100,
        graded,
        np.ones_like(x),
        duplicated,
        np.zeros_like(x),
        x * (rng.random(x.shape) < 0.5),
    ]


def assert_gradient(forward, backward, inputs, rng):
    """The hand-written backward agrees with the complex step within the derived tolerance."""
    check = check_gradient(forward, backward, inputs, rng)
    assert check.passed, f"error {check.error:.3g} > tolerance {check.tolerance:.3g}: {check}"


def assert_number_type(kind, *arrays):
    """Every element of every array is of one type: no silent rounding to float on the way."""
    for array in arrays:
        found = {type(element) for element in np.ravel(np.asarray(array, dtype=object))} if kind is not None else set()
        assert found <= {kind}, f"expected only {kind.__name__}, found {found}"
