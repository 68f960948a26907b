"""Mutants that are no mistake, each with the reason and a check; and what there is to say about other survivors.

A mutant is listed as equivalent only if there is an algebraic reason, and `disagreements` finds none on 1,000 random
inputs of each operation that its text takes part in.
"""

import warnings
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import SuiteError
from nsn_ref.golden import schema
from nsn_ref.golden.mutants import inputs, planted

TRIALS = 1000
KNOWN = {"mechanical": {"depth": [2], "activation": ["relu", "gelu", "gelu_tanh"]}}  # what the frozen port knows
AGREES = 1e-12  # relative to the largest element: another order of the same sums


class Claim(NamedTuple):
    """Why a mutant computes the same."""

    reason: str
    ops: str  # the operations that it takes part in: a glob


_ORDER = "Entries of a dict are read by name, so their order is free."
_NAMES = "The names of arguments and of gradients are the same list, whatever its order."
_FAR = "ln(1 + e^s) rounds to s for every s above 37, so this threshold is as good as 100."
_ONE_BY_ONE = "AdamW steps each parameter by itself, so the order is free."
_FILTERED = "The entry that is left out would be filtered out anyway."
_RAISES = "Of an operation that is not in its table the mutant raises another error than NotImplementedError."
_CANCELS = (
    "Less than is allowed: 1 + tanh and 1 - erf may be formed in a short format, and the result is rounded to it."
)
_STORED = "The contract of the format lets every elementwise step be stored in it, this one too."
_STEP, _ANY, _BACKWARD, _LAYERS, _OBJECTIVE = "mlp_step", "*", "*_backward", "*linear_backward", "objective_*"

EQUIVALENT = {
    "mechanical": {
        "m031": Claim(_ORDER, _ANY),
        "m038": Claim(_ORDER, _ANY),
        "m177": Claim(_FAR, _OBJECTIVE),
        "m179": Claim(_FAR, _OBJECTIVE),
        "m182": Claim("The transpose of a scalar is the scalar.", _OBJECTIVE),
        "m300": Claim(_ORDER, _BACKWARD),
        "m302": Claim("There is one gradient for each argument, so the lengths agree unasked.", _BACKWARD),
        "m310": Claim(_FILTERED, _STEP),
        "m311": Claim(_FILTERED, _STEP),
        "m312": Claim(_ORDER, _STEP),
        "m354": Claim("Of scalars, hstack and stack make the same vector.", _STEP),
        "m408": Claim(_ORDER, _STEP),
        "m431": Claim("The input of a net needs no gradient, so detaching it changes nothing.", _STEP),
        "m490": Claim(_FILTERED, _STEP),
        "m491": Claim(_ONE_BY_ONE, _STEP),
        "m502": Claim(_ONE_BY_ONE, _STEP),
        "m624": Claim(_NAMES, _LAYERS),
        "m625": Claim(_NAMES, _LAYERS),
        "m626": Claim(_NAMES, _LAYERS),
        "m692": Claim(_NAMES, _OBJECTIVE),
    },
    "hand": {},
}

EXPLAINED = {
    "mechanical": {
        **dict.fromkeys(("m013", "m015", "m017", "m018"), _RAISES),
        "m171": "ln(1 + e^s) is replaced by s above 20, not above 100: at most 2e-9, for an s that no case reaches.",
    },
    "hand": {
        "base-two": "A power of two of 10 bits is off by at most 3.4e-4, less than one unit roundoff of the format.",
        "dA-tiny-rows": "1e-30 is zero in float16: nothing is wrong there.",
        **dict.fromkeys(
            (
                "gelu-always-erf",
                "gelu-always-tanh",
                "gelu-backward-tanh",
                "gelu-derivative-zero-below",
                "gelu-forms-swapped",
                "gelu-tanh-backward-erf",
                "gelu-tanh-constant",
                "gelu-tanh-constant-long",
                "gelu-tanh-cubic",
                "gelu-tanh-slope",
                "gelu-tanh-slope-missing",
                "gelu-zero-below",
                "gate-form-ignored",
                "gate-form-tanh",
            ),
            _CANCELS,
        ),
        "attention-no-shift": "It shows where a score is above 88, which has no bound in this format.",
        "attention-shift-of-all": "It shows where a hidden score is 88 above the others, as in no case of this format.",
        "attention-softmax-eps": "One in a thousand of a sum is less than the roundings to the format of its terms.",
        **dict.fromkeys(
            ("block-tanh", "gpt-neo-erf"),
            "The two forms of GELU differ by 5e-4 at most, less than a whole decoder is allowed in float32.",
        ),
        "global-shift": "It shows where a row lies 88 below another, which the nets of this format never do.",
        "penalty-naive": _STORED,
        "penalty-zero-far-out": "There ln(1 + e^s) is 0.017 at most, and 1 + e^s in bfloat16 may hide it.",
        "short-variance": _STORED,
        "slope-bounded-far-out": "There the slope is 1.8 % below 1; a logistic function of bfloat16 may be as far off.",
        "temperature": "One in a thousand is less than the roundings to the format that logits and a loss go through.",
        "log-sum-eps": "1e-6 is 17 units roundoff of float32; exp and log may be off by 8 each, so it is allowed.",
    },
}


def disagreements(name, mutant, claim, trials=TRIALS):
    """Random inputs on which a mutant and the right port of its set differ in float64.

    Returns
    -------
    list of (str, int)
        Operation and seed. At least one operation is tried, or a ValueError is raised.
    """
    make, mutants = planted.load(name)
    right, wrong = make("float64"), next(m for m in mutants if m.id == mutant).make("float64")
    differ, tried = [], 0
    for op in schema.OPERATIONS:
        if not fnmatchcase(op, claim.ops) or not _covers(name, right, op):
            continue
        tried += 1
        for seed in range(trials):
            tensors, attrs = inputs.draw(op, np.random.default_rng([seed, tried]), KNOWN.get(name))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a mutant may do what is deprecated
                want = right.run(op, {key: x.copy() for key, x in tensors.items()}, attrs)
                got = wrong.run(op, tensors, attrs)
            if not _agree(want, got):
                differ.append((op, seed))
    if not tried:
        raise ValueError(f"{mutant}: no operation matches {claim.ops}")
    return differ


def verified(outcomes):
    """Set and id of the survivors that are claimed to be equivalent and have just been tried.

    Raises
    ------
    SuiteError
        A claim is wrong.
    """
    tried = set()
    for name, made in outcomes.items():
        for mutant in dict.fromkeys(o.mutant for o in made if o.status == "survived"):
            claim = EQUIVALENT[name].get(mutant)
            if claim is None:
                continue
            if wrong := disagreements(name, mutant, claim):
                op, seed = wrong[0]
                raise SuiteError(f"golden mutants: {mutant} is not equivalent: {op} differs on random input {seed}")
            tried.add((name, mutant))
    return tried


def _covers(name, right, op):
    tensors, attrs = inputs.draw(op, np.random.default_rng(0), KNOWN.get(name))
    try:
        right.run(op, tensors, attrs)
    except NotImplementedError:
        return False
    return True


def _agree(want, got):
    return want.keys() == got.keys() and all(
        got[key].shape == x.shape and (np.abs(got[key] - x) <= AGREES * max(1.0, np.abs(x).max(initial=0))).all()
        for key, x in want.items()
    )
