"""weighted_sum against a scalar loop, exact algebra and the complex step."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    normal,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, RankError, ShapeError
from nsn_ref.ops.weighted_sum import weighted_sum_backward, weighted_sum_forward

R = 7
rank_lists = st.lists(st.integers(1, R), min_size=1, max_size=5)


@given(rank_lists, seeds)
def test_forward_and_backward_are_the_scalar_loop_exactly(ranks, seed):
    rng = np.random.default_rng(seed)
    losses, weights = random_fractions(rng, len(ranks)), random_fractions(rng, R)
    total, saved = weighted_sum_forward(losses, weights, ranks)
    dtotal = Fraction(-5, 7)
    dlosses, dweights = weighted_sum_backward(dtotal, saved)
    assert total == sum(weights[r - 1] * loss for r, loss in zip(ranks, losses, strict=True))
    assert (dlosses == [weights[r - 1] * dtotal for r in ranks]).all()
    for r in range(1, R + 1):
        at_r = [loss for loss, rank in zip(losses, ranks, strict=True) if rank == r]
        assert dweights[r - 1] == sum(at_r) * dtotal
    assert_number_type(Fraction, total, dlosses, dweights)


@given(rank_lists, seeds)
def test_backward_agrees_with_the_complex_step(ranks, seed):
    rng = np.random.default_rng(seed)
    losses, weights = normal(rng, len(ranks), R)
    for value in (losses, *adversarial(rng, losses)):
        assert_gradient(lambda l, w: weighted_sum_forward(l, w, ranks), weighted_sum_backward, [value, weights], rng)


def test_ones_give_the_plain_sum_and_unsampled_ranks_exactly_zero(rng):
    losses = rng.random(3)
    total, saved = weighted_sum_forward(losses, np.ones(R), [7, 2, 2])
    dlosses, dweights = weighted_sum_backward(1.0, saved)
    assert total == losses.sum() and (dlosses == 1).all()
    assert np.flatnonzero(dweights).tolist() == [1, 6]


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    assert_certified(lambda l, w: weighted_sum_forward(l, w, [3, 1, 3]), weighted_sum_backward, normal(rng, 3, R), rng)


def test_bad_input_is_named(rng):
    losses, weights = normal(rng, 3, R)
    name = "weighted_sum_forward: "
    for ranks in ([1, 2, 8], [0, 1, 2], [True, 2, 3], [1.0, 2, 3]):
        with pytest.raises(RankError, match=name + r"ranks\[\d\] is .*, expected an integer in 1\.\.7"):
            weighted_sum_forward(losses, weights, ranks)
    with pytest.raises(RankError, match=r"ranks is \[\], expected a non-empty sequence of integers in 1\.\.7"):
        weighted_sum_forward(losses[:0], weights, [])
    with pytest.raises(ShapeError, match=name + r"losses has shape \(3,\), expected \(K,\) = \(2,\), one for each of"):
        weighted_sum_forward(losses, weights, [1, 2])
    with pytest.raises(ShapeError, match=r"weights has shape \(7, 1\), expected \(R\)"):
        weighted_sum_forward(losses, weights[:, None], [1, 2, 3])
    with pytest.raises(DTypeError, match=r"weights is a list, expected a numpy\.ndarray"):
        weighted_sum_forward(losses, weights.tolist(), [1, 2, 3])
    with pytest.raises(NonFiniteError, match="losses has NaN or infinity"):
        weighted_sum_forward(losses * np.nan, weights, [1, 2, 3])
    _, saved = weighted_sum_forward(losses, weights, [1, 2, 3])
    with pytest.raises(NonFiniteError, match="weighted_sum_backward: dtotal has NaN or infinity"):
        weighted_sum_backward(np.nan, saved)
