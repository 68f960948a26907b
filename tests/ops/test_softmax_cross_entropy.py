"""softmax_cross_entropy against a statement in balls, the complex step and known values."""

import math

import flint
import numpy as np
import pytest
from helpers import (
    assert_certified,
    assert_gradient,
    assert_number_type,
    constants,
    distinct_primes,
    fractions,
    leading_axes,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import to_balls, working_precision
from nsn_ref.certify.rounding import Rounded, errors, rounded
from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.softmax_cross_entropy import softmax_cross_entropy_backward, softmax_cross_entropy_forward


def by_definition(z, t):
    """-sum t_c ln(exp z_c / sum exp z) over all rows, in balls, without any shift."""
    total = flint.arb(0)
    for index in np.ndindex(z.shape[:-1]):
        e = [flint.arb(float(v)).exp() for v in z[index]]
        for e_c, t_c in zip(e, t[index], strict=True):
            total -= t_c * (e_c / sum(e, flint.arb(0))).log()
    return total


@st.composite
def problems(draw):
    """Logits, targets (labels or probabilities that need not sum to one) and options."""
    n, C = draw(distinct_primes(2))
    axes = draw(leading_axes(n))
    rng = np.random.default_rng(draw(seeds))
    z = rng.standard_normal((*axes, C)) * draw(st.sampled_from([1.0, 30.0]))
    options = {
        "reduction": draw(st.sampled_from(["mean", "sum"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.25, 1.0])),
    }
    if draw(st.booleans()):
        return z, rng.random(z.shape), options, rng
    labels = rng.integers(0, C, axes)
    ignore = draw(st.sampled_from([None, 0, -100]))
    if ignore is not None:
        labels[rng.random(axes) < 0.3] = ignore
        labels.flat[0] = C - 1
        options["ignore_index"] = ignore
    return z, labels, options, rng


def loss_of(targets, options):
    """The forward as a function of the logits alone, in any number system."""

    def forward(z):
        t = targets if targets.dtype.kind == "i" else constants(targets, z)
        return softmax_cross_entropy_forward(z, t, **options)

    return forward


@given(problems())
def test_forward_is_the_definition(problem):
    z, targets, options, _ = problem
    C, smoothing = z.shape[-1], flint.arb(options["label_smoothing"])
    counted = np.full(z.shape[:-1], True)
    if targets.dtype.kind == "i":
        counted = targets != options.get("ignore_index")
        targets = np.eye(C)[np.where(counted, targets, 0)]
    with working_precision(256):
        t = to_balls(targets) * (1 - smoothing) + smoothing / C
        exact = by_definition(z[counted], t[counted])
        if options["reduction"] == "mean":
            exact = exact / int(counted.sum())
    forward = loss_of(problem[1], options)
    truth = float(exact)
    assert abs(forward(z)[0] - truth) <= errors(forward(rounded(z))[0]) + 2.0**-53 * abs(truth)


@given(problems())
def test_backward_agrees_with_the_complex_step(problem):
    z, targets, options, rng = problem
    assert_gradient(loss_of(targets, options), softmax_cross_entropy_backward, [z], rng)


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
@pytest.mark.parametrize("gap", [1000.0, -1000.0])
def test_confident_and_wrong(rng, offset, gap):
    """A logit 1000 away: no overflow, the loss is 0 or 1000, the gradient right."""
    z = np.full((2, 3), offset)
    z[:, 1] += gap
    labels = np.array([1, 1])
    loss, saved = softmax_cross_entropy_forward(z, labels)
    expected = 0.0 if gap > 0 else 1000.0 + math.log(2)
    assert abs(loss - expected) <= 4 * 2.0**-53 * 1000
    dz = softmax_cross_entropy_backward(1.0, saved)
    assert (dz == ([[0, 0, 0]] if gap > 0 else [[0.25, -0.5, 0.25]])).all()
    assert_gradient(loss_of(labels, {}), softmax_cross_entropy_backward, [z + rng.standard_normal(z.shape)], rng)


def test_ignored_rows_get_exactly_zero_and_change_nothing(rng):
    z = rng.standard_normal((5, 3))
    labels = np.array([0, -100, 2, -100, 1])
    loss, saved = softmax_cross_entropy_forward(z, labels, ignore_index=-100)
    kept, _ = softmax_cross_entropy_forward(z[[0, 2, 4]], labels[[0, 2, 4]])
    dz = softmax_cross_entropy_backward(1.0, saved)
    assert abs(loss - kept) <= 8 * 2.0**-53 * abs(kept)  # the same three terms, summed in another order
    assert (dz[[1, 3]] == 0).all() and (dz[[0, 2, 4]] != 0).all()


def test_labels_are_one_hot_targets(rng):
    z, labels = rng.standard_normal((5, 3)), np.array([0, 1, 2, 1, 0])
    loss, saved = softmax_cross_entropy_forward(z, labels, label_smoothing=0.1)
    soft, soft_saved = softmax_cross_entropy_forward(z, np.eye(3)[labels], label_smoothing=0.1)
    assert loss == soft
    dz, soft_dz = (softmax_cross_entropy_backward(1.0, s) for s in (saved, soft_saved))
    assert (dz == soft_dz).all()


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    z, labels = rng.standard_normal((5, 3)), np.array([0, 1, 2, 1, 0])
    for targets in (labels, rng.integers(0, 9, z.shape) / 8):
        forward = loss_of(targets, {"label_smoothing": 0.125})
        assert_certified(forward, softmax_cross_entropy_backward, [z], rng)


@pytest.mark.parametrize("convert, kind", [(to_balls, flint.arb), (rounded, Rounded), (np.complex128, np.complex128)])
def test_number_type_is_kept(rng, convert, kind):
    z, labels = convert(rng.standard_normal((5, 3))), np.array([0, 1, 2, 1, 0])
    loss, saved = softmax_cross_entropy_forward(z, labels, label_smoothing=0.1)
    assert_number_type(kind, loss, softmax_cross_entropy_backward(loss, saved))


def test_bad_input_is_named(rng):
    z, labels = rng.standard_normal((5, 3)), np.array([0, 1, 2, 1, 0])
    name = "softmax_cross_entropy_forward: "
    with pytest.raises(LabelError, match=name + r"targets has the label 3, expected integers in 0\.\.2"):
        softmax_cross_entropy_forward(z, labels + 1)
    with pytest.raises(LabelError, match="targets has the label -1"):
        softmax_cross_entropy_forward(z, labels - 1, ignore_index=-100)
    with pytest.raises(LabelError, match="targets has no label but ignore_index = 1, expected at least one"):
        softmax_cross_entropy_forward(z, np.ones_like(labels), ignore_index=1, reduction="sum")
    with pytest.raises(OptionError, match=r"ignore_index is 1\.5, expected an integer"):
        softmax_cross_entropy_forward(z, labels, ignore_index=1.5)
    with pytest.raises(OptionError, match="ignore_index is -100, expected None beside soft targets"):
        softmax_cross_entropy_forward(z, np.ones_like(z), ignore_index=-100)
    with pytest.raises(OptionError, match="reduction is 'none', expected one of 'mean', 'sum'"):
        softmax_cross_entropy_forward(z, labels, reduction="none")
    for smoothing in (-0.1, 1.1, math.nan):
        with pytest.raises(OptionError, match=r"label_smoothing is .*, expected a number in \[0, 1\]"):
            softmax_cross_entropy_forward(z, labels, label_smoothing=smoothing)
    with pytest.raises(ShapeError, match=r"targets has shape \(4,\), expected \(5,\)"):
        softmax_cross_entropy_forward(z, labels[:4])
    with pytest.raises(ShapeError, match=r"z has shape \(0, 3\), expected at least one element"):
        softmax_cross_entropy_forward(z[:0], labels[:0])
    with pytest.raises(DTypeError, match="targets holds float32, expected float64 as z does"):
        softmax_cross_entropy_forward(z, np.ones_like(z, dtype=np.float32))
    with pytest.raises(NonFiniteError, match="z has NaN or infinity"):
        softmax_cross_entropy_forward(z * np.nan, labels)
    with pytest.raises(NumberSystemError, match="exp: not a rational function"):
        softmax_cross_entropy_forward(fractions(z), labels)


def test_a_bad_cotangent_is_named(rng):
    z, labels = rng.standard_normal((5, 3)), np.array([0, 1, 2, 1, 0])
    _, saved = softmax_cross_entropy_forward(z, labels)
    for bad in (math.nan, np.inf, np.float64(np.nan)):
        with pytest.raises(NonFiniteError, match="softmax_cross_entropy_backward: dloss has NaN or infinity"):
            softmax_cross_entropy_backward(bad, saved)
    with pytest.raises(DTypeError, match="dloss is a float32, expected a float64"):
        softmax_cross_entropy_backward(np.float32(1), saved)
    with pytest.raises(ShapeError, match=r"dloss has shape \(1,\), expected a number"):
        softmax_cross_entropy_backward(np.ones(1), saved)
