"""Nested embedding: rows looked up and added up by compiled loops, products of prefix views by BLAS."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import floats, output, outputs, shapes
from nsn_ref.kernels.embedding import add_up, look_up
from nsn_ref.ops.nested_embedding import NestedEmbeddingSaved
from nsn_ref.scalars import rows


def nested_embedding_forward(tokens, E, B, rank, *, out=None):
    """As `nsn_ref.ops.nested_embedding_forward`; `out` takes y."""
    name = "nested_embedding_forward"
    floats(name, E=E, B=B)
    checks.axes(name, E=(E, "V R"), B=(B, "d_out R"))
    checks.rank(name, rank, E.shape[1])
    y, h = output(name, out, (*tokens.shape, len(B)), E.dtype), np.empty((*tokens.shape, rank), E.dtype)
    look_up(name, tokens, E, h)
    np.matmul(rows(h), B[:, :rank].T, out=rows(y))
    return y, NestedEmbeddingSaved(tokens, E, B, h)


def nested_embedding_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.nested_embedding_backward`; `out` takes (dE, dB)."""
    name = "nested_embedding_backward"
    tokens, E, B, h = saved
    floats(name, E=E, B=B, h=h, dy=dy)
    shapes(name, dy=(dy, (*tokens.shape, len(B))))
    dE, dB = outputs(name, out, E.dtype, E.shape, B.shape)
    rank, dy = h.shape[-1], rows(dy)
    dh = np.matmul(dy, B[:, :rank])  # y = h @ B[:, :rank].T
    np.matmul(dy.T, rows(h), out=dB[:, :rank])
    dB[:, rank:] = 0
    add_up(name, tokens, dh, dE)  # h = E[tokens, :rank]
    return dE, dB
