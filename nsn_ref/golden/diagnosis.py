"""What a wrong tensor looks like: a sentence, where the pattern of its errors is known.

A pattern is named only if it explains the errors: the distance between what the port returned and what the mistake
would have returned is within some roundings, and a small part of the distance from the truth. So an answer that is
right never gets a sentence, nor does one that is wrong in an unknown way.
"""

import functools

import numpy as np

from nsn_ref.golden.suspects import recomputed, round_to_bits

# format: significant bits, unit roundoff; tf32 stores float32
BITS = {"float64": 53, "float32": 24, "tf32": 11, "float16": 11, "bfloat16": 8, "bfloat16_master": 8}
STORED = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
SHORTER = {8: "bfloat16", 11: "float16 or TF32", 24: "float32"}
SHORTER_THAN = {"float64": (24,), "float32": (11, 8), "tf32": (8,)}
ROUNDINGS = 64  # how far from a pattern an answer may lie, in roundings of its largest element
PART = 0.25  # and as a part of its distance from the truth, and of the pattern: else next to nothing would do as well
MANY = 3  # elements that show a pattern


def diagnose(case, outputs, names, earlier=None):
    """Name the patterns of wrong tensors.

    Parameters
    ----------
    case : SuiteCase
    outputs : dict of str to ndarray
        The port's answer, in dtypes and shapes as expected.
    names : sequence of str
        Outputs to look at.
    earlier : dict of str to dict, optional
        Answers to other cases that the port gave before, by case id.

    Returns
    -------
    dict of str to str
        By name, for each wrong tensor whose pattern is known: a sentence that starts with a small letter.
    """
    mistakes = functools.cache(lambda: list(recomputed(case)))  # one list for all tensors, made when first needed
    found = {}
    with np.errstate(all="ignore"):
        for name in names:
            sentence = _diagnose(name, case, np.asarray(outputs[name]), earlier or {}, mistakes)
            found |= {name: sentence} if sentence else {}
    return found


def _diagnose(name, case, raw, earlier, mistakes):
    want = case.outputs[name]
    match = _Match(np.asarray(raw, np.float64), want)
    if not match.wrong.any():
        return None
    if not np.isfinite(match.got).all():
        return _not_finite(match.got)
    return (
        _copied(name, raw, match, case, earlier)
        or _transformed(match, case)
        or next((text for text, made in mistakes() if name in made and match.explains(made[name])), None)
        or _rearranged(match)
        or _rounded(match, case.dtype, want.dtype, name)
        or _where(match)
    )


class _Match:
    """A wrong answer, and whether something else explains it."""

    def __init__(self, got, want):
        self.got, self.expected, self.bound = got, want.expected, want.bound
        self.u = 2.0 ** -STORED.get(want.dtype, 53)
        self.wrong = ~(np.abs(got - want.expected) <= want.bound)
        self.distance = np.abs(got - want.expected).max(initial=0)

    def explains(self, other):
        """Whether the answer is `other`, but for roundings."""
        if other.shape != self.got.shape or not np.isfinite(other).all():
            return False
        return np.abs(self.got - other).max() <= self.tolerance(other)

    def tolerance(self, other):
        """How far the answer may lie from a pattern."""
        largest = np.abs(other).max()
        roundings = 8 * self.bound[np.isfinite(self.bound)].max(initial=0) + ROUNDINGS * self.u * largest
        return min(roundings, PART * self.distance, PART * largest)


def _not_finite(got):
    kinds = [word for word, test in (("NaN", np.isnan), ("infinite", np.isinf)) if test(got).any()]
    count = np.count_nonzero(~np.isfinite(got))
    return f"{count} of {got.size} elements are {' or '.join(kinds)}"


def _copied(name, raw, match, case, earlier):
    """What was not computed here at all."""
    if not raw.any():
        return "all zeros: never written, or computed from zeros"
    for other_id, others in reversed(list(earlier.items())):
        other = others.get(name) if isinstance(others, dict) else None
        if other is not None and np.shape(other) == raw.shape and np.array_equal(other, raw) and raw.size > 1:
            return f"stale: this is the answer to {other_id}"
    for other, x in case.inputs.items():
        if x.shape == raw.shape and raw.size > 1 and np.array_equal(x, raw):
            return f"this is the input {other}, unchanged"
    return None


# --- patterns of the expected tensor ----------------------------------------------------------------------------------


def _transformed(match, case):
    expected = match.expected
    if expected.ndim >= 2 and match.explains(np.swapaxes(expected, -1, -2).reshape(expected.shape)):
        return "transposed"
    square = (expected * expected).sum()
    factor = (match.got * expected).sum() / square if square else 0.0
    if factor and match.explains(factor * expected):
        return _factor(factor, case, match)
    return None


