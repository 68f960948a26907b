"""OBJ: the objective with learned log-variances: its minimum over s, its weights, its shape."""

from fractions import Fraction

import numpy as np
import pytest
from claims.balls import ball, balls, losses, objectives, on_balls, same, steps
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops

ENGINES = st.sampled_from([ops, kernels])
shares = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


def evaluated(losses, s, ranks, **options):
    """Total, dlosses and ds of the reference's objective."""
    total, saved = ops.objective_forward(losses, s, ranks, **options)
    return total, *ops.objective_backward(total * 0 + 1, saved)


def term(loss, s, **options):
    """The objective of one rank, for numbers or balls."""
    return evaluated(*(np.array([x], dtype=object) for x in (loss, s)), [1], **options)


def with_minimiser(losses, s, ranks, minimiser=lambda loss: loss.log()):
    """Losses and log-variances as balls, the latter at the minimiser for the ranks that were sampled."""
    losses, s = balls(losses), balls(s)
    for loss, rank in zip(losses, ranks, strict=True):
        s[rank - 1] = minimiser(loss)
    return losses, s


@pytest.mark.claim("OBJ-1")
@given(objectives(), steps, st.data())
@on_balls
def test_minimiser_and_value(drawn, step, data):
    """Minimised over s_k, the term of rank k has the only minimiser s_k = ln L_k and the value 1 + ln L_k."""
    *_, ranks = drawn
    losses, s = with_minimiser(*drawn)
    total, _, ds = evaluated(losses, s, ranks)
    assert same(total, sum(1 + loss.log() for loss in losses))
    assert all(same(d, 0) for d in ds)
    s[data.draw(st.sampled_from(ranks)) - 1] += ball(step)
    assert evaluated(losses, s, ranks)[0] > total


@pytest.mark.claim("OBJ-1")
@given(losses, steps)
@on_balls
def test_only_critical_point(loss, step):
    """The derivative in s_k is negative below ln L_k and positive above it: there is no other critical point."""
    loss = ball(loss)
    _, _, (ds,) = term(loss, loss.log() + ball(step))
    assert ds > 0 if step > 0 else ds < 0
    assert same(ds, 1 - (-ball(step)).exp())


@pytest.mark.claim("OBJ-2")
@given(objectives())
@on_balls
def test_weight_at_the_minimum_is_one_over_the_loss(drawn):
    """At the minimum over s the weight is 1 / L_k, which falls as the loss grows; every weighted loss is 1."""
    *_, ranks = drawn
    losses, s = with_minimiser(*drawn)
    _, weights, _ = evaluated(losses, s, ranks)
    for loss, weight in zip(losses, weights, strict=True):
        assert same(weight * loss, 1)
        for other, its_weight in zip(losses, weights, strict=True):
            if loss < other:
                assert weight > its_weight


@pytest.mark.claim("OBJ-2")
@given(ENGINES, st.sampled_from([np.float32, np.float64]), st.lists(st.integers(-60, 60), min_size=2, unique=True))
def test_harder_ranks_do_not_weigh_more(engine, dtype, exponents):
    """Summaries of the paper say that harder ranks weigh more: for any two losses it is the other way round."""
    losses = np.ldexp(dtype(1), sorted(exponents)).astype(dtype)
    ranks = [*range(1, len(losses) + 1)]
    _, saved = engine.objective_forward(losses, np.log(losses), ranks)
    weights, _ = engine.objective_backward(dtype(1), saved)
    assert (np.diff(losses) > 0).all() and (np.diff(weights) < 0).all()


@pytest.mark.claim("OBJ-3")
@given(objectives(), steps, shares, st.data())
@on_balls
def test_convex_in_each_s(drawn, step, share, data):
    """The objective is strictly convex in each s_k."""
    values, s, ranks = drawn
    losses, s, t = balls(values), balls(s), ball(share)
    moved, between = s.copy(), s.copy()
    k = data.draw(st.sampled_from(ranks)) - 1
    moved[k] += ball(step)
    between[k] += t * ball(step)
    at, at_moved, at_between = (evaluated(losses, x, ranks)[0] for x in (s, moved, between))
    assert at_between < (1 - t) * at + t * at_moved


@pytest.mark.claim("OBJ-3")
@given(losses, st.fractions(-30, 30, max_denominator=8), st.fractions(Fraction(1, 50), Fraction(3, 2)))
@on_balls
def test_not_jointly_convex(loss, s, h):
    """Jointly in s_k and the loss it is convex nowhere: around every point a midpoint lies above the chord.

    Along (h, 3 L / 4) the second difference is 2 exp(-s) L (cosh h - 1 - (3 / 4) sinh h), negative up to h = 1.9.
    """
    loss, s, h = ball(loss), ball(s), ball(h)
    ends = [term(loss * (1 + sign * ball(Fraction(3, 4))), s + sign * h)[0] for sign in (-1, 1)]
    assert sum(ends) < 2 * term(loss, s)[0]


@pytest.mark.claim("OBJ-3")
@on_balls
def test_smallest_witness_against_joint_convexity():
    """The midpoint of (s, L) = (0, 1) and (2, 8) is (1, 4.5): 4.5 / e + 1 > (1 + 8 / e^2 + 2) / 2."""
    low, mid, high = (term(ball(Fraction(loss)), ball(Fraction(s)))[0] for s, loss in ((0, 1), (1, 4.5), (2, 8)))
    assert 2 * mid > low + high
