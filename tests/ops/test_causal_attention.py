"""causal_attention against a loop over queries and keys in balls, what it must not depend on, and the complex step."""

import flint
import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    fractions,
    normal,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import certified, to_balls
from nsn_ref.certify.rounding import errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.causal_attention import causal_attention_backward, causal_attention_forward


def bind(**options):
    return lambda q, k, v: causal_attention_forward(q, k, v, **options)


def by_definition(q, k, v, mask=None, scale=None, window=None):
    """One query head and one query at a time, over lists of the keys that it sees."""
    (n, T, H, D), (_, S, G, _) = q.shape, k.shape
    scale = 1 / flint.arb(D).sqrt() if scale is None else flint.arb(scale)
    y = np.full_like(q, flint.arb(0))
    for i, t, h in np.ndindex(n, T, H):
        last = S - T + t
        seen = [s for s in range(S) if s <= last and (window is None or last - s < window)]
        seen = [s for s in seen if mask is None or mask[i, s]]
        weights = [(scale * sum(q[i, t, h] * k[i, s, h // (H // G)])).exp() for s in seen]
        for d in range(D):
            terms = [w * v[i, s, h // (H // G), d] for w, s in zip(weights, seen, strict=True)]
            y[i, t, h, d] = sum(terms) / sum(weights) if seen else flint.arb(0)
    return {"y": y}


@st.composite
def problems(draw):
    """Shapes of queries and keys, and options: all three kinds of heads, with and without earlier keys."""
    rng = np.random.default_rng(draw(seeds))
    n, T, D = draw(st.permutations((2, 3, 5)))
    G, share = draw(st.sampled_from([(1, 1), (3, 1), (1, 3), (2, 3), (3, 2)]))
    S = T + draw(st.sampled_from([0, 2]))
    options = {
        "mask": draw(st.sampled_from([None, rng.random((n, S)) < 0.6])),
        "scale": draw(st.sampled_from([None, 1.0, 0.3])),
        "window": draw(st.sampled_from([None, 1, 2, 99])),
    }
    return rng, normal(rng, (n, T, G * share, D), (n, S, G, D), (n, S, G, D)), options


@given(problems())
def test_forward_is_the_definition_within_its_rounding_bound(problem):
    _, inputs, options = problem
    bound = errors(bind(**options)(*map(rounded, inputs))[0])
    truth = certified(lambda *balls: by_definition(*balls, **options), *inputs)["y"]
    y = bind(**options)(*inputs)[0]
    assert (np.abs(y - truth) <= bound + 2.0**-53 * np.abs(truth)).all()
    assert (bound <= 1e-12).all()  # not vacuous


@given(problems())
def test_backward_agrees_with_the_complex_step(problem):
    rng, inputs, options = problem
    assert_gradient(bind(**options), causal_attention_backward, inputs, rng)


@pytest.mark.parametrize("which", range(3), ids=["q", "k", "v"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (2, 3, 6, 5), (2, 5, 2, 5), (2, 5, 2, 5))
    for value in adversarial(rng, inputs[which], huge=10.0 if which < 2 else 1e100):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(bind(window=3), causal_attention_backward, changed, rng)


@pytest.mark.parametrize("options", [{}, {"scale": 1.0, "window": 2}], ids=["all", "window"])
def test_floats_lie_within_their_bounds_of_the_certified_values(rng, options):
    inputs = normal(rng, (1, 3, 4, 5), (1, 3, 2, 5), (1, 3, 2, 5))
    assert_certified(bind(**options), causal_attention_backward, inputs, rng)


def test_equal_scores_are_decided_by_no_comparison(rng):
    """Balls of equal numbers computed differently: the largest of them is undecided at any precision."""
    third = to_balls(np.ones((1, 3, 1, 5))) / 3
    y, saved = causal_attention_forward(third, third, third, window=2)
    grads = causal_attention_backward(third, saved)
    assert_number_type(flint.arb, y, saved.p, *grads)
    assert all(element.contains(flint.arb(1) / 3) for element in y.flat)


def test_large_scores_neither_overflow_nor_come_from_the_future(rng):
    q, k, v = normal(rng, (1, 3, 2, 5), (1, 3, 2, 5), (1, 3, 2, 5))
    k[:, 2] *= 1e150
    y, saved = causal_attention_forward(1e150 * q, k, v, mask=np.array([[True, False, True]]))
    assert np.isfinite(y).all() and np.array_equal(y[:, :2], np.repeat(v[:, :1], 2, axis=1))
    assert all(np.isfinite(grad).all() for grad in causal_attention_backward(q, saved))


def test_a_query_does_not_depend_on_later_keys_or_padding(rng):
    q, k, v, dy = normal(rng, (2, 5, 6, 3), (2, 5, 2, 3), (2, 5, 2, 3), (2, 5, 6, 3))
    mask = np.array([[False, True, True, True, True], [True, True, False, True, True]])
    y, saved = causal_attention_forward(q, k, v, mask)
    changed = [np.where(mask[..., None, None], x, 9.0) for x in (k, v)]
    assert np.array_equal(causal_attention_forward(q, *changed, mask)[0], y)
    for x in changed:
        x[:, 4] = 9.0
    assert np.array_equal(causal_attention_forward(q, *changed, mask)[0][:, :4], y[:, :4])
    _, dk, dv = causal_attention_backward(dy, saved)
    assert (dk[~mask] == 0).all() and (dv[~mask] == 0).all() and (dv[mask] != 0).all()


def test_a_query_that_sees_no_key_gives_zero_and_takes_no_gradient(rng):
    q, k, v, dy = normal(rng, (1, 3, 4, 5), (1, 3, 2, 5), (1, 3, 2, 5), (1, 3, 4, 5))
    y, saved = causal_attention_forward(q, k, v, np.array([[False, False, True]]))
    dq, dk, dv = causal_attention_backward(dy, saved)
    for x in (y[:, :2], dq, dk, dv[:, :2]):  # the last query sees one key: its weight is 1 whatever the score
        assert (x == 0).all()
    assert np.array_equal(y[:, 2].reshape(2, 2, 5), np.repeat(v[0, 2, :, None], 2, axis=1))


def test_queries_one_by_one_on_the_keys_so_far_are_all_at_once(rng):
    q, k, v = normal(rng, (2, 7, 6, 3), (2, 7, 2, 3), (2, 7, 2, 3))
    mask = rng.random((2, 7)) < 0.7
    for window in (None, 3):
        y, _ = causal_attention_forward(q, k, v, mask, window=window)
        for t in range(7):
            so_far = (x[:, : t + 1] for x in (k, v, mask))
            one, _ = causal_attention_forward(q[:, t : t + 1], *so_far, window=window)
            assert np.allclose(one, y[:, t : t + 1], rtol=1e-13, atol=1e-15)


def test_shared_heads_are_repeated_heads(rng):
    q, k, v, dy = normal(rng, (2, 5, 6, 3), (2, 5, 2, 3), (2, 5, 2, 3), (2, 5, 6, 3))
    y, saved = causal_attention_forward(q, k, v)
    repeated, saved_repeated = causal_attention_forward(q, k.repeat(3, axis=2), v.repeat(3, axis=2))
    assert np.allclose(y, repeated, rtol=1e-13)
    grads, expected = (causal_attention_backward(dy, s) for s in (saved, saved_repeated))
    assert np.allclose(grads[0], expected[0], rtol=1e-12, atol=1e-14)
    for shared, apart in zip(grads[1:], expected[1:], strict=True):
        assert np.allclose(shared, apart.reshape(2, 5, 2, 3, 3).sum(axis=3), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n, T", [(0, 3), (2, 0)])
def test_empty_batches(n, T):
    q, k = np.ones((n, T, 6, 5)), np.ones((n, T, 2, 5))
    y, saved = causal_attention_forward(q, k, k)
    assert [x.shape for x in (y, *causal_attention_backward(q, saved))] == [q.shape, q.shape, k.shape, k.shape]


def test_bad_input_is_named(rng):
    q, k, v = normal(rng, (2, 3, 6, 5), (2, 3, 2, 5), (2, 3, 2, 5))
    name = "causal_attention_forward"
    for shape in ((2, 2, 2, 5), (2, 3, 4, 5), (2, 3, 0, 5)):
        got = rf"k has {shape[1]} positions and {shape[2]} heads"
        with pytest.raises(ShapeError, match=rf"{name}: {got}, expected at least the 3 positions of q and a divisor"):
            causal_attention_forward(q, np.ones(shape), np.ones(shape))
    with pytest.raises(
        ShapeError, match=rf"{name}: v has shape \(2, 3, 1, 5\), expected \(n, S, G, D\) = \(2, 3, 2, 5\)"
    ):
        causal_attention_forward(q, k, v[:, :, :1])
    with pytest.raises(ShapeError, match=rf"{name}: mask has shape \(3, 2\), expected \(2, 3\)"):
        causal_attention_forward(q, k, v, np.ones((3, 2), bool))
    with pytest.raises(DTypeError, match=rf"{name}: mask has dtype float64, expected an ndarray of booleans"):
        causal_attention_forward(q, k, v, np.ones((2, 3)))
    for window in (0, -1, 2.0, True):
        with pytest.raises(OptionError, match=rf"{name}: window is .*, expected an integer of at least 1"):
            causal_attention_forward(q, k, v, window=window)
    with pytest.raises(OptionError, match=rf"{name}: scale is nan, expected a number"):
        causal_attention_forward(q, k, v, scale=np.nan)
    with pytest.raises(NonFiniteError, match=rf"{name}: k has NaN or infinity"):
        causal_attention_forward(q, k * np.nan, v)
    with pytest.raises(NumberSystemError, match=r"rsqrt: .* does not exist over Fractions"):
        causal_attention_forward(*map(fractions, (q, k, v)))
    _, saved = causal_attention_forward(q, k, v)
    with pytest.raises(
        ShapeError, match=r"causal_attention_backward: dy has shape \(2, 6, 3, 5\), expected \(2, 3, 6, 5\)"
    ):
        causal_attention_backward(q.swapaxes(1, 2), saved)
