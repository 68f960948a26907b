"""Losses, objective and regularisers against PyTorch: only forwards are written here, autograd differentiates them."""

import numpy as np
import pytest
from helpers import constants, normal

torch = pytest.importorskip("torch")

from nsn_ref import ops  # noqa: E402
from nsn_ref.certify.complex_step import gradient_error_bounds  # noqa: E402
from nsn_ref.certify.rounding import errors, rounded  # noqa: E402

F = torch.nn.functional
RANKS = [6, 2, 7, 2]  # descending and ascending, one of them twice
INDEX = [r - 1 for r in RANKS]
LABELS = np.array([4, -100, 0, 2, 1, 3, -100])
SOFT = np.random.default_rng(8).random((7, 5))
TARGETS = np.random.default_rng(9).standard_normal((7, 5))
FIRST = np.random.default_rng(10).uniform(0.5, 2.0, 5)
NORMS, GRADNORM_TARGETS = np.random.default_rng(11).uniform(0.5, 2.0, (2, 5))


def tensor(array):
    return torch.from_numpy(np.array(array))


def cross_entropy(z, **options):
    return F.cross_entropy(z, tensor(LABELS), **options)


def kl(z, teacher_z, T):
    student, teacher = (F.log_softmax(x / T, dim=-1) for x in (z, teacher_z))
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * T**2


def uncertainty(losses, s):
    return (torch.exp(-s[INDEX]) * losses + s[INDEX]).sum()


def classification(losses, s):
    return (torch.exp(-s[INDEX]) * losses + s[INDEX] / 2).sum()


def bounded(losses, s):
    sigma_squared = torch.exp(s[INDEX])
    return (losses / (2 * sigma_squared) + torch.log(1 + sigma_squared)).sum()


def row_distance(a, b):
    return torch.linalg.vector_norm(a - b, dim=-1).square().mean()


def op(name, **options):
    """Forward (with options bound) and backward of an operation."""
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    return lambda *inputs: forward(*inputs, **options), backward


def soft_cross_entropy(z):
    return ops.softmax_cross_entropy_forward(z, constants(SOFT, z))


def squared_error(reduction):
    return lambda y: ops.mean_squared_error_forward(y, constants(TARGETS, y), reduction=reduction)


def gradnorm(weights):
    return ops.gradnorm_forward(weights, constants(NORMS, weights), constants(GRADNORM_TARGETS, weights))


