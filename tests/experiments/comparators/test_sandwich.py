"""The sandwich rule's members, and a teacher that is a constant."""

from collections import Counter

import numpy as np
import pytest
from comparator_formulas import STEP, cross_entropy, softmax

from nsn_ref.experiments.comparators.sandwich import distilled_backward, distilled_forward, sandwich
from nsn_ref.ops.kl_distillation import kl_distillation_backward, kl_distillation_forward


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_largest_the_smallest_and_the_rest_at_random(rng, count):
    drawn = [sandwich(11, 2, range(2, 12), count, rng) for _ in range(400)]
    assert all(widths[:2] == [11, 2] and len(widths) == count for widths in drawn)
    others = Counter(width for widths in drawn for width in widths[2:])
    assert others.keys() == (set(range(2, 12)) if count > 2 else set())


def test_losses_are_on_labels_and_on_the_softmax_of_the_first(rng):
    logits, labels = rng.standard_normal((3, 7, 5)), rng.integers(0, 5, 7)
    losses, _ = distilled_forward(list(logits), labels)
    teacher = softmax(logits[0])
    expected = [cross_entropy(logits[0], labels), *(cross_entropy(z, teacher) for z in logits[1:])]
    assert np.allclose(losses, expected, rtol=1e-14, atol=0)


def test_no_gradient_reaches_the_teacher(rng):
    """The first logits' gradient is that of their own loss; with a teacher that moved, it would differ."""
    logits, labels, dlosses = rng.standard_normal((3, 7, 5)), rng.integers(0, 5, 7), rng.standard_normal(3)
    _, saved = distilled_forward(list(logits), labels)
    dlogits = distilled_backward(dlosses, saved)
    direction, teacher = rng.standard_normal(logits.shape), softmax(logits[0])
    moved = logits + 1j * STEP * direction
    terms = [cross_entropy(moved[0], labels), *(cross_entropy(z, teacher) for z in moved[1:])]
    expected = sum(w * term.imag / STEP for w, term in zip(dlosses, terms, strict=True))
    assert np.isclose((np.stack(dlogits) * direction).sum(), expected, rtol=1e-12, atol=0)
    attached = [cross_entropy(moved[0], labels), *(cross_entropy(z, softmax(moved[0])) for z in moved[1:])]
    assert abs(sum(w * t.imag / STEP for w, t in zip(dlosses, attached, strict=True)) - expected) > 1e-3


def test_students_have_the_gradient_of_the_divergence(rng):
    """The cross-entropy with the teacher is the divergence plus a constant."""
    logits, labels = rng.standard_normal((2, 7, 5)), rng.integers(0, 5, 7)
    _, saved = distilled_forward(list(logits), labels)
    _, dstudent = distilled_backward(np.ones(2), saved)
    _, context = kl_distillation_forward(logits[1], logits[0])
    expected, _ = kl_distillation_backward(np.float64(1), context)
    assert np.allclose(dstudent, expected, rtol=1e-13, atol=1e-16)
