"""The linear layers over whole matrices: every formula that a correct port is known to use.

The same formulas run over three kinds of matrices: `certify.limbs` for the truth, `bounds.RoundedMatrix` for the
bounds, and `certificate.ExactMatrix` for the exact lane. They are those of `golden.envelope`, which runs on arrays of
objects, one number at a time: too slow for the sizes of real layers.

A kind of matrix has @, +, T, slices, `over_rows` (the sum of its rows, and of those of others), `padded` (zeros below
and to the right), `beside` (blocks of columns), `times_product` (by a product that is stored first), and `stored` (a
port may write it to memory here).
"""

from typing import NamedTuple

import numpy as np

OPERATIONS = frozenset(
    f"{stem}_{way}" for stem in ("dense", "nested_linear", "multirank_linear") for way in ("forward", "backward")
)


class Layer(NamedTuple):
    """The inputs of a linear operation as matrices; `ranks` is None where the weight is dense."""

    x: object
    weights: tuple  # (A, B), or (W,)
    b: object
    dys: tuple  # K cotangents; none in a forward operation
    ranks: list | None


def layer(inputs, attrs, lift):
    """The inputs of an operation, each made a matrix by `lift`: rows by columns, b a row."""
    dys = inputs["dys"] if "dys" in inputs else [inputs["dy"]] if "dy" in inputs else []
    weights = [inputs[name] for name in ("A", "B", "W") if name in inputs]
    matrices = [lift(_rows(x)) for x in (inputs["x"], *weights, inputs["b"], *dys)]
    ranks = attrs.get("ranks", [attrs["rank"]] if "rank" in attrs else None)
    end = 1 + len(weights)
    return Layer(matrices[0], tuple(matrices[1:end]), matrices[end], tuple(matrices[end + 1 :]), ranks)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def formulas(op):
    """Functions of a `Layer` that return its outputs by name; those of K ranks as a list. The first one is the
    fastest, and returns intermediates too.
    """
    return _FORMULAS[op]


def arrays(outputs, inputs, to_array):
    """Outputs as arrays in the shapes of the schema."""
    leading = inputs["x"].shape[:-1]
    shaped = {}
    for name, matrix in outputs.items():
        if name == "ys":
            shaped[name] = np.stack([to_array(y).reshape(*leading, -1) for y in matrix])
        elif name == "db":
            shaped[name] = to_array(matrix).reshape(-1)
        else:
            flat = to_array(matrix)
            shaped[name] = flat.reshape(*leading, -1) if name in ("h", "y", "dx") else flat
    return shaped


# --- forward ----------------------------------------------------------------------------------------------------------


def _dense(t):
    (W,) = t.weights
    return {"y": (t.x @ W.T + t.b).stored()}


def _factored(t):
    _, B = t.weights
    h = _bottleneck(t)
    return {"h": h, "ys": [(h[:, :r] @ B[:, :r].T + t.b).stored() for r in t.ranks]}


def _merged(t):
    A, B = t.weights
    return {"ys": [(t.x.times_product(A[:r].T, B[:, :r].T) + t.b).stored() for r in t.ranks]}


def _by_prefix_sums(t):
    _, B = t.weights
    h, y, start, at_rank = _bottleneck(t), t.b, 0, {}
    for r in sorted(set(t.ranks)):
        y = y + h[:, start:r] @ B[:, start:r].T
        at_rank[r], start = y.stored(), r
    return {"h": h, "ys": [at_rank[r] for r in t.ranks]}


def _bottleneck(t):
    return (t.x @ t.weights[0][: max(t.ranks)].T).stored()


# --- backward ---------------------------------------------------------------------------------------------------------


def _dense_grads(t):
    (W,), (dy,) = t.weights, t.dys
    return _stored(dx=dy @ W, dW=dy.T @ t.x, db=dy.over_rows())


def _by_shared_dh(t):
    (A, B), top = t.weights, max(t.ranks)
    h = _bottleneck(t)
    dh = _sum((dy @ B[:, :r]).padded(dy.shape[0], top) for dy, r in zip(t.dys, t.ranks, strict=True)).stored()
    dB = _sum((dy.T @ h[:, :r]).padded(*B.shape) for dy, r in zip(t.dys, t.ranks, strict=True))
    return _stored(dx=dh @ A[:top], dA=(dh.T @ t.x).padded(*A.shape), dB=dB, db=_over_rows(t))


def _rank_by_rank(t):
    (A, B), h = t.weights, _bottleneck(t)
    dx, dA, dB = [], [], []
    for dy, r in zip(t.dys, t.ranks, strict=True):
        dh = (dy @ B[:, :r]).stored()
        dx.append(dh @ A[:r])
        dA.append((dh.T @ t.x).padded(*A.shape))
        dB.append((dy.T @ h[:, :r]).padded(*B.shape))
    return _stored(dx=_sum(dx), dA=_sum(dA), dB=_sum(dB), db=_sum(dy.over_rows() for dy in t.dys))


def _through_dW(t):
    A, B = t.weights
    dx, dA, dB = [], [], []
    for dy, r in zip(t.dys, t.ranks, strict=True):
        dx.append(dy.times_product(B[:, :r], A[:r]))
        dA.append(B[:, :r].T.times_product(dy.T, t.x).padded(*A.shape))  # dW = dy^T x
        dB.append(A[:r].times_product(t.x.T, dy).T.padded(*B.shape))
    return _stored(dx=_sum(dx), dA=_sum(dA), dB=_sum(dB), db=_over_rows(t))


def _by_suffix_sums(t):
    (A, B), h, edges = t.weights, _bottleneck(t), sorted(set(t.ranks))
    dy, dh, dB = None, [], []
    for start, r in reversed(list(zip([0, *edges[:-1]], edges, strict=True))):  # these serve every rank >= r
        here = [t.dys[k] for k in range(len(t.ranks)) if t.ranks[k] == r]
        dy = _sum(here if dy is None else [dy, *here])
        dh.insert(0, dy @ B[:, start:r])
        dB.insert(0, dy.T @ h[:, start:r])
    dh = dh[0].beside(*dh[1:]).stored()
    dB = dB[0].beside(*dB[1:]).padded(*B.shape)
    return _stored(dx=dh @ A[: edges[-1]], dA=(dh.T @ t.x).padded(*A.shape), dB=dB, db=dy.over_rows())


def _over_rows(t):
    first, *others = t.dys
    return first.over_rows(*others)


def _sum(matrices):
    first, *others = matrices
    for matrix in others:
        first = first + matrix
    return first


def _stored(**outputs):
    return {name: matrix.stored() for name, matrix in outputs.items()}


def _one(formula):
    """One rank is the case K = 1."""

    def run(t):
        outputs = formula(t)
        (y,) = outputs.pop("ys")
        return outputs | {"y": y}

    return run


_GRADS = (_by_shared_dh, _rank_by_rank, _through_dW, _by_suffix_sums)
_FORMULAS = {
    "dense_forward": (_dense,),
    "dense_backward": (_dense_grads,),
    "nested_linear_forward": (_one(_factored), _one(_merged)),
    "nested_linear_backward": (_by_shared_dh, _through_dW),
    "multirank_linear_forward": (_by_prefix_sums, _factored, _merged),
    "multirank_linear_backward": _GRADS,
}
