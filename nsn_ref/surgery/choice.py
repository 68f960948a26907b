"""Which layers of a decoder become nested, and with how many components."""

import dataclasses
import fnmatch
import re
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.analysis.cost import break_even_rank
from nsn_ref.errors import OptionError

GROUPS = {"mlp": "blocks.*.mlp.*", "attention": "blocks.*.attention.*", "all": "*"}
SHARE = re.compile(r"(\d*\.?\d+)x")
ENERGY = re.compile(r"energy=(\d*\.?\d+)")


class RankRule(NamedTuple):
    """How many components a layer keeps."""

    kind: str  # "full", "rank", "share" or "energy"
    value: float | None = None


def choose_layers(config, layers="mlp"):
    """Keys of the layers that a choice names, in the order of the pass.

    Parameters
    ----------
    config : DecoderConfig
    layers : str
        "mlp" (what the paper factorises), "attention", "all" (these and an untied head), a pattern of keys such as
        ``blocks.[01].mlp.*``, or several of these separated by commas.

    Returns
    -------
    tuple of str

    Raises
    ------
    OptionError
        A part of the choice names no layer.
    """
    chosen = set()
    for part in layers.split(","):
        pattern = GROUPS.get(part, part)
        named = fnmatch.filter(config.linear_layers, pattern)
        if not named:
            known = f"{', '.join(map(repr, GROUPS))} or a pattern of keys such as 'blocks.0.mlp.up'"
            raise OptionError(f"choose_layers: layers has {part!r}, which names none; expected {known}")
        chosen.update(named)
    return tuple(key for key in config.linear_layers if key in chosen)


def rank_rule(text):
    """Read a rule: "full", a number of components ("64"), a share of break-even ("0.5x") or "energy=0.95".

    Parameters
    ----------
    text : str or int

    Returns
    -------
    RankRule

    Raises
    ------
    OptionError
    """
    text = str(text)
    if text == "full":
        return RankRule("full")
    if text.isdecimal() and int(text) > 0:
        return RankRule("rank", int(text))
    for kind, pattern in (("share", SHARE), ("energy", ENERGY)):
        found = pattern.fullmatch(text)
        if found and float(found[1]) > 0 and (kind == "share" or float(found[1]) <= 1):
            return RankRule(kind, float(found[1]))
    expected = "'full', a rank such as '64', a share of break-even such as '0.5x', or 'energy=0.95', at most 1"
    raise OptionError(f"rank_rule: got {text!r}, expected {expected}")


def components(rule, key, d_in, d_out, spectrum=None):
    """How many components a layer keeps by a rule.

    Parameters
    ----------
    rule : RankRule
    key : str
        Of the layer, for messages.
    d_in, d_out : int
    spectrum : callable, optional
        Gives the singular values; called for "energy" alone.

    Returns
    -------
    int
        A share of break-even is rounded down, to at least 1 and at most min(d_in, d_out). An energy is the share of the
        sum of squared singular values that the first components have at least.

    Raises
    ------
    RankError
        The rank is above min(d_in, d_out).
    """
    largest = min(d_in, d_out)
    if rule.kind == "full":
        return largest
    if rule.kind == "rank":
        checks.rank("adapt", rule.value, largest, name=f"the rank of {key}")
        return rule.value
    if rule.kind == "share":
        return min(max(1, int(rule.value * break_even_rank(d_in, d_out))), largest)
    return rank_for_energy(spectrum(), rule.value)


def rank_for_energy(singular_values, energy):
    """The smallest rank whose components have a share of the sum of squared singular values.

    Parameters
    ----------
    singular_values : ndarray, shape (m,)
        Not increasing.
    energy : float, in (0, 1]

    Returns
    -------
    int
        1 for a zero matrix.
    """
    tail = np.append(np.cumsum(singular_values[::-1] ** 2)[::-1], 0.0)  # tail[r]: what rank r leaves out
    return max(1, int(np.argmax(tail <= (1 - energy) * tail[0])))


def nested_config(config, layers="mlp", ranks="full"):
    """A configuration with layers nested, where the number of components does not depend on the weights.

    Parameters
    ----------
    config : DecoderConfig
    layers : str
        As in `choose_layers`.
    ranks : str or int
        As in `rank_rule`, but for an energy.

    Returns
    -------
    DecoderConfig

    Raises
    ------
    OptionError, RankError
    """
    rule = rank_rule(ranks)
    if rule.kind == "energy":
        raise OptionError(f"nested_config: ranks is {ranks!r}, which depends on weights; expected a rule that does not")
    sizes = config.linear_layers
    keys = choose_layers(config, layers)
    return dataclasses.replace(config, nested=tuple((key, components(rule, key, *sizes[key][:2])) for key in keys))
