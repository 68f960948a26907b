"""The detached weights against exact and scalar statements, and what they do in weighted_sum."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import assert_number_type, random_fractions, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import to_balls
from nsn_ref.errors import NonFiniteError, OptionError, RankError, ShapeError
from nsn_ref.ops.loss_weights import analytic_weights, softmax_weights
from nsn_ref.ops.objective import objective_backward, objective_forward
from nsn_ref.ops.weighted_sum import weighted_sum_backward, weighted_sum_forward

R = 7
U = 2.0**-53
distinct_ranks = st.permutations(range(1, R + 1)).map(lambda ranks: ranks[:3])


@given(distinct_ranks, seeds)
def test_analytic_weights_are_reciprocals_exactly(ranks, seed):
    losses = abs(random_fractions(np.random.default_rng(seed), 3)) + Fraction(1, 7)
    weights = analytic_weights(losses, ranks, R)
    expected = dict(zip(ranks, losses, strict=True))
    assert weights.tolist() == [1 / expected[r] if r in expected else 0 for r in range(1, R + 1)]
    assert_number_type(Fraction, weights)


@given(distinct_ranks, seeds, st.sampled_from([0.1, 1.0, 20.0]))
def test_softmax_weights_are_the_scalar_formula(ranks, seed, temperature):
    losses = np.random.default_rng(seed).uniform(0.5, 4.0, 3)
    weights = softmax_weights(losses, ranks, R, temperature=temperature)
    e = [math.exp(1 / loss / temperature) for loss in losses]
    # An exponent x is rounded three times on either side (1 / L, / T, the shift), and enters as exp(x).
    tolerance = 2 * U * (3 * max(1 / losses) / temperature + 8 + 8)
    for r, e_k in zip(ranks, e, strict=True):
        assert abs(weights[r - 1] - e_k / sum(e)) <= tolerance * e_k / sum(e)
    assert np.count_nonzero(weights) == 3


def test_small_losses_do_not_overflow():
    assert softmax_weights(np.array([1e-300, 1.0]), [1, 2], 2).tolist() == [1.0, 0.0]
    assert softmax_weights(np.array([1e-300, 1e-300]), [2, 1], 2).tolist() == [0.5, 0.5]


def test_analytic_weights_are_the_objective_at_its_minimum(rng):
    losses = rng.uniform(0.1, 4.0, 3)
    ranks = [5, 1, 3]
    _, saved = weighted_sum_forward(losses, analytic_weights(losses, ranks, R), ranks)
    s = np.zeros(R)
    s[[4, 0, 2]] = np.log(losses)
    _, learned = objective_forward(losses, s, ranks)
    detached, minimum = weighted_sum_backward(1.0, saved)[0], objective_backward(1.0, learned)[0]
    assert (np.abs(detached - minimum) <= U * 32 * detached).all()  # exp(-ln L) against 1 / L


def test_a_rank_listed_twice_takes_the_weight_of_its_last_loss():
    assert analytic_weights(np.array([2.0, 4.0]), [3, 3], 3).tolist() == [0.0, 0.0, 0.25]


@pytest.mark.parametrize("weigh", [analytic_weights, softmax_weights])
def test_number_type_is_kept(weigh):
    for losses in (np.array([0.5, 2.0], np.float32), to_balls(np.array([0.5, 2.0]))):
        kind = np.float32 if losses.dtype != object else flint.arb
        assert_number_type(kind, weigh(losses, [1, 3], 3))


@pytest.mark.parametrize("weigh", [analytic_weights, softmax_weights])
def test_bad_input_is_named(weigh):
    losses = np.array([0.5, 2.0])
    name = weigh.__name__ + ": "
    for bad in (0.0, -1.0):
        with pytest.raises(OptionError, match=rf"{name}losses has the element {bad}, expected numbers > 0"):
            weigh(np.array([0.5, bad]), [1, 2], 3)
    with pytest.raises(NonFiniteError, match=name + "losses has NaN or infinity"):
        weigh(losses * np.nan, [1, 2], 3)
    with pytest.raises(ShapeError, match=name + r"losses has shape \(2,\), expected \(3\)"):
        weigh(losses, [1, 2, 3], 3)
    with pytest.raises(RankError, match=name + r"ranks\[1\] is 4, expected an integer in 1\.\.3"):
        weigh(losses, [1, 4], 3)
    with pytest.raises(OptionError, match=name + "R is 0, expected an integer of at least 1"):
        weigh(losses, [1, 2], 0)


def test_temperature_is_checked():
    with pytest.raises(OptionError, match="softmax_weights: temperature is 0, expected a number in"):
        softmax_weights(np.ones(2), [1, 2], 2, temperature=0)
