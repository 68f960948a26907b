"""Cases of one training step of a two-layer nested MLP."""

from functools import partial
from typing import NamedTuple

import numpy as np

from nsn_ref.golden.cases.case import ALL, PLAIN, Design
from nsn_ref.golden.cases.draws import MARGIN, MOMENT, rounded
from nsn_ref.golden.cases.objective import distinct
from nsn_ref.golden.digits_weights import training_step
from nsn_ref.golden.groups import name_groups

# A step as large as the parameter, so that no error hides behind it; eps and the decay both matter.
ADAMW = {"t": 7, "lr": 0.3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-3, "weight_decay": 0.1}


class Net(NamedTuple):
    """Sizes and scales of a random step."""

    n: int = 13
    widths: tuple = (5, 7, 3)
    R: int = 11
    head: str = "nested"
    shift: float = 0.0  # added to the first bias
    spread: float = 1.0  # scale of the first layer
    gain: float = 1.0  # scale of the second layer
    rms: float = 0.01  # the largest root of the second moment
    fresh: bool = False  # no moments yet


def draw(net, attrs, rng, dtype):
    """A step of a net in the middle of training: random parameters and moments, none of them zero."""
    params = parameters(net, rng)
    rms = max(net.rms, MOMENT.get(dtype, 0.0))
    m = {key: 0.05 * rng.standard_normal(p.shape) for key, p in params.items()}
    v = {key: (rms * rng.uniform(0.1, 1, p.shape)) ** 2 for key, p in params.items()}
    if net.fresh:
        m, v = ({key: np.zeros(p.shape) for key, p in params.items()} for _ in "mv")
    if attrs["activation"] == "relu" and dtype not in PLAIN:
        x = far_from_zero(net, params, attrs["ranks"], rng, dtype)
    else:
        x = rng.standard_normal((net.n, net.widths[0]))
    tensors = {"x": x, "targets": rng.integers(0, net.widths[2], net.n)}
    return tensors | name_groups(params, m, v)


def far_from_zero(net, params, ranks, rng, dtype):
    """Inputs for which no input of the activation is near 0, at any of the ranks."""
    A, B, b = (rounded(params[f"layers.0.{name}"], dtype) for name in "ABb")
    candidates = rounded(rng.standard_normal((4000 * net.n, net.widths[0])), dtype)
    z = np.concatenate([candidates @ A[:r].T @ B[:, :r].T + b for r in ranks], axis=1)
    good = (np.abs(z) > MARGIN[dtype] * np.abs(z).max() / 4).all(axis=1)
    if good.sum() < net.n:
        raise ValueError(f"{good.sum()} of {len(good)} inputs are far enough from zero, expected {net.n}")
    return candidates[good][: net.n]


def parameters(net, rng):
    """Rising components, biases that are not zero, distinct log-variances."""
    d_in, width, C = net.widths
    rising = np.linspace(0.5, 1.5, net.R)
    params = {
        "layers.0.A": rng.standard_normal((net.R, d_in)) * rising[:, None] / np.sqrt(d_in),
        "layers.0.B": rng.standard_normal((width, net.R)) * rising * net.spread / np.sqrt(net.R),
        "layers.0.b": 0.3 * rng.standard_normal(width) + net.shift,
    }
    if net.head == "nested":
        params["layers.1.A"] = rng.standard_normal((net.R, width)) * rising[:, None] / np.sqrt(width)
        params["layers.1.B"] = rng.standard_normal((C, net.R)) * rising * net.gain / np.sqrt(net.R)
    else:
        params["layers.1.W"] = rng.standard_normal((C, width)) * net.gain / np.sqrt(width)
    return params | {"layers.1.b": 0.3 * rng.standard_normal(C), "s": distinct(rng, net.R, 2.0)}


def digits(attrs, rng, dtype):
    """The weights, moments and next batch of a real training run; made once, then read from the committed file."""
    return training_step()


def _attrs(ranks, activation="relu", head="nested", variant="uncertainty", **adamw):
    shape = {"activation": activation, "head": head, "depth": 2}
    return {"ranks": ranks, **shape, "variant": variant} | ADAMW | adamw


FORMATS = {  # where not in all
    "digits-001": PLAIN,
    "confident-001": (*PLAIN, "tf32", "bfloat16_master"),  # in the others an error of a logit is above 1: no bound
}

# name, net (None: of a real run), attributes, flag, sentence
_TABLE = (
    ("relu-001", Net(), _attrs([9, 4]), "the whole step",
     "Anything in the chain: the first tensor that fails, in the order losses, logits, gradients, parameters, tells."),
    ("dense-head-001", Net(head="dense"), _attrs([9, 4], head="dense"), "one rank's head gradient",
     "The dense head gets the gradient of one rank only, or its weight is transposed."),
    ("gelu-001", Net(shift=-3.0, spread=2.0), _attrs([9, 3], "gelu"), "form of GELU",
     "GELU is the tanh form instead of the erf form, or cancels for inputs between -6 and 0."),
    ("gelu-tanh-001", Net(shift=-3.0, spread=2.0), _attrs([9, 3], "gelu_tanh"), "form of GELU",
     "GELU is the erf form instead of the tanh form, or its derivative lacks the factor from the cubic term."),
    ("classification-001", Net(), _attrs([10, 5], variant="classification"), "penalty of the variant",
     "The penalty is s instead of s / 2 in the gradient of the log-variances."),
    ("bounded-001", Net(), _attrs([2, 5, 10], variant="bounded"), "weight of the variant",
     "Losses are weighted by exp(-s) instead of exp(-s) / 2, so that every gradient is twice too large."),
    ("duplicates-001", Net(), _attrs([7, 7, 3]), "duplicate ranks",
     "A rank that was drawn twice counts once, in the gradients or in the log-variance's."),
    ("batch-one-001", Net(n=1), _attrs([11, 1]), "batch of one",
     "A batch of one loses its axis; rank 1 and rank R at once."),
    ("confident-001", Net(gain=250.0, rms=10.0), _attrs([9, 4]), "overflow of exp(logits)",
     "Logits beyond 100, most of them confident and wrong: the softmax overflows, or log(0) is taken."),
    ("first-step-001", Net(fresh=True), _attrs([9, 4], t=1), "bias correction",
     "At the first step the bias correction is left out or uses t - 1; unused components move by more than the decay."),
    ("large-decay-001", Net(head="dense"), _attrs([6, 3], "gelu", "dense", t=3, weight_decay=0.9),
     "weight decay",
     "The decay is added to the gradient (Adam with L2), or not scaled by the learning rate, or applied to s as well."),
    ("digits-001", None, _attrs([11, 3], head="dense", t=121, lr=0.003, eps=1e-8, weight_decay=0.01), "real weights",
     "Weights and moments of a real training run on scans of digits: scales and correlations that random cases lack."),
)  # fmt: skip

DESIGNS = tuple(
    Design(
        "mlp_step", name, "certified", attrs, partial(draw, net, attrs) if net else partial(digits, attrs), flag, why,
        FORMATS.get(name, ALL),
    )
    for name, net, attrs, flag, why in _TABLE
)  # fmt: skip