Z, K, S, A = (7, 5), (4,), (7,), (11, 5)
CE = {"targets": LABELS, "ignore_index": -100}
BOTH = {"rank": 3, "anchor": 7}
CASES = {
    "cross_entropy": (*op("softmax_cross_entropy", **CE), cross_entropy, [Z]),
    "cross_entropy_sum": (
        *op("softmax_cross_entropy", **CE, reduction="sum"),
        lambda z: cross_entropy(z, reduction="sum"),
        [Z],
    ),
    "cross_entropy_smoothed": (
        *op("softmax_cross_entropy", **CE, label_smoothing=0.1),
        lambda z: cross_entropy(z, label_smoothing=0.1),
        [Z],
    ),
    "cross_entropy_soft": (
        soft_cross_entropy,
        ops.softmax_cross_entropy_backward,
        lambda z: F.cross_entropy(z, tensor(SOFT)),
        [Z],
    ),
    "mean_squared_error": (
        squared_error("mean"),
        ops.mean_squared_error_backward,
        lambda y: F.mse_loss(y, tensor(TARGETS)),
        [Z],
    ),
    "squared_error_sum": (
        squared_error("sum"),
        ops.mean_squared_error_backward,
        lambda y: F.mse_loss(y, tensor(TARGETS), reduction="sum"),
        [Z],
    ),
    "kl_distillation": (*op("kl_distillation"), lambda z, t: kl(z, t, 1.0), [Z, Z]),
    "kl_distillation_softened": (*op("kl_distillation", temperature=2.5), lambda z, t: kl(z, t, 2.5), [Z, Z]),
    "objective_uncertainty": (*op("objective", ranks=RANKS), uncertainty, [K, S]),
    "objective_classification": (*op("objective", ranks=RANKS, variant="classification"), classification, [K, S]),
    "objective_bounded": (*op("objective", ranks=RANKS, variant="bounded"), bounded, [K, S]),
    "weighted_sum": (*op("weighted_sum", ranks=RANKS), lambda losses, w: (w[INDEX] * losses).sum(), [K, S]),
    "gradnorm": (
        gradnorm,
        ops.gradnorm_backward,
        lambda w: (w * tensor(NORMS) - tensor(GRADNORM_TARGETS)).abs().sum(),
        [(5,)],
    ),
    "hard_orthogonality": (
        *op("hard_orthogonality"),
        lambda A: torch.linalg.matrix_norm(A @ A.T - torch.eye(len(A), dtype=A.dtype)).square(),
        [A],
    ),
    "residual_orthogonality": (
        *op("residual_orthogonality", **BOTH),
        lambda A: torch.linalg.matrix_norm(A[:3] @ A[3:7].T).square(),
        [A],
    ),
    "logits_regularisation": (*op("logits_regularisation"), row_distance, [Z, Z]),
    "logits_regularisation_stopped": (
        *op("logits_regularisation", stop_anchor=True),
        lambda a, v: row_distance(a.detach(), v),
        [Z, Z],
    ),
    "hidden_regularisation": (*op("hidden_regularisation"), row_distance, [Z, Z]),
    "hidden_regularisation_stopped": (
        *op("hidden_regularisation", stop_anchor=True),
        lambda a, v: row_distance(a.detach(), v),
        [Z, Z],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_those_of_autograd(case, rng):
    """Two correct evaluations differ by at most twice the rounding bound."""
    forward, backward, torch_forward, shapes = CASES[case]
    inputs = normal(rng, *shapes)
    dloss = float(rng.standard_normal())

    leaves = [tensor(x).requires_grad_() for x in inputs]
    torch_loss = torch_forward(*leaves)
    torch_grads = torch.autograd.grad(torch_loss * dloss, leaves, materialize_grads=True)

    loss, saved = forward(*inputs)
    bound = errors(forward(*map(rounded, inputs))[0])
    assert abs(loss - torch_loss.item()) <= 2 * bound
    grads = backward(dloss, saved)
    grads = grads if isinstance(grads, tuple) else (grads,)
    bounds = gradient_error_bounds(forward, backward, inputs, np.array(dloss))
    for grad, torch_grad, bound in zip(grads, torch_grads, bounds, strict=True):
        assert (np.abs(grad - torch_grad.numpy()) <= 2 * bound).all()
        assert torch_grad.any() or "stopped" in case


def test_detached_weights_give_autograds_gradient(rng):
    """1 / L held constant, as `Tensor.detach` does it."""
    losses = rng.uniform(0.5, 2.0, 3)
    ranks = [5, 1, 3]
    _, saved = ops.weighted_sum_forward(losses, ops.analytic_weights(losses, ranks, 7), ranks)
    leaf = tensor(losses).requires_grad_()
    (grad,) = torch.autograd.grad((leaf / leaf.detach()).sum(), leaf)
    assert (np.abs(ops.weighted_sum_backward(1.0, saved)[0] - grad.numpy()) <= 2.0**-52 * grad.numpy()).all()


def test_softmax_weights_are_torchs_softmax(rng):
    losses = rng.uniform(0.5, 2.0, 3)
    found = ops.softmax_weights(losses, [1, 2, 3], 3, temperature=0.5)
    expected = F.softmax(1 / tensor(losses) / 0.5, dim=0).numpy()
    bound = errors(ops.softmax_weights(rounded(losses), [1, 2, 3], 3, temperature=0.5))
    assert (np.abs(found - expected) <= 2 * bound).all()


def test_gradnorm_targets_are_the_formula_in_torch(rng):
    weights, norms, losses = rng.uniform(0.5, 2.0, (3, 5))
    arrays = (weights, norms, losses, FIRST)
    w, n, now, first = map(tensor, arrays)
    rate = now / first
    expected = ((w * n).mean() * (rate / rate.mean()) ** 1.5).numpy()
    found = ops.gradnorm_targets(*arrays, alpha=1.5)
    bound = errors(ops.gradnorm_targets(*map(rounded, arrays), alpha=1.5))
    assert (np.abs(found - expected) <= 2 * bound).all()
