"""The losses of the comparators written out in plain NumPy, and derivatives of them by the complex step."""

import numpy as np

STEP = 1e-30


def perceptron(matrices, x):
    """Logits of a chain of (W, b) with relu between them; for complex numbers relu looks at the real part."""
    for i, (W, b) in enumerate(matrices):
        x = np.where(x.real > 0, x, 0) if i else x
        x = x @ W.T + b
    return x


def softmax(z):
    """Row by row, of moderate logits."""
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, target):
    """Mean over the rows; the target is labels, or probabilities."""
    target = np.eye(z.shape[1])[target] if target.ndim == 1 else target
    return -(target * np.log(softmax(z))).sum() / len(z)


def at_rank(params, x, rank):
    """Logits of a nested network."""
    hidden = len([name for name in params if name.endswith(".A")])
    products = [params[f"layers.{i}.B"][:, :rank] @ params[f"layers.{i}.A"][:rank] for i in range(hidden)]
    matrices = [(W, params[f"layers.{i}.b"]) for i, W in enumerate(products)]
    return perceptron([*matrices, (params[f"layers.{hidden}.W"], params[f"layers.{hidden}.b"])], x)


def at_width(params, x, width):
    """Logits of a dense network, every hidden unit beyond the first `width` of its layer held at zero."""
    count = len([name for name in params if name.endswith(".W")])
    for i in range(count):
        x = x @ params[f"layers.{i}.W"].T + params[f"layers.{i}.b"]
        if i < count - 1:
            x = np.where((x.real > 0) & (np.arange(x.shape[1]) < width), x, 0)
    return x


def float64(params):
    """The same parameters, float64, of which none is zero."""
    rng = np.random.default_rng(7)
    return {name: p.astype(np.float64) + 0.1 * rng.standard_normal(p.shape) for name, p in params.items()}


def assert_gradients(grads, loss, params, rng):
    """The gradients are the derivative of the loss along a random direction; names without one have none."""
    direction = {name: rng.standard_normal(p.shape) for name, p in params.items()}
    moved = {name: p + 1j * STEP * direction[name] for name, p in params.items()}
    expected = loss(moved).imag / STEP
    got = sum((g * direction[name]).sum() for name, g in grads.items())
    assert abs(expected) > 1e-3
    assert abs(got - expected) <= 1e-12 * sum(np.abs(g * direction[name]).sum() for name, g in grads.items())
