"""Which ranks are trained at a step: an anchor, and variants below it drawn by a curriculum.

The distribution of the variant is a pure function of the step, so it can be enumerated; the draw is apart from it.
"""

import bisect
import itertools
import math
from fractions import Fraction

from nsn_ref import checks
from nsn_ref.errors import RankError

CURRICULA = ("uniform", "log_uniform", "easy_to_hard", "hard_to_easy", "delayed", "all", "anchor")


def candidates(R, anchor, variants=None):
    """The ranks that a variant is drawn from: those of `variants` (default: all) below the anchor, ascending.

    Raises
    ------
    RankError
    """
    checks.rank("candidates", anchor, R, name="anchor")
    if variants is None:
        return tuple(range(1, anchor))
    checks.ranks("candidates", variants, R)
    below = tuple(sorted({int(r) for r in variants if r < anchor}))
    if not below:
        raise RankError(f"candidates: variants is {variants!r}, expected at least one rank below the anchor {anchor}")
    return below


def distribution(curriculum, step, steps, ranks, anchor):
    """Probability of each variant at one step.

    With m candidates and the share t = step / steps of the training behind us:

    ============== ====================================================================================================
    "uniform"      each 1 / m
    "log_uniform"  in proportion to ln(next candidate / candidate), the anchor coming after the last: uniform in ln r
    "easy_to_hard" uniform over the 1 + floor(2 t m) largest, over all from half-way on
    "hard_to_easy" uniform over the 1 + floor(2 t m) smallest, over all from half-way on
    "delayed"      none in the first half; then uniform with a probability that rises to 1 at three quarters
    "anchor"       none: the anchor alone
    ============== ====================================================================================================

    Parameters
    ----------
    curriculum : str
        One of the above; "all" has no draw.
    step : int, in 0..steps-1
    steps : int
        Length of the whole training.
    ranks : sequence of int
        The candidates, ascending, all below the anchor.
    anchor : int

    Returns
    -------
    dict of int or None to Fraction or float
        Probabilities; None stands for no variant. Ranks that cannot be drawn are absent.

    Raises
    ------
    OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.2, names a curriculum and does not state it; "delayed" follows arXiv:2407.06167.
    """
    checks.choice("distribution", "curriculum", curriculum, tuple(name for name in CURRICULA if name != "all"))
    checks.integer("distribution", "step", step, 0, steps - 1)
    t, m = Fraction(step, steps), len(ranks)
    if m == 0 or curriculum == "anchor":
        return {None: Fraction(1)}
    if curriculum == "log_uniform":
        length = math.log(anchor / ranks[0])
        return {r: math.log(above / r) / length for r, above in itertools.pairwise([*ranks, anchor])}
    if curriculum == "delayed":
        share = min(Fraction(1), max(Fraction(0), 4 * t - 2))
        return {r: p for r, p in {None: 1 - share, **dict.fromkeys(ranks, share / m)}.items() if p}
    reached = min(m, 1 + math.floor(2 * t * m))
    chosen = {"uniform": ranks, "easy_to_hard": ranks[m - reached :], "hard_to_easy": ranks[:reached]}[curriculum]
    return dict.fromkeys(chosen, Fraction(1, len(chosen)))


def draw(probabilities, u):
    """The outcome whose stretch of the unit interval holds `u`, in the order of the dict, to float64 rounding.

    Parameters
    ----------
    probabilities : dict of outcome to number
        They sum to 1.
    u : float, in [0, 1)
    """
    *inner, _ = itertools.accumulate(map(float, probabilities.values()))
    return list(probabilities)[bisect.bisect_right(inner, u)]


def step_ranks(curriculum, step, steps, ranks, anchor, u):
    """The ranks of one step: the anchor first, then its variants.

    Parameters
    ----------
    curriculum : str
        One of `CURRICULA`; "all" takes every candidate at every step, descending.
    step, steps, ranks, anchor
        As in `distribution`.
    u : float, in [0, 1)
        The step's random number.
    """
    if curriculum == "all":
        return (anchor, *reversed(ranks))
    variant = draw(distribution(curriculum, step, steps, ranks, anchor), u)
    return (anchor,) if variant is None else (anchor, variant)
