"""Curricula: the distribution of the variant at every step, exactly, and the draw from it."""

import math
from fractions import Fraction

import numpy as np
import pytest

from nsn_ref.errors import OptionError, RankError
from nsn_ref.training.curricula import CURRICULA, candidates, distribution, draw, step_ranks

POWERS = (1, 2, 4, 8, 16, 32)


def test_candidates_lie_below_the_anchor():
    assert candidates(7, 7) == (1, 2, 3, 4, 5, 6)
    assert candidates(7, 3) == (1, 2)
    assert candidates(7, 1) == ()
    assert candidates(64, 64, (64, 32, 16, 8, 4, 2, 1, 2)) == POWERS
    with pytest.raises(RankError, match=r"candidates: anchor is 8, expected an integer in 1\.\.7"):
        candidates(7, 8)
    with pytest.raises(RankError, match=r"candidates: ranks\[1\] is 9"):
        candidates(7, 7, (1, 9))
    with pytest.raises(RankError, match=r"variants is \(5, 6\), expected at least one rank below the anchor 5"):
        candidates(7, 5, (5, 6))


@pytest.mark.parametrize("curriculum", [name for name in CURRICULA if name not in ("all", "log_uniform")])
def test_probabilities_sum_to_one_at_every_step(curriculum):
    for ranks in (POWERS, (3,), (1, 2, 3, 4, 5)):
        for step in range(23):
            assert sum(distribution(curriculum, step, 23, ranks, 64).values()) == 1


def test_uniform_gives_every_candidate_the_same():
    for step in (0, 5, 9):
        assert distribution("uniform", step, 10, POWERS, 64) == dict.fromkeys(POWERS, Fraction(1, 6))


def test_log_uniform_is_uniform_in_ln_r():
    powers = distribution("log_uniform", 0, 10, POWERS, 64)
    assert powers == pytest.approx(dict.fromkeys(POWERS, 1 / 6), rel=1e-15)  # an octave each
    every = distribution("log_uniform", 0, 10, range(1, 8), 8)
    assert math.fsum(every.values()) == pytest.approx(1, rel=1e-15)
    for r in (1, 2, 4):  # the octave from r holds a third of ln 8
        assert math.fsum(every[q] for q in range(r, 2 * r)) == pytest.approx(1 / 3, rel=1e-14)


def test_easy_to_hard_widens_from_the_largest_candidate():
    support = [tuple(distribution("easy_to_hard", step, 12, (1, 2, 3), 4)) for step in range(12)]
    assert support == [(3,)] * 2 + [(2, 3)] * 2 + [(1, 2, 3)] * 8
    assert distribution("easy_to_hard", 3, 12, (1, 2, 3), 4) == {2: Fraction(1, 2), 3: Fraction(1, 2)}


def test_hard_to_easy_widens_from_the_smallest_candidate():
    support = [tuple(distribution("hard_to_easy", step, 12, (1, 2, 3), 4)) for step in range(12)]
    assert support == [(1,)] * 2 + [(1, 2)] * 2 + [(1, 2, 3)] * 8


def test_delayed_trains_the_anchor_alone_and_then_ramps_in():
    at = [distribution("delayed", step, 16, (1, 2), 4) for step in range(16)]
    assert at[:9] == [{None: Fraction(1)}] * 9
    assert at[9] == {None: Fraction(3, 4), 1: Fraction(1, 8), 2: Fraction(1, 8)}
    assert at[11] == {None: Fraction(1, 4), 1: Fraction(3, 8), 2: Fraction(3, 8)}
    assert at[12:] == [{1: Fraction(1, 2), 2: Fraction(1, 2)}] * 4


def test_anchor_has_no_variant():
    assert distribution("anchor", 0, 5, POWERS, 64) == {None: 1}
    for curriculum in CURRICULA:
        assert step_ranks(curriculum, 0, 5, (), 1, 0.5) == (1,)  # nothing lies below rank 1


def test_all_takes_every_candidate_after_the_anchor():
    assert step_ranks("all", 3, 5, POWERS, 64, 0.7) == (64, 32, 16, 8, 4, 2, 1)


def test_draw_follows_the_stretches_of_the_unit_interval():
    probabilities = {None: Fraction(1, 4), 5: Fraction(1, 2), 2: Fraction(1, 4)}
    drawn = [draw(probabilities, (i + 0.5) / 16) for i in range(16)]
    assert drawn == [None] * 4 + [5] * 8 + [2] * 4
    assert [draw(probabilities, u) for u in (0.0, 0.25, 0.75, 1 - 2**-53)] == [None, 5, 2, 2]


@pytest.mark.parametrize("curriculum", ["uniform", "log_uniform", "easy_to_hard", "hard_to_easy", "delayed"])
def test_equally_spaced_draws_have_the_frequencies_of_the_distribution(curriculum):
    """Not a statistical test: of N equally spaced u, each outcome takes its share to within one draw."""
    for step in (0, 4, 11, 19):
        probabilities = distribution(curriculum, step, 20, POWERS, 64)
        drawn = [step_ranks(curriculum, step, 20, POWERS, 64, (i + 0.5) / 1000) for i in range(1000)]
        for outcome, p in probabilities.items():
            expected = (64,) if outcome is None else (64, outcome)
            assert abs(drawn.count(expected) - 1000 * p) <= 1
        assert {ranks[0] for ranks in drawn} == {64}


def test_a_run_of_seeded_draws_uses_every_candidate():
    rng = np.random.default_rng(3)
    drawn = {step_ranks("uniform", step, 200, POWERS, 64, rng.random())[1] for step in range(200)}
    assert drawn == set(POWERS)


def test_bad_options_are_named():
    with pytest.raises(OptionError, match=r"distribution: curriculum is 'random', expected one of 'uniform'"):
        distribution("random", 0, 5, POWERS, 64)
    with pytest.raises(OptionError, match=r"distribution: step is 5, expected an integer in 0\.\.4"):
        distribution("uniform", 5, 5, POWERS, 64)
