"""Nested embedding: rows looked up and added up by compiled loops, products of prefix views by BLAS."""

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import LabelError
from nsn_ref.kernels.common import compiled, floats, output, outputs, plain, shapes
from nsn_ref.kernels.softmax_cross_entropy import flat_labels
from nsn_ref.ops.nested_embedding import NestedEmbeddingSaved
from nsn_ref.scalars import rows


@compiled
def look_up_loop(tokens, E, h):
    """Copy the first components of each token's row; returns where the first token out of range stands, or -1."""
    for i in range(tokens.size):
        if not 0 <= tokens[i] < E.shape[0]:
            return i
        for j in range(h.shape[1]):
            h[i, j] = E[tokens[i], j]
    return -1


@compiled
def add_up_loop(tokens, dh, dE):
    """Add each row of dh to that of its token; returns where the first token out of range stands, or -1."""
    dE[:] = 0
    for i in range(tokens.size):
        if not 0 <= tokens[i] < dE.shape[0]:
            return i
        for j in range(dh.shape[1]):
            dE[tokens[i], j] += dh[i, j]
    return -1


def nested_embedding_forward(tokens, E, B, rank, *, out=None):
    """As `nsn_ref.ops.nested_embedding_forward`; `out` takes y."""
    name = "nested_embedding_forward"
    floats(name, E=E, B=B)
    checks.axes(name, E=(E, "V R"), B=(B, "d_out R"))
    checks.rank(name, rank, E.shape[1])
    y, h = output(name, out, (*tokens.shape, len(B)), E.dtype), np.empty((*tokens.shape, rank), E.dtype)
    flat = flat_labels(tokens)
    _check_tokens(name, flat, look_up_loop(flat, plain(E), rows(h)), len(E))
    np.matmul(rows(h), B[:, :rank].T, out=rows(y))
    return y, NestedEmbeddingSaved(tokens, E, B, h)


def nested_embedding_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.nested_embedding_backward`; `out` takes (dE, dB)."""
    name = "nested_embedding_backward"
    tokens, E, B, h = saved
    floats(name, E=E, B=B, h=h, dy=dy)
    shapes(name, dy=(dy, (*tokens.shape, len(B))))
    dE, dB = outputs(name, out, E.dtype, E.shape, B.shape)
    rank, dy, flat = h.shape[-1], rows(dy), flat_labels(tokens)
    dh = np.matmul(dy, B[:, :rank])  # y = h @ B[:, :rank].T
    np.matmul(dy.T, rows(h), out=dB[:, :rank])
    dB[:, rank:] = 0
    _check_tokens(name, flat, add_up_loop(flat, dh, dE), len(E))  # h = E[tokens, :rank]
    return dE, dB


def _check_tokens(name, tokens, bad, V):
    if bad >= 0:
        raise LabelError(f"{name}: tokens has the label {tokens[bad]}, expected integers in 0..{V - 1}")
