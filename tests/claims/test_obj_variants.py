"""OBJ: which variants of the objective are bounded below, and their minimisers."""

from fractions import Fraction

import numpy as np
import pytest
from claims.balls import ball, losses, on_balls, same, steps
from claims.test_obj import term
from flint import arb
from hypothesis import example, given
from hypothesis import strategies as st

from nsn_ref import kernels, ops

low = st.integers(-(10**6), -1)  # bounds to be undercut
coefficients = st.fractions(Fraction(1, 20), 20, max_denominator=20)


def liebel_minimiser(loss):
    """The closed form ln((L + sqrt(L^2 + 8 L)) / 4)."""
    return ((loss + (loss * loss + 8 * loss).sqrt()) / 4).log()


def assert_minimiser(function, s, step):
    """The derivative vanishes at s, and the value is larger at s + step."""
    value, slope = function(s)
    assert same(slope, 0) and function(s + ball(step))[0] > value


@pytest.mark.claim("OBJ-5")
@given(low)
@on_balls
def test_unbounded_below(bound):
    """Minimised over s, the objective is unbounded below as a loss goes to 0; at L = 0 it is unbounded below in s."""
    loss = arb(bound - 1).exp() / 2
    assert term(loss, loss.log())[0] < bound
    assert term(arb(0), arb(bound - 1))[0] < bound


@pytest.mark.claim("OBJ-6")
@given(losses, steps)
@on_balls
def test_classification_minimiser(loss, step):
    """The classification variant has the minimiser ln(2 L), the value (1 + ln(2 L)) / 2 and the weight 1 / (2 L)."""
    loss = ball(loss)

    def value_and_slope(s):
        total, _, (ds,) = term(loss, s, variant="classification")
        return total, ds

    s = (2 * loss).log()
    total, (weight,), _ = term(loss, s, variant="classification")
    assert same(total, (1 + s) / 2) and same(weight * 2 * loss, 1)
    assert_minimiser(value_and_slope, s, step)


@pytest.mark.claim("OBJ-6")
@given(low)
@on_balls
def test_classification_is_unbounded_below(bound):
    """The classification variant is unbounded below too."""
    loss = arb(2 * bound - 1).exp() / 3
    assert term(loss, (2 * loss).log(), variant="classification")[0] < bound


@pytest.mark.claim("OBJ-6")
@given(losses, coefficients, coefficients, steps)
@on_balls
def test_any_pair_of_coefficients(loss, p, q, step):
    """With a exp(-s) L + b s the minimiser is ln(a L / b): here p of one variant and q of the other."""
    loss, p, q = ball(loss), ball(p), ball(q)

    def value_and_slope(s):
        parts = [(c, term(loss, s, variant=v)) for c, v in ((p, "uncertainty"), (q, "classification"))]
        return sum(c * total for c, (total, _, _) in parts), sum(c * ds[0] for c, (_, _, ds) in parts)

    assert_minimiser(value_and_slope, ((p + q) * loss / (p + q / 2)).log(), step)


@pytest.mark.claim("OBJ-7")
@given(losses, steps)
@on_balls
def test_liebel_minimiser(loss, step):
    """Liebel & Koerner's variant has its only minimiser at ln((L + sqrt(L^2 + 8 L)) / 4)."""
    loss = ball(loss)

    def value_and_slope(s):
        total, _, (ds,) = term(loss, s, variant="bounded")
        return total, ds

    assert_minimiser(value_and_slope, liebel_minimiser(loss), step)


@pytest.mark.claim("OBJ-7")
@given(st.one_of(st.just(Fraction(0)), losses), st.fractions(-300, 300, max_denominator=8))
@on_balls
def test_liebel_is_never_negative(loss, s):
    """Liebel & Koerner's variant is never negative, at a loss of 0 neither."""
    assert term(ball(loss), ball(s), variant="bounded")[0] > 0


@pytest.mark.claim("OBJ-7")
@given(losses, coefficients)
@on_balls
def test_liebel_weight_falls(loss, more):
    """Its weight at the minimum falls as the loss grows."""
    small, large = ball(loss), ball(loss * (1 + more))
    weights = [term(x, liebel_minimiser(x), variant="bounded")[1][0] for x in (small, large)]
    assert weights[0] > weights[1]


@pytest.mark.claim("OBJ-7")
@given(
    st.sampled_from([ops, kernels]),
    st.lists(st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 1e300)), min_size=1, max_size=5),
    st.floats(-700, 700),
)
@example(ops, [0.0], -1.0)
@example(kernels, [0.0], -1.0)
def test_liebel_is_never_negative_in_floats(engine, values, s):
    """Nor after rounding, where exp(s) is near the ends of the format's range."""
    values, s = np.array(values), np.full(len(values), s)
    with np.errstate(over="ignore"):
        total, _ = engine.objective_forward(values, s, [*range(1, len(s) + 1)], variant="bounded")
    assert total >= 0
