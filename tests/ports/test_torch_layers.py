"""Layers, activations and norms against PyTorch: only forwards are written here, autograd differentiates them."""

import numpy as np
import pytest
from helpers import normal

torch = pytest.importorskip("torch")

from nsn_ref import ops  # noqa: E402
from nsn_ref.certify.complex_step import gradient_error_bounds  # noqa: E402
from nsn_ref.certify.rounding import errors, rounded  # noqa: E402

F = torch.nn.functional
TOKENS = np.array([[4, 0, 4], [1, 1, 4]])  # one token three times, two never
RANKS = (6, 1, 9, 6)


def op(name, **options):
    """Forward (with options bound) and backward of an operation."""
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    return lambda *inputs: forward(*inputs, **options), backward


def embedding(rank):
    return lambda E, B: ops.nested_embedding_forward(TOKENS, E, B, rank), ops.nested_embedding_backward


def nested(x, A, B, b, rank):
    return F.linear(F.linear(x, A[:rank]), B[:, :rank], b)


def nested_convolution(x, A, B, b, rank, **options):
    return F.conv2d(F.conv2d(x, A[:rank], **options), B[:, :rank, None, None], b)


LINEAR = [(5, 3), (11, 3), (7, 11), (7,)]
SEQUENCE = [(5, 2, 3), *LINEAR[1:]]
IMAGE = [(2, 3, 5, 7), (11, 3, 3, 2), (5, 11), (5,)]
PIXELS = [(2, 3, 5, 7), (11, 3, 1, 1), (5, 11), (5,)]
GEOMETRY = {"stride": (2, 1), "padding": (1, 2)}
CASES = {
    "dense": (*op("dense"), F.linear, [(5, 3), (7, 3), (7,)]),
    "dense_sequence": (*op("dense"), F.linear, [(5, 2, 3), (7, 3), (7,)]),
    **{
        f"nested_linear_{kind}_rank_{rank}": (
            *op("nested_linear", rank=rank),
            lambda *a, rank=rank: nested(*a, rank),
            shapes,
        )
        for rank in (1, 4, 11)
        for kind, shapes in (("rows", LINEAR), ("sequence", SEQUENCE))
    },
    **{
        f"multirank_linear_{kind}": (
            *op("multirank_linear", ranks=RANKS),
            lambda *a: torch.stack([nested(*a, rank) for rank in RANKS]),
            shapes,
        )
        for kind, shapes in (("rows", LINEAR), ("sequence", SEQUENCE))
    },
    **{
        f"nested_conv2d_rank_{rank}": (
            *op("nested_conv2d", rank=rank, **GEOMETRY),
            lambda *a, rank=rank: nested_convolution(*a, rank, **GEOMETRY),
            IMAGE,
        )
        for rank in (1, 4, 11)
    },
    "nested_conv2d_strided": (
        *op("nested_conv2d", rank=4, stride=3),
        lambda *a: nested_convolution(*a, 4, stride=3),
        IMAGE,
    ),
    "nested_conv2d_pixels": (*op("nested_conv2d", rank=4), lambda *a: nested_convolution(*a, 4), PIXELS),
    "conv2d": (*op("conv2d", **GEOMETRY), lambda *a: F.conv2d(*a, **GEOMETRY), [*IMAGE[:2], (11,)]),
    "average_pool2d": (*op("average_pool2d", size=2), lambda x: F.avg_pool2d(x, 2), [(2, 3, 4, 6)]),
    **{
        f"nested_embedding_rank_{rank}": (
            *embedding(rank),
            lambda E, B, rank=rank: F.linear(F.embedding(torch.from_numpy(TOKENS), E[:, :rank]), B[:, :rank]),
            [(7, 5), (3, 5)],
        )
        for rank in (1, 3, 5)
    },
    "embedding": (
        lambda E: ops.embedding_forward(TOKENS, E),
        ops.embedding_backward,
        lambda E: F.embedding(torch.from_numpy(TOKENS), E),
        [(7, 5)],
    ),
    "relu": (*op("relu"), F.relu, [(5, 7)]),
    "silu": (*op("silu"), F.silu, [(5, 7)]),
    **{
        f"gelu_{form}": (*op("gelu", approximate=form), lambda z, form=form: F.gelu(z, approximate=form), [(5, 7)])
        for form in ("none", "tanh")
    },
    "swiglu": (*op("swiglu"), lambda gate, up: F.silu(gate) * up, [(5, 7), (5, 7)]),
    **{
        f"geglu_{form}": (
            *op("geglu", approximate=form),
            lambda gate, up, form=form: F.gelu(gate, approximate=form) * up,
            [(5, 7), (5, 7)],
        )
        for form in ("none", "tanh")
    },
    "layer_norm": (
        *op("layer_norm", eps=1e-5),
        lambda x, w, b: F.layer_norm(x, (7,), w, b, eps=1e-5),
        [(5, 7), (7,), (7,)],
    ),
    "layer_norm_sequence": (
        *op("layer_norm", eps=0.5),
        lambda x, w, b: F.layer_norm(x, (7,), w, b, eps=0.5),
        [(5, 2, 7), (7,), (7,)],
    ),
    "rms_norm": (*op("rms_norm", eps=1e-6), lambda x, w: F.rms_norm(x, (7,), w, eps=1e-6), [(5, 7), (7,)]),
    "rms_norm_sequence": (*op("rms_norm", eps=0.5), lambda x, w: F.rms_norm(x, (7,), w, eps=0.5), [(5, 2, 7), (7,)]),
}


@pytest.mark.parametrize("scale", [1.0, 4.0], ids=["unit", "wide"])
@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_are_those_of_autograd(case, scale, rng):
    """Two correct evaluations differ by at most twice the rounding bound."""
    forward, backward, torch_forward, shapes = CASES[case]
    inputs = [scale * x for x in normal(rng, *shapes)]
    y, saved = forward(*inputs)
    dy = rng.standard_normal(y.shape)

    leaves = [torch.from_numpy(x).requires_grad_() for x in inputs]
    torch_y = torch_forward(*leaves)
    torch_grads = torch.autograd.grad(torch_y, leaves, torch.from_numpy(dy))

    bound = errors(forward(*map(rounded, inputs))[0])
    assert y.shape == torch_y.shape
    assert (np.abs(y - torch_y.detach().numpy()) <= 2 * bound).all()
    grads = backward(dy, saved)
    grads = grads if isinstance(grads, tuple) else (grads,)
    for grad, torch_grad, bound in zip(
        grads, torch_grads, gradient_error_bounds(forward, backward, inputs, dy), strict=True
    ):
        assert torch_grad.any()
        assert (np.abs(grad - torch_grad.numpy()) <= 2 * bound).all()