def _factor(factor, case, match):
    """A name for a constant factor."""
    if abs(factor + 1) < 0.01:
        return "the sign is flipped"
    n = next((int(np.prod(case.inputs[x].shape[:-1])) for x in ("x", "z", "logits") if x in case.inputs), 0)
    K = len(case.attrs.get("ranks", ()))
    names = {
        2.0: "twice what is expected: a factor 1/2 is missing, or something is added twice",
        0.5: "half of what is expected: a factor 2 is missing",
        n: f"{n} times what is expected: the division by the number of rows is missing",
        1 / max(n, 1): f"1/{n} of what is expected: divided by the number of rows",
        K: f"{K} times what is expected: the number of ranks; a sum instead of a mean",
        1 / max(K, 1): f"1/{K} of what is expected: the number of ranks; a mean instead of a sum",
    }
    near = [text for value, text in names.items() if value not in (0, 1) and abs(factor / value - 1) < 0.01]
    several = np.count_nonzero(match.expected) >= MANY
    if not near and several and abs(factor - 1) > 0.01:
        return f"{factor:.6g} times what is expected, everywhere"
    return near[0] if near else None


def _rearranged(match):
    """The slices along some axis are the expected ones, in other places."""
    for axis in range(match.expected.ndim):
        got, expected = (np.moveaxis(x, axis, 0) for x in (match.got, match.expected))
        if not 2 <= len(got) <= 64 or got[0].size < 2:
            continue
        got, expected = (x.reshape(len(x), -1) for x in (got, expected))
        nearest = np.array([np.abs(row - expected).max(axis=1).argmin() for row in got])
        moved = nearest != np.arange(len(got))
        pattern = expected[nearest]
        if pattern[moved].any() and np.abs(got - pattern).max() <= match.tolerance(pattern):
            return _order(nearest, axis)
    return None


def _order(nearest, axis):
    n = len(nearest)
    if len(set(nearest)) == n:
        if (nearest == np.arange(n)[::-1]).all():
            return f"reversed along axis {axis}"
        if (np.diff(nearest) % n == 1).all():
            return f"shifted by {(0 - nearest[0]) % n} along axis {axis}"
        return f"the slices along axis {axis} are permuted"
    if len(set(nearest)) == 1:
        return f"every slice along axis {axis} is number {nearest[0]}"
    wrong = np.flatnonzero(nearest != np.arange(n))
    return f"stale: along axis {axis}, slice {wrong[0]} is a copy of slice {nearest[wrong[0]]}"


# --- roundings --------------------------------------------------------------------------------------------------------


def _rounded(match, contract, dtype, name):
    """Errors that look like those of a shorter format than the one promised."""
    got, expected = match.got, match.expected
    for bits, what in SHORTER.items():
        close = np.abs(got - expected).max() <= 2.0 ** (4 - bits) * np.abs(expected).max()
        short = bits < STORED.get(dtype, 53) and (round_to_bits(got, bits) == got).all()
        if short and close and not (round_to_bits(expected, bits) == expected).all():
            return f"every element has at most {bits} significant bits: it went through {what}"
    # the step of an optimiser is of one size whatever the gradient: there the size of the errors tells nothing
    return None if name.startswith("param.") else _noise(match, contract)


def _noise(match, contract):
    """Errors of both signs and of one size relative to their bounds; the size tells the format."""
    inside = match.bound > 0
    errors, bounds = (match.got - match.expected)[inside], match.bound[inside]
    rho = np.abs(errors) / bounds
    positive = np.count_nonzero(errors > 0) / max(rho.size, 1)
    if rho.size < 8 or not 0.1 <= positive <= 0.9 or rho.max() > 100 * np.median(rho) or match.wrong.mean() < 0.5:
        return None
    promised = BITS.get(contract, 53)
    bits = promised - np.log2(10 * np.median(rho))  # a correct result lies at about a tenth of its bound
    if np.abs(errors).max() > 2.0 ** (4 - bits) * np.abs(match.expected).max():  # too large for what they would be
        return None
    if any(abs(bits - short) <= 2 for short in SHORTER_THAN.get(contract, ())):
        return f"the errors have the size of roundings to about {bits:.0f} bits: sums or operands in a shorter format"
    if promised <= 11 and bits > promised - 8:
        return "the errors have the size of sums that are kept in the storage format instead of float32"
    return None


# --- where ------------------------------------------------------------------------------------------------------------


def _where(match):
    """The wrong elements lie in one part of the tensor."""
    wrong = match.wrong
    if wrong.size > 1 and not match.expected[wrong].any():
        return f"{np.count_nonzero(wrong)} elements are not zero where exactly zero is expected"
    for axis, size in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        indices = np.flatnonzero(wrong.any(axis=others))
        if size > 2 and len(indices) <= max(1, size // 3):
            zero = "; it is zero there" if not match.got[wrong].any() else ""
            return f"wrong only at {_indices(indices)} of axis {axis}, which has {size}{zero}"
    return None


def _indices(indices):
    head = ", ".join(map(str, indices[:4]))
    return f"index {head}" if len(indices) == 1 else f"indices {head}{', ...' if len(indices) > 4 else ''}"
