"""Networks and training steps against PyTorch: only forwards are written here, autograd differentiates them.

The tolerance is twice the rounding bound of our own formula, run over `certify.rounding`.
"""

import numpy as np
import pytest
from helpers import random_params

torch = pytest.importorskip("torch")

from nsn_ref.certify.rounding import errors, rounded  # noqa: E402
from nsn_ref.nets.convnet import ConvNet  # noqa: E402
from nsn_ref.nets.loss_and_grads import loss_and_grads  # noqa: E402
from nsn_ref.nets.mlp import MLP  # noqa: E402
from nsn_ref.training.config import TrainConfig  # noqa: E402
from nsn_ref.training.engines import load_engine  # noqa: E402
from nsn_ref.training.step import start, train_step  # noqa: E402
from nsn_ref.training.weighting import Objective  # noqa: E402

F = torch.nn.functional
ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}
LABELS = np.array([1, 0, 1])
COEFFICIENTS = {"hard_orthogonality": 0.5, "residual_orthogonality": 0.25, "logits": 1.5, "hidden": 0.75}
WEIGHTS = tuple(1 / (r + 1) for r in range(5))


def leaves(params):
    return {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in params.items()}


def linear(p, i, x, rank):
    if f"layers.{i}.W" in p:
        return x @ p[f"layers.{i}.W"].T + p[f"layers.{i}.b"]
    return (x @ p[f"layers.{i}.A"][:rank].T) @ p[f"layers.{i}.B"][:, :rank].T + p[f"layers.{i}.b"]


