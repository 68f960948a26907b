"""Cases of the dense layer, the embedding and the norms."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import ALL, MIXED, PLAIN
from nsn_ref.golden.cases.draws import (
    cancelling_cotangent,
    cancelling_rows,
    cancelling_weights,
    designs,
    full_mantissas,
    rising,
    signs,
    small,
)

WIDE = (*PLAIN, "bfloat16_master")  # elementwise arithmetic in float32 at least
CANCELLING = (
    "Large terms cancel: a result off by one unit is an accumulation in a shorter format, or a sum over the wrong "
    "elements."
)


def dense(leading, d_in, d_out, rng, dtype):
    """Normal numbers."""
    return {
        "x": rng.standard_normal((*leading, d_in)),
        "W": rng.standard_normal((d_out, d_in)),
        "b": rng.standard_normal(d_out),
    }


def dense_cancelling(rng, dtype):
    """Large parts cancel along the width and along the batch."""
    return {"x": cancelling_rows(rng, 7, dtype), "W": cancelling_weights(rng, 3, 7), "b": small(rng, 3)}


def dense_permutation(rng, dtype):
    """Each output is an input times a power of two."""
    W = np.zeros((7, 5))
    W[rng.permutation(7)[:5], rng.permutation(5)] = rng.choice([-2.0, -0.5, 0.5, 1.0, 4.0], 5)
    return {"x": full_mantissas(rng, dtype, 3, 5), "W": W, "b": np.zeros(7)}


def one_row_each(rng, dtype, shape):
    """A power of two for each output, each in one row: what comes back is an input times a power of two."""
    dy = np.zeros(shape)
    dy[np.arange(shape[-1]) % shape[0], np.arange(shape[-1])] = rng.choice([-2.0, -1.0, 0.5, 4.0], shape[-1])
    return dy


def signed_pairs(rng, dtype, shape):
    """As `cancelling_cotangent`."""
    return cancelling_cotangent(rng, *shape)


_DENSE = (
    ("real-001", "certified", {}, partial(dense, (5,), 7, 3), "transposed weight",
     "The weight or its gradient is transposed, or the bias is left out."),
    ("sequence-001", "certified", {}, partial(dense, (2, 3), 5, 7), "two leading axes",
     "With the leading axes (B, T) a gradient is summed over one of them only."),
    ("square-001", "certified", {}, partial(dense, (5,), 5, 5), "transposed where square",
     "With every size equal no shape tells that the weight or its gradient is transposed."),
    ("batch-one-001", "certified", {}, partial(dense, (1,), 11, 5), "batch of one",
     "A batch of one loses its axis, or gradients are means over the batch instead of sums."),
    ("cancelling-001", "exact", {}, dense_cancelling, "inexact accumulation", CANCELLING, signed_pairs),
    ("permutation-001", "exact", {}, dense_permutation, "operand rounding",
     "Results are inputs times powers of two: operands are rounded before they are multiplied.", one_row_each),
)  # fmt: skip


def embedding(shape, V, d_out, R, rng, dtype):
    """Tokens of which one occurs twice and one never does."""
    tokens = rng.permutation(V)[: np.prod(shape)]
    tokens[-1] = tokens[0]
    return {
        "tokens": tokens.reshape(shape),
        "E": rising(rng, R, (V,)).T.copy(),
        "B": rising(rng, R, (d_out,)).T.copy(),
    }


def every_token(rng, dtype):
    """Each token of a small vocabulary, token 0 twice."""
    tensors = embedding((5,), 5, 7, 5, rng, dtype)
    return tensors | {"tokens": np.append(rng.permutation(5), 0)}


def embedding_integers(rng, dtype):
    """The same in small integers, with one large component in B that the rank leaves out."""
    tensors = embedding((5,), 11, 3, 7, rng, dtype)
    E, B = small(rng, 11, 7), signs(rng, 3, 7)
    B[:, 4:] *= 64
    return tensors | {"E": E, "B": B}


_EMBEDDING = (
    ("interior-rank-001", "certified", {"rank": 4}, partial(embedding, (5,), 13, 3, 7), "repeated token",
     "The gradient of a token that occurs twice is overwritten instead of added up, or an unused token gets one."),
    ("rank-one-001", "certified", {"rank": 1}, partial(embedding, (3,), 7, 5, 11), "rank one",
     "At rank 1 an axis is lost, or the row of the token is taken as a column."),
    ("full-rank-001", "certified", {"rank": 5}, partial(embedding, (3,), 11, 7, 5), "last component",
     "At rank R the last component is left out."),
    ("sequence-001", "certified", {"rank": 11}, partial(embedding, (2, 3), 11, 5, 17), "two leading axes",
     "With tokens of shape (B, T) the gradient takes the positions of one row only."),
    ("every-token-001", "certified", {"rank": 3}, every_token, "token 0",
     "Token 0 is taken for padding, or tokens are counted from 1; a square E is transposed."),
    ("integers-001", "exact", {"rank": 4}, embedding_integers, "rank off by one",
     "Components above the rank, which are large, take part.",
     lambda rng, dtype, shape: small(rng, *shape)),
)  # fmt: skip


def vectors(leading, d, offset, scale, rng, dtype):
    """Vectors with a mean; layer norm uses b, the other norm does not."""
    return {
        "x": offset + scale * rng.standard_normal((*leading, d)),
        "w": 1 + 0.5 * rng.standard_normal(d),
        "b": rng.standard_normal(d),
    }


def _norm(eps):
    return (
        ("real-001", "certified", {"eps": eps}, partial(vectors, (5,), 7, 0.5, 1.0), "variance by d - 1",
         "The mean square is divided by d - 1 instead of d, or the gradient lacks one of its two projections."),
        ("batch-one-001", "certified", {"eps": eps}, partial(vectors, (1,), 11, -0.5, 2.0), "batch of one",
         "The mean is taken over the batch instead of the coordinates."),
        ("sequence-001", "certified", {"eps": eps}, partial(vectors, (2, 3), 5, 0.3, 1.0), "two leading axes",
         "With the leading axes (B, T) the gradients of w and b are summed over one of them only."),
        ("large-eps-001", "certified", {"eps": 0.5}, partial(vectors, (3,), 7, 0.1, 0.3), "place of eps",
         "eps is added outside the root, or left out, or taken for its default."),
    )  # fmt: skip


_LARGE_MEAN = (
    "large-mean-001", "certified", {"eps": 1e-5}, partial(vectors, (3,), 11, 50.0, 1.0), "cancelling variance",
    "The mean is fifty times the deviation: the variance is a difference of mean squares, or the mean is rounded to a "
    "shorter format before it is subtracted.",
)  # fmt: skip

DESIGNS = (
    *designs("dense", _DENSE, ALL),
    *designs("nested_embedding", _EMBEDDING, ALL[:-1], ALL),
    *designs("layer_norm", _norm(1e-5), MIXED),
    *designs("layer_norm", [_LARGE_MEAN], WIDE),
    *designs("rms_norm", _norm(1e-6), MIXED),
)
