"""One cell: a decoder is trained on a text, adapted by surgery, fine-tuned at many ranks at once, and measured."""

import tempfile
import time
from pathlib import Path

import numpy as np

from nsn_ref import kernels
from nsn_ref.analysis.decoder_cost import decoder_cost
from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.experiments.decoder.recipe import CONTINUED, NESTED, PLAIN, balanced, byte_decoder, fit
from nsn_ref.experiments.decoder.timing import seconds_per_token
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.text import TOPICS, load_text, windows
from nsn_ref.hf import write_model
from nsn_ref.nets.decoder import generate
from nsn_ref.surgery.adapt import adapt
from nsn_ref.surgery.chain import loss_increases, rank_chain
from nsn_ref.surgery.folder import read_nested

# what is nested, and how its factors are found
SURGERIES = {
    "MLP, SVD": ("mlp", False),
    "MLP, whitened": ("mlp", True),
    "MLP + attention, whitened": ("mlp,attention", True),
}
ALLOCATED = "MLP, whitened"

FORMS = {
    "smoke": {
        "sizes": {"hidden": 16, "intermediate": 48, "blocks": 2, "heads": 2, "kv_heads": 1, "context": 16},
        "trained": [2, 8, 16], "untrained": [4], "steps": 30, "fine_tuning": 12, "batch_size": 4,
        "calibration": 16, "held_out": 16,
    },
    "quick": {
        "sizes": {"hidden": 64, "intermediate": 192, "blocks": 3, "heads": 4, "kv_heads": 2, "context": 64},
        "trained": [4, 8, 16, 32, 64], "untrained": [6, 12, 24, 48], "steps": 500, "fine_tuning": 150, "batch_size": 16,
        "calibration": 64, "held_out": 128,
    },
    "full": {
        "sizes": {"hidden": 128, "intermediate": 384, "blocks": 5, "heads": 4, "kv_heads": 2, "context": 128},
        "trained": [4, 8, 16, 32, 64, 128], "untrained": [6, 12, 24, 48, 96], "steps": 800, "fine_tuning": 200,
        "batch_size": 16, "calibration": 64, "held_out": 128,
    },
}  # fmt: skip


def cells(form):
    """One cell: whatever is compared starts from the same trained decoder."""
    return [FORMS[form]]


def run(text, options, seed):
    """Losses in nats per byte on held-out windows, by model and rank; costs; samples."""
    context, trained = options["sizes"]["context"], options["trained"]
    rows = windows(text.train, context, text.name)
    held_out = windows(text.held_out, context, text.name)[: options["held_out"]]
    calibration = np.random.default_rng(seed).permutation(rows)[: options["calibration"]]
    ranks = sorted(trained + options["untrained"])
    seconds = {}

    def fitted(name, decoder, steps, params=None, **settings):
        began = time.perf_counter()
        done = fit(decoder, rows, options[steps], options["batch_size"], seed, params=params, **settings)
        seconds[name] = time.perf_counter() - began
        return done.params

    def losses(decoder, params, ranks):
        return losses_at_ranks(decoder, params, held_out, ranks, ops=kernels).tolist()

    plain = byte_decoder(**options["sizes"])
    params = fitted("plain", plain, "steps", **PLAIN)
    longer = fitted("plain, continued", plain, "fine_tuning", params, **CONTINUED)
    result = {
        "sha256": text.sha256,
        "bytes": [len(text.train), held_out.size],
        "parameters": sum(p.size for p in params.values()),
        "plain": losses(plain, params, [1])[0],
        "plain, continued": losses(plain, longer, [1])[0],
        "ranks": ranks,
        "models": {},
    }
    for name, (layers, whitened) in SURGERIES.items():
        decoder, cut = _adapted(plain, params, layers, calibration if whitened else None)
        tuned = fitted(name, decoder, "fine_tuning", balanced(decoder, cut), variants=tuple(trained[:-1]), **NESTED)
        result["models"][name] = {
            "shares": [decoder_cost(decoder.config, r).share for r in ranks],
            "truncated": losses(decoder, cut, ranks),
            "fine-tuned": losses(decoder, tuned, ranks),
        }
        if name == ALLOCATED:
            result["allocation"] = _allocation(decoder, cut, tuned, calibration, ranks, losses)
            result["samples"] = _samples(decoder, tuned, held_out[0], trained, seed)
            timed = {str(r): (decoder, tuned, r) for r in trained} | {"plain": (plain, params, 1)}
            seconds |= seconds_per_token(timed, held_out[:8])
    return result | {"seconds": seconds}


def _adapted(plain, params, layers, tokens):
    """The nested decoder that `nsn-ref adapt` makes of a folder, with all components."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "plain", Path(folder) / "nested"
        write_model(source, plain, params)
        adapt(source, out, layers=layers, tokens=tokens)
        decoder, nested, _ = read_nested(out)
        return decoder, {name: np.array(p) for name, p in nested.items()}  # the folder, and what is mapped, goes


def _allocation(decoder, cut, tuned, calibration, ranks, losses):
    """Ranks by dynamic programming over increases of the loss on calibration windows, at the cost of uniform ranks."""
    measured = loss_increases(decoder, cut, calibration, dict.fromkeys(dict(decoder.config.nested), ranks), ops=kernels)
    budgets = [decoder_cost(decoder.config, r).share for r in ranks]
    below = [budget for budget in budgets if budget < 1]
    chain = rank_chain(decoder.config, measured, below)
    allocated = [link["ranks"] for link in chain]
    return {
        "ranks": ranks[: len(below)],
        "shares": [link["share"] for link in chain],
        "allocated": [list(link.values()) for link in allocated],
        "truncated": losses(decoder, cut, allocated),
        "fine-tuned": losses(decoder, tuned, allocated),
    }


def _samples(decoder, params, window, trained, seed):
    """What the decoder writes at the smallest, the middle and the largest trained rank."""
    half = len(window) // 2
    samples = {"prompt": _text(window[:half])}
    for r in (trained[0], trained[len(trained) // 2], trained[-1]):
        drawn = generate(
            decoder, params, window[None, :half], half, r, temperature=0.8, top_k=40,
            rng=np.random.default_rng(seed), ops=kernels,
        )  # fmt: skip
        samples[str(r)] = _text(drawn[0, half:])
    return samples


def _text(tokens):
    return bytes(tokens.astype(np.uint8)).decode(errors="replace")


EXPERIMENT = Experiment(
    name="decoder",
    title="A decoder at every rank",
    summary="a byte-level decoder trained on a text, adapted by surgery and fine-tuned; perplexity, cost, wall-clock",
    source="ours",
    cells=cells,
    seeds={"smoke": 1, "quick": 1, "full": 3},
    run=run,
    data=TOPICS,
    load=load_text,
)
