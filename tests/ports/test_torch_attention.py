"""Attention and rotary embedding against PyTorch's attention; autograd differentiates both."""

import numpy as np
import pytest
from helpers import constants, normal

torch = pytest.importorskip("torch")

from nsn_ref import ops  # noqa: E402
from nsn_ref.certify.complex_step import gradient_error_bounds  # noqa: E402
from nsn_ref.certify.rounding import errors, rounded  # noqa: E402

HEADS = {"multi-head": (6, 6), "grouped-query": (6, 2), "multi-query": (6, 1)}
MASK = np.array([[False, False, True, True, True, True, True], [True, True, False, True, True, False, True]])
OPTIONS = {
    "causal": {},
    "unscaled": {"scale": 1.0},
    "padding": {"mask": MASK},
    "window": {"window": 3},
    "window and padding": {"window": 2, "mask": MASK, "scale": 0.3},
}


def visible(T, S, mask=None, window=None):
    """What each query may see, as an explicit (n, 1, T, S)."""
    seen = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    if window is not None:
        seen &= ~torch.ones(T, S, dtype=torch.bool).tril(S - T - window)
    return seen if mask is None else seen & torch.from_numpy(mask)[:, None, None, :]


def by_torch(q, k, v, scale=None, **options):
    seen = visible(q.shape[1], k.shape[1], **options)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(q, k, v, attn_mask=seen, scale=scale, enable_gqa=True).transpose(1, 2)


def rotate_by_torch(x, cos, sin):
    """As `transformers` writes it: x cos + rotate_half(x) sin, with tables of both halves."""
    cos, sin = (torch.from_numpy(np.concatenate([t, t], axis=-1))[..., None, :] for t in (cos, sin))
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([-second, first], dim=-1) * sin, rest], dim=-1)


def assert_same(forward, backward, torch_forward, inputs, rng):
    """Output and gradients: two correct evaluations differ by at most twice the rounding bound."""
    y, saved = forward(*inputs)
    dy = rng.standard_normal(y.shape)
    leaves = [torch.from_numpy(x).requires_grad_() for x in inputs]
    torch_y = torch_forward(*leaves)
    grads = backward(dy, saved)
    found = [y, *(grads if isinstance(grads, tuple) else (grads,))]
    expected = [torch_y, *torch.autograd.grad(torch_y, leaves, torch.from_numpy(dy))]
    bounds = [errors(forward(*map(rounded, inputs))[0]), *gradient_error_bounds(forward, backward, inputs, dy)]
    for value, theirs, bound in zip(found, expected, bounds, strict=True):
        assert theirs.any() and value.shape == theirs.shape
        assert (np.abs(value - theirs.detach().numpy()) <= 2 * bound).all()


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("T", [7, 3, 1], ids=["whole", "cached", "one"])
def test_attention(heads, case, T, rng):
    (H, G), options = HEADS[heads], OPTIONS[case]
    inputs = normal(rng, (2, T, H, 5), (2, 7, G, 5), (2, 7, G, 5))
    forward = lambda *x: ops.causal_attention_forward(*x, **options)  # noqa: E731
    assert_same(forward, ops.causal_attention_backward, lambda *x: by_torch(*x, **options), inputs, rng)


@pytest.mark.parametrize("pairs", [1, 2, 3])
@pytest.mark.parametrize("positions", [np.arange(5), np.array([[0, 1, 2, 3, 4], [9, 9, 10, 11, 12]])], ids=["T", "n T"])
def test_rotary(pairs, positions, rng):
    tables = ops.rotary_tables(positions, pairs, 10000.0, np.ones(1))
    forward = lambda x: ops.rotary_forward(x, *(constants(t, like=x) for t in tables))  # noqa: E731
    (x,) = normal(rng, (2, 5, 3, 7))
    assert_same(forward, ops.rotary_backward, lambda x: rotate_by_torch(x, *tables), [x], rng)
