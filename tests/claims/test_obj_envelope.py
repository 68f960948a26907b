"""OBJ: what minimising over s makes of the losses: their product, and the gradients of their logarithms."""

from fractions import Fraction

import numpy as np
import pytest
from claims.balls import ball, balls, losses, on_balls, same
from flint import fmpq, fmpq_poly
from helpers import assert_number_type
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops

numbers = st.fractions(-5, 5, max_denominator=8)
# losses as functions of one parameter t: c + (t - a)^2, positive, down to 1e-6
curves = st.lists(st.tuples(numbers, st.sampled_from([Fraction(1), Fraction(7, 3), Fraction(1, 10**6)])), min_size=1)


def at(curves, t):
    """The losses at t, and their derivatives."""
    return [c + (t - a) ** 2 for a, c in curves], [2 * (t - a) for a, _ in curves]


def product(curves):
    """The product of the losses, as a polynomial in t."""
    out = fmpq_poly([1])
    for a, c in curves:
        a, c = (fmpq(x.numerator, x.denominator) for x in (a, c))
        out *= fmpq_poly([c + a * a, -2 * a, 1])
    return out


def log_derivative(polynomial, t):
    """P'(t) / P(t)."""
    t = fmpq(t.numerator, t.denominator)
    value = polynomial.derivative()(t) / polynomial(t)
    return Fraction(int(value.p), int(value.q))


def minimised(values):
    """The objective at s_k = ln L_k, and its gradient with respect to the losses."""
    values = balls(values)
    s = np.array([loss.log() for loss in values])
    total, saved = ops.objective_forward(values, s, [*range(1, len(s) + 1)])
    return total, ops.objective_backward(total * 0 + 1, saved)[0]


def exact_array(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@pytest.mark.claim("OBJ-4")
@given(curves, numbers)
@on_balls
def test_envelope_gradient(curves, t):
    """Minimised over s, the gradient of the objective is the sum of grad L_k / L_k."""
    values, slopes = at(curves, t)
    _, dlosses = minimised(values)
    gradient = sum(d * ball(slope) for d, slope in zip(dlosses, slopes, strict=True))
    size = sum(abs(ball(slope / loss)) for loss, slope in zip(values, slopes, strict=True))
    assert same(gradient, ball(log_derivative(product(curves), t)), scale=size)


@pytest.mark.claim("OBJ-4")
@given(curves, numbers, numbers)
@on_balls
def test_the_product_of_the_losses_is_minimised(curves, t, other):
    """Minimised over s, the objective is K + ln of the product of the losses: it is the product that is minimised."""
    (here, _), (there, _) = at(curves, t), at(curves, other)
    total, elsewhere = minimised(here)[0], minimised(there)[0]
    products = [np.prod(exact_array(values)) for values in (here, there)]
    assert same(total, len(curves) + ball(products[0]).log())
    if products[0] != products[1]:
        assert (total < elsewhere) == (products[0] < products[1])


@pytest.mark.claim("OBJ-8")
@given(curves, numbers, st.data())
def test_analytic_weights_give_the_envelope_gradient(curves, t, data):
    """Losses weighted by 1 / L_k, held constant, have the gradient of the objective minimised over s."""
    values, slopes = at(curves, t)
    R = len(curves) + data.draw(st.integers(0, 3))
    ranks = data.draw(st.permutations(range(1, R + 1)))[: len(curves)]
    values = exact_array(values)
    weights = ops.analytic_weights(values, ranks, R)
    total, saved = ops.weighted_sum_forward(values, weights, ranks)
    dlosses, _ = ops.weighted_sum_backward(Fraction(1), saved)
    assert_number_type(Fraction, weights, dlosses)
    assert total == len(curves)  # every weighted loss is 1
    assert sum(dlosses * slopes) == log_derivative(product(curves), t)
    assert all(weights[r - 1] == 0 for r in set(range(1, R + 1)) - set(ranks))


@pytest.mark.claim("OBJ-8")
@given(st.lists(st.integers(-500, 500), min_size=1), st.integers(-20, 20))
def test_analytic_weights_on_the_engine(exponents, scale):
    """On powers of two nothing is rounded, however far apart they are: the engine's gradient is 1 / L_k to the bit."""
    values, ranks = np.ldexp(1.0, exponents), [*range(1, len(exponents) + 1)]
    weights = ops.analytic_weights(values, ranks, len(values))
    total, saved = kernels.weighted_sum_forward(values, weights, ranks)
    dlosses, _ = kernels.weighted_sum_backward(2.0**scale, saved)
    assert total == len(values) and (dlosses == np.ldexp(2.0**scale, [-e for e in exponents])).all()


@pytest.mark.claim("OBJ-8")
@given(losses)
@on_balls
def test_analytic_weight_is_the_objectives(loss):
    """The weight 1 / L is exp(-s) at the minimum over s."""
    (weight,) = ops.analytic_weights(balls([loss]), [1], 1)
    assert same(weight * ball(loss), 1) and same(weight, minimised([loss])[1][0], scale=0)
