"""The objective against a scalar loop in balls, its known minimum, and the complex step."""

import math

import flint
import numpy as np
import pytest
from helpers import assert_certified, assert_gradient, assert_number_type, normal, random_fractions, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import to_balls, working_precision
from nsn_ref.certify.rounding import Rounded, errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, RankError, ShapeError
from nsn_ref.ops.objective import VARIANTS, objective_backward, objective_forward

R = 7
rank_lists = st.one_of(
    st.lists(st.integers(1, R), min_size=1, max_size=5),  # any order, duplicates
    st.just([7, 5, 1]),  # descending
    st.just([3, 3, 3]),
    st.just(list(range(1, R + 1))),
)
variants = st.sampled_from(VARIANTS)

TERMS = {
    "uncertainty": lambda loss, s: (-s).exp() * loss + s,
    "classification": lambda loss, s: (-s).exp() * loss + s / 2,
    "bounded": lambda loss, s: (-s).exp() * loss / 2 + (1 + s.exp()).log(),
}


@given(rank_lists, seeds, variants)
def test_forward_is_the_scalar_loop(ranks, seed, variant):
    rng = np.random.default_rng(seed)
    losses, s = rng.random(len(ranks)) * 3, rng.standard_normal(R) * 5
    with working_precision(256):
        exact = flint.arb(0)
        for loss, r in zip(losses, ranks, strict=True):
            exact += TERMS[variant](flint.arb(float(loss)), flint.arb(float(s[r - 1])))
    truth = float(exact)
    total, _ = objective_forward(losses, s, ranks, variant=variant)
    bound, _ = objective_forward(rounded(losses), rounded(s), ranks, variant=variant)
    assert abs(total - truth) <= errors(bound) + 2.0**-53 * abs(truth)


@given(rank_lists, seeds, variants)
def test_backward_agrees_with_the_complex_step(ranks, seed, variant):
    rng = np.random.default_rng(seed)

    def forward(losses, s):
        return objective_forward(losses, s, ranks, variant=variant)

    for scale in (1.0, 0.0, 1e100):
        assert_gradient(forward, objective_backward, [rng.random(len(ranks)) * scale, rng.standard_normal(R)], rng)
    for scale in (0.0, 1e-100, 1e-8, 30.0, 200.0):
        assert_gradient(forward, objective_backward, [rng.random(len(ranks)), rng.standard_normal(R) * scale], rng)


@pytest.mark.parametrize("variant", VARIANTS)
def test_unsampled_ranks_get_exactly_zero(rng, variant):
    losses, s = rng.random(3), rng.standard_normal(R)
    _, saved = objective_forward(losses, s, [6, 2, 6], variant=variant)
    _, ds = objective_backward(1.0, saved)
    assert np.flatnonzero(ds).tolist() == [1, 5]


@pytest.mark.parametrize("variant", VARIANTS)
def test_duplicates_count_twice(rng, variant):
    losses, s = rng.random(1), rng.standard_normal(R)
    once, saved_once = objective_forward(losses, s, [4], variant=variant)
    twice, saved_twice = objective_forward(np.repeat(losses, 2), s, [4, 4], variant=variant)
    assert twice == 2 * once
    assert (objective_backward(1.0, saved_twice)[1] == 2 * objective_backward(1.0, saved_once)[1]).all()


def minimiser(variant, loss):
    """Where the derivative over s vanishes, by hand."""
    if variant == "uncertainty":  # 1 = exp(-s) L
        return math.log(loss)
    if variant == "classification":  # 1 / 2 = exp(-s) L
        return math.log(2 * loss)
    v = loss / 4 + math.sqrt(loss**2 / 16 + loss / 2)  # v / (1 + v) = L / (2 v), v = e^s
    return math.log(v)


@pytest.mark.parametrize("variant", VARIANTS)
def test_minimum_over_s(rng, variant):
    """The derivative is zero there to rounding, and the total is larger on both sides."""
    losses = np.array([0.01, 0.3, 1.0, 2.0, 50.0])
    s = np.array([minimiser(variant, loss) for loss in losses])
    ranks = list(range(1, 6))
    total, saved = objective_forward(losses, s, ranks, variant=variant)
    _, ds = objective_backward(1.0, saved)
    # The derivative is a difference of terms of at most 1; s itself is off by |s| u and 8 u from the logarithm.
    assert (np.abs(ds) <= 2.0**-53 * (np.abs(s) + 16)).all()
    for k in range(5):
        for step in (-0.01, 0.01):
            assert objective_forward(losses, s + step * np.eye(5)[k], ranks, variant=variant)[0] > total


def test_a_larger_loss_weighs_less_at_the_minimum():
    losses = np.array([0.5, 2.0])
    _, saved = objective_forward(losses, np.log(losses), [1, 2])
    dlosses, _ = objective_backward(1.0, saved)
    assert (np.abs(dlosses - [2.0, 0.5]) <= 2.0**-53 * 16).all()


def test_bounded_never_goes_negative_where_the_paper_form_does():
    losses, s = np.array([1e-9]), np.array([-20.0])
    assert objective_forward(losses, s, [1])[0] < -19
    assert objective_forward(losses, s, [1], variant="bounded")[0] >= 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_and_float64_are_within_the_rounding_bounds(rng, variant):
    def forward(losses, s):
        return objective_forward(losses, s, [6, 2, 6], variant=variant)

    assert_certified(forward, objective_backward, [rng.random(3), rng.standard_normal(R)], rng)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("convert, kind", [(to_balls, flint.arb), (rounded, Rounded), (np.complex128, np.complex128)])
def test_number_type_is_kept(rng, variant, convert, kind):
    losses, s = map(convert, normal(rng, 3, R))
    total, saved = objective_forward(losses, s, [6, 2, 6], variant=variant)
    assert_number_type(kind, total, *objective_backward(total, saved))


def test_bad_input_is_named(rng):
    losses, s = normal(rng, 3, R)
    name = "objective_forward: "
    with pytest.raises(OptionError, match=name + "variant is 'kendall', expected one of 'uncertainty', "):
        objective_forward(losses, s, [1, 2, 3], variant="kendall")
    with pytest.raises(RankError, match=name + r"ranks\[2\] is 8, expected an integer in 1\.\.7"):
        objective_forward(losses, s, [1, 2, 8])
    with pytest.raises(ShapeError, match=name + r"losses has shape \(3,\), expected \(K,\) = \(2,\)"):
        objective_forward(losses, s, [1, 2])
    with pytest.raises(DTypeError, match=name + r"s is a float, expected a numpy\.ndarray"):
        objective_forward(losses, 0.0, [1, 2, 3])
    with pytest.raises(NonFiniteError, match="s has NaN or infinity"):
        objective_forward(losses, s * np.inf, [1, 2, 3])
    with pytest.raises(NumberSystemError, match="exp: not a rational function"):
        objective_forward(random_fractions(rng, 3), random_fractions(rng, R), [1, 2, 3])
    _, saved = objective_forward(losses, s, [1, 2, 3])
    with pytest.raises(NonFiniteError, match="objective_backward: dtotal has NaN or infinity"):
        objective_backward(np.inf, saved)
