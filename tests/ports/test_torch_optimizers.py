"""Optimiser steps and clipping against PyTorch's, over several steps."""

import numpy as np
import pytest
from helpers import normal

torch = pytest.importorskip("torch")

from nsn_ref.certify.rounding import errors, rounded  # noqa: E402
from nsn_ref.training.clipping import clip_by_global_norm  # noqa: E402
from nsn_ref.training.optimizers import adamw_step, sgd_step  # noqa: E402

STEPS = 7


def by_torch(optimizer, p, gradients, **options):
    """The parameter after every step."""
    leaf = torch.from_numpy(p.copy()).requires_grad_()
    stepper = optimizer([leaf], **options)
    path = []
    for g in gradients:
        leaf.grad = torch.from_numpy(g.copy())
        stepper.step()
        path.append(leaf.detach().numpy().copy())
    return path


def assert_same_path(step, states, p, gradients, torch_path):
    """Our steps in float64 are within twice their own rounding bound, carried through all steps, of PyTorch's."""
    zeros = [np.zeros_like(p) for _ in range(states)]
    ours, bound = (p, *zeros), tuple(map(rounded, (p, *zeros)))
    for t, (g, expected) in enumerate(zip(gradients, torch_path, strict=True), start=1):
        ours = step(ours[0], g, *ours[1:], t)
        bound = step(bound[0], rounded(g), *bound[1:], t)
        assert (np.abs(ours[0] - expected) <= 2 * errors(bound[0])).all(), f"step {t}"


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw(rng, decay):
    p, *gradients = normal(rng, (3, 5), *[(3, 5)] * STEPS)
    gradients[3][1] = 0  # components above the sampled rank
    options = {"lr": 0.03, "eps": 1e-8, "weight_decay": decay}

    def step(p, g, m, v, t):
        return adamw_step(p, g, m, v, t, beta1=0.9, beta2=0.99, **options)

    assert_same_path(step, 2, p, gradients, by_torch(torch.optim.AdamW, p, gradients, betas=(0.9, 0.99), **options))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(rng, momentum, decay):
    """With dampening 0, PyTorch's first momentum is the first gradient: ours, momentum 0 + g."""
    p, *gradients = normal(rng, (3, 5), *[(3, 5)] * STEPS)
    options = {"lr": 0.03, "momentum": momentum, "weight_decay": decay}

    def step(p, g, m, t):
        return sgd_step(p, g, m, **options)

    assert_same_path(step, 1, p, gradients, by_torch(torch.optim.SGD, p, gradients, **options))


def test_clipping_differs_by_the_1e_6_that_torch_adds_to_the_norm(rng):
    a, b = normal(rng, (3, 5), (7,))
    clipped, norm = clip_by_global_norm({"a": a, "b": b}, 0.5)
    leaves = [torch.zeros(x.shape, dtype=torch.float64, requires_grad=True) for x in (a, b)]
    for leaf, g in zip(leaves, (a, b), strict=True):
        leaf.grad = torch.from_numpy(g.copy())
    torch_norm = torch.nn.utils.clip_grad_norm_(leaves, 0.5).item()
    u = 2.0**-53
    assert abs(norm - torch_norm) <= 32 * u * norm  # 22 squares and their sum, each side
    for leaf, ours in zip(leaves, clipped.values(), strict=True):
        rescaled = leaf.grad.numpy() * ((norm + 1e-6) / norm)
        assert (np.abs(ours - rescaled) <= 40 * u * np.abs(ours)).all()
        assert (np.abs(ours) > np.abs(leaf.grad.numpy())).all()
