"""Clipping against exact rational norms, over the whole range of the floats."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import fractions, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, OptionError
from nsn_ref.training.clipping import clip_by_global_norm


def exact_norm(grads):
    """Root of the exact sum of squares, by an integer square root of 2,000 bits: right to far more than a float."""
    total = sum(Fraction(float(x)) ** 2 for g in grads.values() for x in g.flat)
    shift = 3000
    return Fraction(math.isqrt((total.numerator << 2 * shift) // total.denominator), 1 << shift)


def unit_roundoff(dtype):
    return float(np.finfo(dtype).eps) / 2


def gradients(rng, dtype=np.float64):
    return {
        "fc1.A": rng.standard_normal((3, 5)).astype(dtype),
        "fc1.B": rng.standard_normal((7, 3)).astype(dtype),
        "s": np.zeros(2, dtype),
    }


SCALES = {np.float64: (1e-320, 1e-200, 1.0, 1e200, 1e307), np.float32: (1e-44, 1e-30, 1.0, 1e30, 1e37)}


@given(seeds, st.sampled_from([np.float64, np.float32]))
def test_norm_is_right_for_huge_and_tiny_gradients(seed, dtype):
    for scale in SCALES[dtype]:
        grads = {name: (g * dtype(scale)).astype(dtype) for name, g in gradients(np.random.default_rng(seed)).items()}
        _, norm = clip_by_global_norm(grads, None)
        exact = exact_norm(grads)
        # Each g / largest rounds once in the dtype (u), which a norm inherits; its square, the pairwise sums, the root
        # and the product add less than 16 roundings in float64.
        tolerance = Fraction(unit_roundoff(dtype)) + 16 * Fraction(2) ** -53
        if scale > min(SCALES[dtype]):
            assert abs(Fraction(norm) - exact) <= tolerance * exact
        else:  # a subnormal norm rounds to a multiple of the smallest float64
            assert abs(Fraction(norm) - exact) <= tolerance * exact + Fraction(5e-324)


@given(seeds, st.sampled_from([np.float64, np.float32]))
def test_clipped_gradients_have_the_norm_and_the_direction(seed, dtype):
    rng = np.random.default_rng(seed)
    for scale in SCALES[dtype][1:]:
        grads = {name: (g * dtype(scale)).astype(dtype) for name, g in gradients(rng).items()}
        clipped, norm = clip_by_global_norm(grads, 0.125)
        if norm <= 0.125:
            assert all(clipped[name] is g for name, g in grads.items())
            continue
        # u for g / largest, for the factor in the dtype, for their product, and inherited by the norm; the norm's own
        # 16 and the quotient by it are roundings in float64.
        tolerance = 4 * Fraction(unit_roundoff(dtype)) + 20 * Fraction(2) ** -53
        exact = exact_norm(grads)
        assert abs(exact_norm(clipped) - Fraction(1, 8)) <= tolerance / 8
        for name, g in grads.items():
            assert clipped[name].dtype == dtype
            for found, before in zip(fractions(clipped[name]).flat, fractions(g).flat, strict=True):
                assert abs(found * exact - before / 8) <= tolerance * abs(before) / 8


def test_a_norm_that_no_float_can_hold_still_clips():
    clipped, norm = clip_by_global_norm({"A": np.full(4, 1.7e308)}, 1.0)
    assert norm == math.inf
    assert clipped["A"].tolist() == [0.5, 0.5, 0.5, 0.5]


def test_at_the_limit_nothing_changes():
    grads = {"A": np.array([3.0, 4.0])}
    assert clip_by_global_norm(grads, 5.0) == (grads, 5.0)
    clipped, norm = clip_by_global_norm(grads, 2.5)
    assert clipped["A"].tolist() == [1.5, 2.0] and norm == 5.0
    assert grads["A"].tolist() == [3.0, 4.0]


def test_nothing_to_clip():
    assert clip_by_global_norm({}, 1.0) == ({}, 0.0)
    assert clip_by_global_norm({"A": np.zeros(3), "B": np.zeros(0)}, 1.0)[1] == 0.0


def test_the_order_of_the_dict_changes_no_bit(rng):
    grads = {str(k): rng.standard_normal(k + 1) * 10.0**k for k in range(7)}
    forward = clip_by_global_norm(grads, 1.0)
    backward = clip_by_global_norm(dict(reversed(grads.items())), 1.0)
    assert forward[1] == backward[1]
    assert all((forward[0][name] == backward[0][name]).all() for name in grads)


def test_bad_input_is_named():
    for bad in (0, -1.0, math.nan, math.inf):
        with pytest.raises(OptionError, match=r"clip_by_global_norm: max_norm is .*, expected a number in"):
            clip_by_global_norm({"A": np.ones(2)}, bad)
    with pytest.raises(NonFiniteError, match=r"clip_by_global_norm: fc1\.A has NaN or infinity"):
        clip_by_global_norm({"fc1.A": np.array([1.0, np.nan])}, 1.0)
    with pytest.raises(DTypeError, match="clip_by_global_norm: A has dtype int64, expected an ndarray of float32 or"):
        clip_by_global_norm({"A": np.ones(2, np.int64)}, 1.0)
