"""Ranks of a decoder's layers under budgets of the whole model's FLOPs."""

import itertools

import numpy as np
import pytest

from nsn_ref.analysis.decoder_cost import decoder_cost
from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.errors import OptionError
from nsn_ref.surgery.adapt import adapt
from nsn_ref.surgery.chain import error_candidates, loss_increases, rank_chain, rank_within
from nsn_ref.surgery.folder import open_model

BUDGETS = [0.7, 0.8, 0.9, 1.0]


@pytest.fixture
def nested(folder, tmp_path):
    adapt(folder, tmp_path / "nsn", layers="mlp,attention")
    return open_model(tmp_path / "nsn")


def test_budgets_hold_and_ranks_never_fall(nested):
    config = nested.decoder.config
    chain = rank_chain(config, error_candidates(nested.facts["layers"]), BUDGETS)
    for link, budget in zip(chain, BUDGETS, strict=True):
        assert link["budget"] == budget and link["share"] == decoder_cost(config, link["ranks"]).share <= budget
    for less, more in itertools.pairwise(chain):
        assert all(more["ranks"][key] >= rank for key, rank in less["ranks"].items())
        assert more["error"] <= less["error"]
    assert chain[-1]["error"] == 0  # all components fit, as products


def test_no_worse_than_one_rank_for_all_layers(nested):
    """By the error that it minimises; the first budget is free of the chain's condition."""
    config, reports = nested.decoder.config, nested.facts["layers"]
    for budget in BUDGETS:
        (link,) = rank_chain(config, error_candidates(reports), [budget])
        rank = rank_within(config, budget)
        ranks = nested.decoder.layer_ranks(rank)
        uniform = sum(
            np.interp(r, report["ranks"], np.square(report["errors"]))
            for r, report in zip(ranks, reports.values(), strict=True)
        )
        assert link["error"] <= uniform + 1e-12


def test_a_rank_within_a_budget(nested):
    config = nested.decoder.config
    chain = rank_chain(config, error_candidates(nested.facts["layers"]), BUDGETS)
    assert rank_within(config, 0.85, chain) == chain[1]["ranks"]
    assert rank_within(config, 2.0, chain) == chain[-1]["ranks"]
    one = rank_within(config, 0.69, chain)  # below the chain: one rank for all layers
    assert isinstance(one, int) and decoder_cost(config, one).share <= 0.69 < decoder_cost(config, one + 1).share
    with pytest.raises(OptionError, match=r"expected at least .* the share at rank 1"):
        rank_within(config, 0.01, chain)


def test_loss_increases_are_differences_of_losses(nested, tokens):
    """Of one layer at one rank; all components change nothing."""
    decoder, params, _ = nested
    candidates = {layer.key: (1, layer.R) for layer in decoder.nested_layers}
    found = loss_increases(decoder, params, tokens, candidates)
    full = np.array([layer.R for layer in decoder.nested_layers])
    base = losses_at_ranks(decoder, params, tokens, [tuple(full)])[0]
    for i, (key, (ranks, increases)) in enumerate(found.items()):
        cut = full.copy()
        cut[i] = 1
        loss = losses_at_ranks(decoder, params, tokens, [tuple(cut)])[0]
        assert ranks == [1, full[i]] and abs(increases[0] - max(loss - base, 0)) <= 1e-12 and increases[1] <= 1e-12, key


def test_candidates_end_at_all_components(nested):
    candidates = error_candidates(nested.facts["layers"])
    key = next(iter(candidates))
    with pytest.raises(OptionError, match=rf"the candidates of {key} end at rank 2, expected all its"):
        rank_chain(nested.decoder.config, candidates | {key: ([1, 2], [1.0, 0.5])}, BUDGETS)
