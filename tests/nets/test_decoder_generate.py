"""Generation: the cache changes nothing but time, a draw is the inverse distribution, bad options are named."""

import numpy as np
import pytest
from decoders import OPTIONS, assert_equal_to_rounding, decoder, rounded_params, tokens_of
from helpers import random_params

from nsn_ref.errors import LabelError, OptionError, RankError, ShapeError
from nsn_ref.nets.decoder import generate
from nsn_ref.nets.decoder.cache import KVCache
from nsn_ref.nets.decoder.generation import choose, next_logits

PADDED = np.array([[True, True, True], [False, True, True]])


class Given:
    """A generator that gives these numbers."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def random(self, shape):
        return np.array(self.numbers).reshape(shape)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("rank", [1, 3])
def test_the_cache_changes_nothing(rng, name, rank):
    net = decoder(name)
    params, tokens, mask = random_params(rng, net), tokens_of(rng, net), PADDED
    exact, ranks = rounded_params(params), net.layer_ranks(rank)
    cache = KVCache(net.config, 2, 6, np.float64)
    for _ in range(3):
        cached = next_logits(net.config, params, tokens, mask, ranks, cache)
        evaluated = next_logits(net.config, exact, tokens, mask, ranks)
        assert_equal_to_rounding(cached, next_logits(net.config, params, tokens, mask, ranks), evaluated)
        tokens, mask = np.hstack([tokens, tokens_of(rng, net, T=1)]), np.hstack([mask, np.ones((2, 1), dtype=bool)])


@pytest.mark.parametrize("name", OPTIONS)
def test_greedy_is_the_largest_logit_of_each_forward_pass(rng, name):
    net = decoder(name)
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    text = generate(net, params, tokens, 5, 2)
    assert text.shape == (2, 8) and (text[:, :3] == tokens).all() and text.dtype == tokens.dtype
    for t in range(3, 8):
        logits, _ = net.forward(params, text[:, :t], 2)
        assert (text[:, t] == logits[:, -1].argmax(axis=1)).all()
    for options in ({"cached": False}, {"temperature": 1.0, "top_k": 1, "rng": rng}):
        assert (generate(net, params, tokens, 5, 2, **options) == text).all()


def test_padding_on_the_left_is_a_prompt_without_it(rng):
    net = decoder("gpt_neo")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    text = generate(net, params, tokens, 4, mask=PADDED)
    assert (text[1, 1:] == generate(net, params, tokens[1:, 1:], 4)[0]).all()


def test_kernels_generate_the_same(rng):
    from nsn_ref import kernels

    net = decoder("qwen2")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    assert (generate(net, params, tokens, 6, ops=kernels) == generate(net, params, tokens, 6)).all()


def test_a_seed_fixes_the_text_and_the_rank_plays_a_role(rng):
    net = decoder("gpt_neox", context=60)
    params, tokens = random_params(rng, net), tokens_of(rng, net)

    def text(rank, seed):
        return generate(net, params, tokens, 50, rank, temperature=2.0, rng=np.random.default_rng(seed))

    assert (text(7, 1) == text(7, 1)).all()
    assert (text(7, 1) != text(7, 2)).any() and (text(7, 1) != text(1, 1)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_draw_is_the_inverse_distribution_of_the_most_likely_tokens(dtype):
    logits = np.log(np.array([[1.0, 5.0, 2.0, 2.0]], dtype))  # with k = 3 the shares are 5/9, 2/9, 2/9 of 1, 2, 3
    for u, token in ((0.0, 1), (0.55, 1), (0.56, 2), (0.77, 2), (0.78, 3), (1 - 2**-53, 3)):
        assert choose(logits, 1.0, 3, Given(u)) == token
    for u, token in ((0.71, 1), (0.74, 2), (0.85, 2), (0.86, 3), (0.96, 3), (0.98, 0)):  # squares: 25, 4, 4, 1 of 34
        assert choose(logits, 0.5, None, Given(u)) == token
    assert (choose(np.vstack([logits, -logits]), 1.0, None, Given(0.0, 0.0)) == [1, 0]).all()


@pytest.mark.parametrize("temperature", [1e-3, 1e-305])
def test_a_cold_draw_is_the_largest_logit(temperature):
    assert choose(np.array([[1.0, 3.0, 2.0]]), temperature, None, Given(1 - 2**-53)) == 1


def test_bad_options_are_named(rng):
    net = decoder("gpt_neox")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    right = np.array([[True, True, True], [True, True, False]])
    for error, message, prompt, count, options in (
        (
            ShapeError,
            r"tokens has shape \(2, 12\), expected \(n, T\) with T in 1\.\.11",
            tokens_of(rng, net, T=12),
            1,
            {},
        ),
        (ShapeError, r"tokens has shape \(2, 3\) and count is 9, expected at most 11 positions", tokens, 9, {}),
        (LabelError, r"tokens has the label -1", tokens * 0 - 1, 1, {}),
        (OptionError, r"count is 0, expected an integer of at least 1", tokens, 0, {}),
        (RankError, r"rank is 8, expected an integer in 1\.\.7", tokens, 1, {"rank": 8}),
        (OptionError, r"temperature is -1, expected a number in \[0, inf\)", tokens, 1, {"temperature": -1}),
        (OptionError, r"top_k is 8, expected an integer in 1\.\.7", tokens, 1, {"top_k": 8}),
        (OptionError, r"rng is None, expected a numpy\.random\.Generator", tokens, 1, {"temperature": 1.0}),
        (OptionError, r"mask is False at the last position, expected padding on the left", tokens, 1, {"mask": right}),
        (ShapeError, r"mask has shape \(1, 3\), expected \(2, 3\)", tokens, 1, {"mask": right[:1]}),
    ):
        with pytest.raises(error, match=f"^generate: {message}"):
            generate(net, params, prompt, count, **options)
