"""Optimiser steps against scalar statements: exactly over Fractions, and in balls where a root is taken."""

from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import assert_number_type, normal, random_fractions, seeds
from hypothesis import given

from nsn_ref.certify.balls import certified, to_balls, working_precision
from nsn_ref.certify.rounding import Rounded, errors, precision, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.training.optimizers import adamw_step, sgd_step

ADAMW = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}


@given(seeds)
def test_sgd_is_the_scalar_statement_exactly(seed):
    rng = np.random.default_rng(seed)
    p, g, m = (random_fractions(rng, 3, 5) for _ in range(3))
    lr, momentum, decay = Fraction(3, 7), Fraction(4, 5), Fraction(1, 9)
    after = sgd_step(p, g, m, lr=lr, momentum=momentum, weight_decay=decay)
    for index in np.ndindex(3, 5):
        velocity = momentum * m[index] + g[index] + decay * p[index]
        assert after.m[index] == velocity
        assert after.p[index] == p[index] - lr * velocity
    assert_number_type(Fraction, *after)


def test_momentum_unrolls_to_a_geometric_sum_of_gradients_exactly(rng):
    gradients = [random_fractions(rng, 3) for _ in range(4)]
    p, m = random_fractions(rng, 3), np.array([Fraction(0)] * 3, dtype=object)
    start, momentum = p, Fraction(1, 2)
    for g in gradients:
        p, m = sgd_step(p, g, m, lr=Fraction(1), momentum=momentum)
    geometric = [sum(momentum**k for k in range(4 - t)) for t in range(4)]
    assert (p == start - sum(c * g for c, g in zip(geometric, gradients, strict=True))).all()


def adamw_by_hand(p, g, m, v, t, lr, beta1, beta2, eps, decay, root):
    """Algorithm 2 of arXiv:1711.05101 for one number; `root` takes square roots."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    corrected_m = m / (1 - beta1**t)
    corrected_v = v / (1 - beta2**t)
    return p - lr * (corrected_m / (root(corrected_v) + eps) + decay * p), m, v


def test_adamw_is_the_scalar_statement_where_the_root_is_rational(rng):
    """Second moments chosen so that the corrected one is a square: the exact result lies in the ball."""
    beta2, t = Fraction(3, 4), 2
    options = {"lr": Fraction(1, 3), "beta1": Fraction(1, 2), "eps": Fraction(1, 8), "weight_decay": Fraction(1, 5)}
    g = random_fractions(rng, 7)
    roots = abs(g) + Fraction(1, 2)
    v = (roots**2 * (1 - beta2**t) - (1 - beta2) * g**2) / beta2
    p, m = random_fractions(rng, 7), random_fractions(rng, 7)
    with working_precision(256):
        balls = [np.array([flint.arb(x.numerator) / x.denominator for x in a]) for a in (p, g, m, v)]
        after = adamw_step(*balls, t, beta2=beta2, **options)
        assert_number_type(flint.arb, *after)
        for k in range(7):
            found_root = {roots[k] ** 2: roots[k]}.__getitem__
            exact = adamw_by_hand(p[k], g[k], m[k], v[k], t, beta2=beta2, root=found_root, **renamed(options))
            for ball, value in zip(after, exact, strict=True):
                assert ball[k].overlaps(flint.arb(value.numerator) / value.denominator)
                assert ball[k].rad() < 1e-70


def renamed(options):
    return {{"weight_decay": "decay"}.get(key, key): value for key, value in options.items()}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("t", [1, 2, 1000])
def test_adamw_in_floats_is_within_its_rounding_bound_of_the_truth(rng, dtype, t):
    """Options are the dtype's own numbers on both sides, so that only the roundings of the step differ."""
    options = {name: float(dtype(value)) for name, value in ADAMW.items()}
    p, g, m, v = (a.astype(dtype) for a in normal(rng, 7, 7, 7, 7))
    v = np.square(v)
    after = adamw_step(p, g, m, v, t, **options)
    truth = certified(lambda *a: adamw_step(*a, t, **options)._asdict(), p, g, m, v)
    with precision(np.dtype(dtype).name):
        bounds = [errors(bound) for bound in adamw_step(*map(rounded, (p, g, m, v)), t, **options)]
    for found, name, bound in zip(after, truth, bounds, strict=True):
        exact = truth[name]
        assert found.dtype == dtype
        assert (np.abs(found - exact) <= bound + 2.0**-53 * np.abs(exact)).all()


