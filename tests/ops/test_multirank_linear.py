"""multirank_linear against K passes of nested_linear, exactly, and the complex step."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    distinct_primes,
    leading_axes,
    normal,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, RankError, ShapeError
from nsn_ref.ops.multirank_linear import multirank_linear_backward, multirank_linear_forward
from nsn_ref.ops.nested_linear import nested_linear_backward, nested_linear_forward

RANKS = [(4,), (11, 1, 6), (1, 6, 11), (6, 2, 6), [3, 3], np.array([9, 2])]


def draw_ranks(data, R):
    """In any order, duplicates among them."""
    return tuple(data.draw(st.lists(st.integers(1, R), min_size=1, max_size=5)))


@given(distinct_primes(4), seeds, st.data())
def test_one_pass_is_the_passes_of_nested_linear_exactly(sizes, seed, data):
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    lead, ranks = data.draw(leading_axes(n)), draw_ranks(data, R)
    inputs = [random_fractions(rng, *shape) for shape in ((*lead, d_in), (R, d_in), (d_out, R), (d_out,))]
    ys, saved = multirank_linear_forward(*inputs, ranks)
    dys = random_fractions(rng, *ys.shape)
    grads = multirank_linear_backward(dys, saved)
    total = [a * 0 for a in inputs]
    for k, rank in enumerate(ranks):
        y, saved_once = nested_linear_forward(*inputs, rank)
        assert (ys[k] == y).all()
        total = [t + g for t, g in zip(total, nested_linear_backward(dys[k], saved_once), strict=True)]
    assert all((g == t).all() for g, t in zip(grads, total, strict=True))
    assert_number_type(Fraction, ys, *grads)


@pytest.mark.parametrize("ranks", RANKS, ids=str)
def test_backward_is_the_exact_adjoint(rng, ranks):
    """The layer is affine in each argument, so <dys, f(p + v) - f(p)> = <df, v> with no error at all."""
    inputs = [random_fractions(rng, *shape) for shape in ((5, 3), (11, 3), (7, 11), (7,))]
    ys, saved = multirank_linear_forward(*inputs, ranks)
    dys = random_fractions(rng, *ys.shape)
    for k, grad in enumerate(multirank_linear_backward(dys, saved)):
        v = random_fractions(rng, *grad.shape)
        moved = [a + v if j == k else a for j, a in enumerate(inputs)]
        assert (dys * (multirank_linear_forward(*moved, ranks)[0] - ys)).sum() == (grad * v).sum()


@given(distinct_primes(4), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    inputs = normal(rng, (*data.draw(leading_axes(n)), d_in), (R, d_in), (d_out, R), (d_out,))
    forward = partial(multirank_linear_forward, ranks=draw_ranks(data, R))
    assert_gradient(forward, multirank_linear_backward, inputs, rng)


@pytest.mark.parametrize("which", range(4), ids=["x", "A", "B", "b"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(partial(multirank_linear_forward, ranks=(6, 1, 9, 6)), multirank_linear_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    assert_certified(partial(multirank_linear_forward, ranks=(6, 1, 9, 6)), multirank_linear_backward, inputs, rng)


def test_components_above_the_largest_rank_get_exactly_zero(rng):
    ys, saved = multirank_linear_forward(*normal(rng, (5, 3), (11, 3), (7, 11), (7,)), (2, 4))
    _, dA, dB, _ = multirank_linear_backward(ys, saved)
    assert (dA[4:] == 0).all() and (dB[:, 4:] == 0).all()
    assert (dA[:4] != 0).all() and (dB[:, :4] != 0).all()


def test_the_work_is_that_of_one_pass_at_the_largest_rank(rng):
    """Counted on numbers that count: multiplications do not grow with the number of ranks."""
    counts = [count_multiplications(rng, ranks) for ranks in ((11,), (11, 6, 1), tuple(range(1, 12)))]
    assert counts[0] == counts[1] == counts[2] == (5 * 11 * (3 + 7), 2 * 5 * 11 * (3 + 7))


def count_multiplications(rng, ranks):
    """Multiplications of the forward and of the backward pass."""
    count = 0

    class Counting(Fraction):
        def __mul__(self, other):
            nonlocal count
            count += 1
            return Counting(Fraction.__mul__(self, other))

        def __add__(self, other):
            return Counting(Fraction.__add__(self, other))

        exp = None  # accepted as a number system of its own

    def counting(*shape):
        out = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            out[index] = Counting(int(rng.integers(1, 9)))
        return out

    ys, saved = multirank_linear_forward(counting(5, 3), counting(11, 3), counting(7, 11), counting(7), ranks)
    forward, count = count, 0
    multirank_linear_backward(counting(*ys.shape), saved)
    return forward, count


def test_bad_input_is_named(rng):
    x, A, B, b = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    for ranks, got in (((4, 0), r"ranks\[1\] is 0"), ((12,), r"ranks\[0\] is 12"), ((True,), r"ranks\[0\] is True")):
        with pytest.raises(RankError, match=rf"multirank_linear_forward: {got}, expected an integer in 1\.\.11"):
            multirank_linear_forward(x, A, B, b, ranks)
    for ranks in ((), 4, None, "12"):
        with pytest.raises(RankError, match=r"ranks is .*, expected a non-empty sequence of integers in 1\.\.11"):
            multirank_linear_forward(x, A, B, b, ranks)
    with pytest.raises(ShapeError, match=r"A has shape \(3, 11\), expected \(R, d_in\) = \(R, 3\)"):
        multirank_linear_forward(x, A.T, B, b, (1,))
    with pytest.raises(DTypeError, match="b holds float32, expected float64 as x does"):
        multirank_linear_forward(x, A, B, b.astype(np.float32), (1,))
    with pytest.raises(NonFiniteError, match="multirank_linear_forward: A has NaN or infinity"):
        multirank_linear_forward(x, A * np.nan, B, b, (1,))
    ys, saved = multirank_linear_forward(x, A, B, b, (1, 4))
    message = r"multirank_linear_backward: dys has shape \(5, 7\), expected \(2, 5, 7\), the shape of the output"
    with pytest.raises(ShapeError, match=message):
        multirank_linear_backward(ys[0], saved)
