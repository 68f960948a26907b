"""Embedding: rows looked up and added up by compiled loops."""

from nsn_ref import checks
from nsn_ref.errors import LabelError
from nsn_ref.kernels.common import compiled, floats, output, plain, shapes
from nsn_ref.kernels.softmax_cross_entropy import flat_labels
from nsn_ref.ops.embedding import EmbeddingSaved
from nsn_ref.scalars import rows


@compiled
def look_up_loop(tokens, E, y):
    """Copy the first columns of each token's row; returns where the first token out of range stands, or -1."""
    for i in range(tokens.size):
        if not 0 <= tokens[i] < E.shape[0]:
            return i
        for j in range(y.shape[1]):
            y[i, j] = E[tokens[i], j]
    return -1


@compiled
def add_up_loop(tokens, dy, dE):
    """Add each row of dy to that of its token; returns where the first token out of range stands, or -1."""
    dE[:] = 0
    for i in range(tokens.size):
        if not 0 <= tokens[i] < dE.shape[0]:
            return i
        for j in range(dy.shape[1]):
            dE[tokens[i], j] += dy[i, j]
    return -1


def embedding_forward(tokens, E, *, out=None):
    """As `nsn_ref.ops.embedding_forward`; `out` takes y."""
    name = "embedding_forward"
    floats(name, E=E)
    checks.axes(name, E=(E, "V d"))
    y = output(name, out, (*tokens.shape, E.shape[1]), E.dtype)
    look_up(name, tokens, E, y)
    return y, EmbeddingSaved(tokens, E)


def embedding_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.embedding_backward`; `out` takes dE."""
    name = "embedding_backward"
    tokens, E = saved
    floats(name, E=E, dy=dy)
    shapes(name, dy=(dy, (*tokens.shape, E.shape[1])))
    dE = output(name, out, E.shape, E.dtype)
    add_up(name, tokens, dy, dE)  # y = E[tokens]
    return dE


def look_up(function, tokens, E, y):
    """Fill y with the first columns of each token's row.

    Raises
    ------
    LabelError
    """
    tokens = flat_labels(tokens)
    _in_range(function, tokens, look_up_loop(tokens, plain(E), rows(y)), len(E))


def add_up(function, tokens, dy, dE):
    """Fill the first columns of dE with the sums of the rows of dy by their tokens, the others with zeros.

    Raises
    ------
    LabelError
    """
    tokens = flat_labels(tokens)
    _in_range(function, tokens, add_up_loop(tokens, plain(rows(dy)), dE), len(dE))


def _in_range(function, tokens, bad, V):
    if bad >= 0:
        raise LabelError(f"{function}: tokens has the label {tokens[bad]}, expected integers in 0..{V - 1}")
