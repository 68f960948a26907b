"""GradNorm against exact algebra, a scalar loop and the complex step."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import (
    assert_certified,
    assert_gradient,
    assert_number_type,
    constants,
    distinct_primes,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import to_balls
from nsn_ref.errors import NonFiniteError, OptionError, ShapeError
from nsn_ref.ops.gradnorm import gradnorm_backward, gradnorm_forward, gradnorm_targets, renormalised

U = 2.0**-53


@given(distinct_primes(1), seeds)
def test_distance_and_gradient_are_the_scalar_loop_exactly(sizes, seed):
    rng = np.random.default_rng(seed)
    weights, norms, targets = (abs(random_fractions(rng, *sizes)) for _ in range(3))
    distance, saved = gradnorm_forward(weights, norms, targets)
    dweights = gradnorm_backward(Fraction(-3, 2), saved)
    assert distance == sum(abs(w * n - t) for w, n, t in zip(weights, norms, targets, strict=True))
    for w, n, t, dw in zip(weights, norms, targets, dweights, strict=True):
        assert dw == Fraction(-3, 2) * (n if w * n > t else -n if w * n < t else 0)
    assert_number_type(Fraction, distance, dweights)


def positive(rng, K):
    return rng.uniform(0.5, 2.0, K)


@given(distinct_primes(1), seeds)
def test_backward_agrees_with_the_complex_step(sizes, seed):
    rng = np.random.default_rng(seed)
    weights, norms, targets = (positive(rng, *sizes) for _ in range(3))
    for scale in (1.0, 1e100, 1e-100):

        def forward(w, norms=norms * scale, targets=targets * scale):
            return gradnorm_forward(w, constants(norms, w), constants(targets, w))

        assert_gradient(forward, gradnorm_backward, [weights], rng)


@given(seeds, st.sampled_from([0.0, 0.5, 1.5]))
def test_targets_are_the_scalar_formula(seed, alpha):
    rng = np.random.default_rng(seed)
    weights, norms, losses, first = (positive(rng, 5) for _ in range(4))
    targets = gradnorm_targets(weights, norms, losses, first, alpha=alpha)
    rates = [a / b for a, b in zip(losses, first, strict=True)]
    mean_rate = math.fsum(rates) / 5
    mean_norm = math.fsum(w * n for w, n in zip(weights, norms, strict=True)) / 5
    # Each side: the mean norm 6 roundings; the rate 7, times alpha in the power; exp, log, pow 8 each, ln r below 3.
    tolerance = 2 * U * (6 + 7 * alpha + 8 * (1 + 3 * alpha))
    for target, rate in zip(targets, rates, strict=True):
        expected = mean_norm * (rate / mean_rate) ** alpha
        assert abs(target - expected) <= tolerance * expected


def test_equal_rates_and_equal_norms_are_the_fixed_point():
    ones = np.ones(4)
    targets = gradnorm_targets(ones, 3 * ones, ones / 2, ones)
    distance, saved = gradnorm_forward(ones, 3 * ones, targets)
    assert distance == 0 and (gradnorm_backward(1.0, saved) == 0).all()


def test_a_loss_that_lags_gains_weight():
    """Losses of one gradient norm: the one that has fallen less is to pull harder, so descent raises its weight."""
    ones = np.ones(2)
    targets = gradnorm_targets(ones, ones, np.array([0.9, 0.3]), ones)
    _, saved = gradnorm_forward(ones, ones, targets)
    after = renormalised(ones - 0.1 * gradnorm_backward(1.0, saved))
    assert after[0] > 1 > after[1]


@given(distinct_primes(1), seeds)
def test_renormalised_weights_sum_to_their_number_exactly(sizes, seed):
    weights = abs(random_fractions(np.random.default_rng(seed), *sizes)) + 1
    scaled = renormalised(weights)
    assert scaled.sum() == sizes[0]
    assert (scaled * weights[0] == weights * scaled[0]).all()


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    norms, targets = rng.integers(1, 9, 5) / 4, rng.integers(1, 9, 5) / 8
    assert_certified(
        lambda w: gradnorm_forward(w, constants(norms, w), constants(targets, w)),
        gradnorm_backward,
        [positive(rng, 5)],
        rng,
    )


def test_number_type_is_kept(rng):
    for convert, kind in ((np.float32, np.float32), (to_balls, flint.arb)):
        arrays = [convert(positive(rng, 5)) for _ in range(4)]
        assert_number_type(kind, gradnorm_targets(*arrays), renormalised(arrays[0]))


def test_bad_input_is_named(rng):
    ones = np.ones(5)
    with pytest.raises(OptionError, match=r"gradnorm_targets: first_losses has the element 0\.0, expected numbers > 0"):
        gradnorm_targets(ones, ones, ones, 0 * ones)
    with pytest.raises(OptionError, match="gradnorm_targets: alpha is -1, expected a number in"):
        gradnorm_targets(ones, ones, ones, ones, alpha=-1)
    with pytest.raises(ShapeError, match=r"gradnorm_targets: losses has shape \(4,\), expected \(K\) = \(5\)"):
        gradnorm_targets(ones, ones, ones[:4], ones)
    with pytest.raises(ShapeError, match=r"gradnorm_forward: targets has shape \(4,\), expected \(K\) = \(5\)"):
        gradnorm_forward(ones, ones, ones[:4])
    with pytest.raises(OptionError, match=r"renormalised: weights sum to -5\.0, expected a sum > 0"):
        renormalised(-ones)
    _, saved = gradnorm_forward(ones, ones, ones)
    with pytest.raises(NonFiniteError, match="gradnorm_backward: ddistance has NaN or infinity"):
        gradnorm_backward(np.nan, saved)
