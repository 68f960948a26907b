"""kl_distillation against a statement in balls, the complex step, and known values."""

import flint
import numpy as np
import pytest
from helpers import (
    assert_certified,
    assert_gradient,
    assert_number_type,
    distinct_primes,
    fractions,
    leading_axes,
    normal,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import to_balls, working_precision
from nsn_ref.certify.rounding import Rounded, errors, rounded
from nsn_ref.errors import NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.kl_distillation import kl_distillation_backward, kl_distillation_forward
from nsn_ref.ops.softmax_cross_entropy import softmax_cross_entropy_backward, softmax_cross_entropy_forward


def by_definition(z, teacher_z, T):
    """T^2 sum q ln(q / p) over all rows, in balls, without any shift."""
    total = flint.arb(0)
    for index in np.ndindex(z.shape[:-1]):
        p, q = ([(flint.arb(float(v)) / T).exp() for v in row[index]] for row in (z, teacher_z))
        for p_c, q_c in zip(p, q, strict=True):
            p_c, q_c = p_c / sum(p, flint.arb(0)), q_c / sum(q, flint.arb(0))
            total += q_c * (q_c / p_c).log()
    return total * T * T


@st.composite
def problems(draw):
    n, C = draw(distinct_primes(2))
    axes = draw(leading_axes(n))
    rng = np.random.default_rng(draw(seeds))
    options = {
        "temperature": draw(st.sampled_from([0.5, 1.0, 3.0])),
        "reduction": draw(st.sampled_from(["mean", "sum"])),
    }
    return *normal(rng, (*axes, C), (*axes, C)), options, rng


@given(problems())
def test_forward_is_the_definition(problem):
    z, teacher_z, options, _ = problem
    with working_precision(256):
        exact = by_definition(z, teacher_z, flint.arb(options["temperature"]))
        if options["reduction"] == "mean":
            exact = exact / int(np.prod(z.shape[:-1]))
    truth = float(exact)
    loss, _ = kl_distillation_forward(z, teacher_z, **options)
    bound, _ = kl_distillation_forward(rounded(z), rounded(teacher_z), **options)
    assert abs(loss - truth) <= errors(bound) + 2.0**-53 * abs(truth)


@given(problems())
def test_backward_agrees_with_the_complex_step(problem):
    z, teacher_z, options, rng = problem

    def forward(z, teacher_z):
        return kl_distillation_forward(z, teacher_z, **options)

    for scale in (1.0, 30.0):
        assert_gradient(forward, kl_distillation_backward, [z * scale, teacher_z * scale], rng)


def test_logits_of_a_thousand(rng):
    """Confident student against confident teacher: both right, or each sure of another class."""
    sure_of = np.eye(3) * 1000.0
    loss, saved = kl_distillation_forward(sure_of, sure_of)
    assert loss == 0
    assert all((g == 0).all() for g in kl_distillation_backward(1.0, saved))
    loss, saved = kl_distillation_forward(sure_of, sure_of[[1, 2, 0]])
    assert loss == 1000
    assert (kl_distillation_backward(3.0, saved)[0] == np.eye(3) - np.eye(3)[[1, 2, 0]]).all()
    noise = rng.standard_normal((3, 3))
    assert_gradient(kl_distillation_forward, kl_distillation_backward, [sure_of + noise, -sure_of + noise], rng)


def test_students_gradient_is_that_of_cross_entropy_on_the_teachers_probabilities(rng):
    """The two losses differ by the teacher's entropy, which the student cannot change."""
    z, teacher_z = normal(rng, (5, 3), (5, 3))
    _, saved = kl_distillation_forward(z, teacher_z)
    _, ce_saved = softmax_cross_entropy_forward(z, saved.q)
    dz, _ = kl_distillation_backward(1.0, saved)
    expected = softmax_cross_entropy_backward(1.0, ce_saved)
    assert (np.abs(dz - expected) <= 8 * 2.0**-53).all()  # eight roundings of probabilities, each at most 1


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    def forward(z, teacher_z):
        return kl_distillation_forward(z, teacher_z, temperature=2.5)

    assert_certified(forward, kl_distillation_backward, normal(rng, (5, 3), (5, 3)), rng)


@pytest.mark.parametrize("convert, kind", [(to_balls, flint.arb), (rounded, Rounded), (np.complex128, np.complex128)])
def test_number_type_is_kept(rng, convert, kind):
    z, teacher_z = map(convert, normal(rng, (5, 3), (5, 3)))
    loss, saved = kl_distillation_forward(z, teacher_z, temperature=2.5)
    assert_number_type(kind, loss, *kl_distillation_backward(loss, saved))


def test_bad_input_is_named(rng):
    z, teacher_z = normal(rng, (5, 3), (5, 3))
    for temperature in (0, -1.0, np.inf, np.nan, None):
        with pytest.raises(OptionError, match=r"kl_distillation_forward: temperature is .*, expected a number in"):
            kl_distillation_forward(z, teacher_z, temperature=temperature)
    with pytest.raises(OptionError, match="reduction is 'batchmean', expected one of 'mean', 'sum'"):
        kl_distillation_forward(z, teacher_z, reduction="batchmean")
    with pytest.raises(ShapeError, match=r"teacher_z has shape \(5, 2\), expected \(\.\.\., C\) = \(5, 3\)"):
        kl_distillation_forward(z, teacher_z[:, :2])
    with pytest.raises(NumberSystemError, match="exp: not a rational function"):
        kl_distillation_forward(fractions(z), fractions(teacher_z))
    _, saved = kl_distillation_forward(z, teacher_z)
    with pytest.raises(NonFiniteError, match="kl_distillation_backward: dloss has NaN or infinity"):
        kl_distillation_backward(np.inf, saved)