def convolution(p, i, x, rank):
    k = p[f"layers.{i}.W" if f"layers.{i}.W" in p else f"layers.{i}.A"].shape[-1]
    if f"layers.{i}.W" in p:
        return F.conv2d(x, p[f"layers.{i}.W"], p[f"layers.{i}.b"], padding=k // 2)
    h = F.conv2d(x, p[f"layers.{i}.A"][:rank], padding=k // 2)
    return F.conv2d(h, p[f"layers.{i}.B"][:, :rank, None, None], p[f"layers.{i}.b"])


def outputs(net, p, x, rank):
    """The outputs of the activations, and the logits."""
    hidden, act = [], ACTIVATIONS[net.activation]
    if isinstance(net, MLP):
        for i in range(len(net.widths) - 2):
            x = act(linear(p, i, x, rank))
            hidden.append(x)
        return hidden, linear(p, len(net.widths) - 2, x, rank)
    last = len(net.channels) - 1
    for i in range(last):
        x = act(convolution(p, i, F.avg_pool2d(x, 2) if i else x, rank))
        hidden.append(x)
    return hidden, linear(p, last, x.mean(dim=(2, 3)), rank)


def total_loss(net, p, x, ranks, objective, coefficients):
    """The total as Eq. 3, its variants and Table 1 say."""
    each = [outputs(net, p, x, rank) for rank in ranks]
    losses = torch.stack([F.cross_entropy(z, torch.from_numpy(LABELS)) for _, z in each])
    s = p["s"][[r - 1 for r in ranks]]
    total = {
        "uncertainty": lambda: (torch.exp(-s) * losses + s).sum(),
        "classification": lambda: (torch.exp(-s) * losses + s / 2).sum(),
        "bounded": lambda: (torch.exp(-s) * losses / 2 + F.softplus(s)).sum(),
        "sum": lambda: losses.sum(),
        "fixed": lambda: sum(WEIGHTS[r - 1] * loss for r, loss in zip(ranks, losses, strict=True)),
        "analytic": lambda: (losses / losses.detach()).sum(),
        "softmax": lambda: (torch.softmax(1 / losses.detach(), 0) * losses).sum(),
    }[objective]()
    factors = [A.flatten(1) for name, A in p.items() if name.endswith(".A")]
    anchor, n = ranks[0], len(x)
    penalty = {
        "hard_orthogonality": sum((A[:anchor] @ A[:anchor].T - torch.eye(anchor)).square().sum() for A in factors),
        "residual_orthogonality": sum((A[:r] @ A[r:anchor].T).square().sum() for A in factors for r in ranks[1:]),
        "logits": sum((each[0][1] - z).square().sum() / n for _, z in each[1:]),
        "hidden": sum((a - b).square().sum() / n for h, _ in each[1:] for a, b in zip(each[0][0], h, strict=True)),
    }
    return total + sum(c * penalty[name] for name, c in coefficients.items())


def assert_same(net, x, params, ranks, objective="uncertainty", coefficients=None):
    options = {"objective": Objective("fixed", WEIGHTS) if objective == "fixed" else objective}
    options["regularisers"] = coefficients
    ours = loss_and_grads(net, params, x, LABELS, ranks, **options)
    bounds = loss_and_grads(net, {name: rounded(p) for name, p in params.items()}, rounded(x), LABELS, ranks, **options)
    p, leaf = leaves(params), torch.from_numpy(x.copy()).requires_grad_()
    total = total_loss(net, p, leaf, ranks, objective, coefficients or {})
    total.backward()
    assert abs(ours.total - total.item()) <= 2 * errors(bounds.total)
    for name, g in (ours.grads | {"x": ours.dx}).items():
        theirs = (p | {"x": leaf})[name].grad
        theirs = np.zeros(g.shape) if theirs is None else theirs.numpy()
        assert (np.abs(g - theirs) <= 2 * errors((bounds.grads | {"x": bounds.dx})[name])).all(), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("ranks", [(5, 2), (4, 1, 3), (5,)])
def test_mlp(rng, activation, ranks):
    net = MLP((7, 3, 11, 2), R=5, activation=activation)
    assert_same(net, rng.standard_normal((3, 7)), random_params(rng, net), ranks)


@pytest.mark.parametrize("nested", [(False, True, False), (True, False, True), (False, False, True)])
def test_any_set_of_layers_nested(rng, nested):
    net = MLP((7, 3, 11, 2), R=5, nested=nested)
    assert_same(net, rng.standard_normal((3, 7)), random_params(rng, net), (5, 2))


@pytest.mark.parametrize(
    "objective", ["uncertainty", "classification", "bounded", "sum", "fixed", "analytic", "softmax"]
)
def test_objectives(rng, objective):
    net = MLP((7, 3, 2), R=5)
    assert_same(net, rng.standard_normal((3, 7)), random_params(rng, net), (5, 3, 1), objective)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_regularisers(rng, name):
    net = MLP((7, 3, 11, 2), R=5)
    coefficients = {name: COEFFICIENTS[name]}
    assert_same(net, rng.standard_normal((3, 7)), random_params(rng, net), (4, 3, 1), coefficients=coefficients)


@pytest.mark.parametrize("nested", [None, (False, True, False), (True, False, True)])
def test_convnet(rng, nested):
    net = ConvNet((2, 3, 5), 2, R=5, nested=nested, activation="silu")
    x = rng.standard_normal((3, 2, 4, 6))
    assert_same(net, x, random_params(rng, net), (4, 2), coefficients=COEFFICIENTS)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_training_steps(rng, optimizer, engine):
    """Eleven steps with parameter groups, clipping, warm-up and cosine, all PyTorch's own.

    PyTorch divides by the gradient norm plus 1e-6 when it clips, so steps differ by that share of themselves; it is the
    tolerance, times the number of steps and ten for what the steps make of it.
    """
    net, steps, warmup = MLP((7, 3, 11, 2), R=5, activation="gelu"), 11, 3
    config = TrainConfig(
        steps=steps, optimizer=optimizer, lr=0.05, lr_s=0.2, weight_decay=0.1, clip=2.0, warmup_steps=warmup,
        dtype="float64", engine=engine,
    )  # fmt: skip
    state, x = start(net, config), rng.standard_normal((3, 7))
    p = leaves(state.params)
    decayed = [value for name, value in p.items() if name[-1] in "ABW"]
    biases = [value for name, value in p.items() if name[-1] == "b"]
    groups = [
        {"params": decayed, "lr": 0.05, "weight_decay": 0.1},
        {"params": biases, "lr": 0.05, "weight_decay": 0.0},
        {"params": [p["s"]], "lr": 0.2, "weight_decay": 0.0},
    ]
    stepper = torch.optim.AdamW(groups) if optimizer == "adamw" else torch.optim.SGD(groups, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        stepper,
        lambda t: (t + 1) / warmup if t < warmup else (1 + np.cos(np.pi * (t - warmup) / (steps - warmup))) / 2,
    )
    for t in range(steps):
        ranks = (5, 1 + t % 4)
        state, _ = train_step(net, config, state, x, LABELS, ranks, steps, load_engine(engine))
        stepper.zero_grad(set_to_none=False)
        total_loss(net, p, torch.from_numpy(x), ranks, "uncertainty", {}).backward()
        torch.nn.utils.clip_grad_norm_(decayed + biases, 2.0)
        stepper.step()
        schedule.step()
    moved = 0
    for name, value in start(net, config).params.items():
        theirs = p[name].detach().numpy()
        assert (np.abs(state.params[name] - theirs) <= 10 * steps * 1e-6 * np.abs(theirs - value).max()).all(), name
        moved += np.abs(theirs - value).max() > 0.01
    assert moved == len(state.params)