def test_first_step_of_adamw_goes_by_the_learning_rate_against_the_sign(rng):
    """With no moments yet, corrected m / root of corrected v = g / |g|: the size of the gradient cancels."""
    g = np.array([1e-3, -1.0, 1e3, 0.0])
    zero = np.zeros(4)
    p, _, _ = adamw_step(zero, g, zero, zero, 1, lr=0.5)
    assert (np.abs(p + 0.5 * np.sign(g)) <= 0.5 * (1e-8 / 1e-3 + 16 * 2.0**-53)).all()  # eps beside |g|, roundings
    assert p[3] == 0  # no gradient, no step: unsampled components stay


def test_decay_is_apart_from_the_gradient(rng):
    """Without a gradient AdamW shrinks p by exactly 1 - lr decay, and leaves the moments alone."""
    (p,) = normal(rng, 5)
    zero = np.zeros(5)
    after = adamw_step(p, zero, zero, zero, 1, lr=0.5, weight_decay=0.25)
    assert (after.p == p - 0.125 * p).all() and (after.m == 0).all() and (after.v == 0).all()


def test_steps_are_pure(rng):
    arrays = normal(rng, 5, 5, 5)
    copies = [a.copy() for a in arrays]
    sgd_step(*arrays, lr=0.1, momentum=0.9, weight_decay=0.1)
    adamw_step(*arrays, np.square(arrays[0]), 1, **ADAMW)
    assert all((a == b).all() for a, b in zip(arrays, copies, strict=True))


@pytest.mark.parametrize(
    "convert, kind",
    [(np.float32, np.float32), (np.complex128, np.complex128), (to_balls, flint.arb), (rounded, Rounded)],
)
def test_number_type_is_kept(rng, convert, kind):
    p, g, m = map(convert, normal(rng, 5, 5, 5))
    assert_number_type(kind, *adamw_step(p, g, m, g * g, 3, **ADAMW))
    assert_number_type(kind, *sgd_step(p, g, m, lr=0.1, momentum=0.9, weight_decay=0.1))


def test_bad_input_is_named(rng):
    p, g, m, v = np.ones((4, 5))
    for name, bad in (("lr", -1), ("lr", np.nan), ("beta1", 1.0), ("beta2", -0.1), ("eps", 0), ("weight_decay", -1)):
        with pytest.raises(OptionError, match=f"adamw_step: {name} is {bad}, expected a number in"):
            adamw_step(p, g, m, v, 1, **{**ADAMW, name: bad})
    for name, bad in (("lr", -1), ("momentum", 1), ("weight_decay", -1)):
        with pytest.raises(OptionError, match=f"sgd_step: {name} is {bad}, expected a number in"):
            sgd_step(p, g, m, **{"lr": 0.1, name: bad})
    with pytest.raises(OptionError, match="adamw_step: t is 0, expected an integer of at least 1"):
        adamw_step(p, g, m, v, 0, lr=0.1)
    with pytest.raises(ShapeError, match=r"adamw_step: v has shape \(4,\), expected \(5,\) as p has"):
        adamw_step(p, g, m, v[:4], 1, lr=0.1)
    with pytest.raises(DTypeError, match="sgd_step: g holds float32, expected float64 as p does"):
        sgd_step(p, g.astype(np.float32), m, lr=0.1)
    with pytest.raises(NonFiniteError, match="sgd_step: g has NaN or infinity"):
        sgd_step(p, g * np.nan, m, lr=0.1)
    with pytest.raises(NumberSystemError, match="sqrt: not a rational function"):
        adamw_step(*(random_fractions(rng, 3) for _ in range(4)), 1, lr=0.1)
