"""Ranks of a decoder's layers at several budgets of the whole model's FLOPs, and which of them to run at."""

import itertools
import math

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.analysis.decoder_cost import decoder_cost, rank_for_share
from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.errors import OptionError
from nsn_ref.surgery.allocate import allocate


def rank_chain(config, candidates, budgets):
    """Ranks of every nested layer for each budget, of the least total error, in a chain (see `allocate`).

    Parameters
    ----------
    config : DecoderConfig
        With nested layers.
    candidates : dict
        Of each nested layer's key a pair: its candidate ranks, increasing up to R, and their errors. Errors of all
        layers are added up, so they must be on one scale: squared relative errors of the outputs, or increases of the
        loss (`loss_increases`).
    budgets : sequence of float
        Increasing shares of the plain decoder's FLOPs, counted as in `decoder_cost`.

    Returns
    -------
    list of dict
        ``budget``, ``share`` that it comes to, ``ranks`` by key, and the total ``error``.

    Raises
    ------
    OptionError
    """
    check_budgets("rank_chain", config, budgets)
    cost = decoder_cost(config, 1)
    keys = [layer.key for layer in cost.layers]
    options = [_increasing_in_cost(config, key, *candidates[key]) for key in keys]
    chain = allocate(
        [[weights for weights, _, _ in layer] for layer in options],
        [[error for _, _, error in layer] for layer in options],
        [math.floor(round(budget * cost.dense, 6)) - cost.outside for budget in budgets],
    )
    return [
        {
            "budget": budget,
            "share": (cost.outside + choice.cost) / cost.dense,
            "ranks": {key: layer[pick][1] for key, layer, pick in zip(keys, options, choice.picks, strict=True)},
            "error": choice.error,
        }
        for budget, choice in zip(budgets, chain, strict=True)
    ]


def check_budgets(function, config, budgets):
    """Check increasing shares that rank 1 of every layer fits.

    Raises
    ------
    OptionError
    """
    least = decoder_cost(config, 1).share
    increasing = all(less < more for less, more in itertools.pairwise(budgets))
    if budgets and not (increasing and budgets[0] >= least):
        expected = f"increasing shares of at least {least:.4f}, that of rank 1"
        raise OptionError(f"{function}: budgets is {tuple(budgets)!r}, expected {expected}")


def rank_within(config, budget, chain=()):
    """What to run at under a budget: the most expensive link of a chain within it, else one rank for all layers.

    Parameters
    ----------
    config : DecoderConfig
    budget : float
        Share of the plain decoder's FLOPs.
    chain : sequence of dict
        As `rank_chain` returned it.

    Returns
    -------
    dict or int
        As `Decoder.layer_ranks` takes it.

    Raises
    ------
    OptionError
        Nothing is cheap enough.
    """
    within = [link for link in chain if link["share"] <= budget]
    return within[-1]["ranks"] if within else rank_for_share(config, budget)


def error_candidates(reports):
    """The candidates that `adapt` recorded: squared relative errors, of outputs if whitened, else of weights."""
    return {key: (report["ranks"], np.square(report["errors"]).tolist()) for key, report in reports.items()}


def loss_increases(decoder, params, windows, candidates, *, ops=reference):
    """By how much the loss on a text grows when one layer alone runs at a lower rank; where it falls, 0.

    Parameters
    ----------
    decoder : Decoder
    params : dict of str to ndarray
    windows : ndarray of integers, shape (n, T)
    candidates : dict of str to sequence of int
        Ranks of each nested layer to measure.
    ops : module

    Returns
    -------
    dict
        Of each key a pair: its ranks, and the increases.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError
    """
    full = {layer.key: layer.R for layer in decoder.nested_layers}
    cuts = [(key, rank) for key, ranks in candidates.items() for rank in ranks]
    losses = losses_at_ranks(decoder, params, windows, [full, *(full | {key: rank} for key, rank in cuts)], ops=ops)
    increases = iter(np.maximum(losses[1:] - losses[0], 0).tolist())
    return {key: (list(ranks), list(itertools.islice(increases, len(ranks)))) for key, ranks in candidates.items()}


def _increasing_in_cost(config, key, ranks, errors):
    """Candidates (weights, rank, error): from break-even on only the largest, as they all cost the same."""
    d_in, d_out, _ = config.linear_layers[key]
    R = dict(config.nested)[key]
    if ranks[-1] != R:
        raise OptionError(
            f"rank_chain: the candidates of {key} end at rank {ranks[-1]}, expected all its {R} components"
        )
    product = d_in * d_out
    below = [
        (r * (d_in + d_out), r, e) for r, e in zip(ranks, errors, strict=True) if r < R and r * (d_in + d_out) < product
    ]
    return [*below, (min(R * (d_in + d_out), product), R, errors[-1])]
