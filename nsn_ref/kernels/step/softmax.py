"""Softmax cross-entropy of some rows: loss, and gradient over the logits, in one visit of each row."""

import numpy as np

from nsn_ref.kernels.common import compiled


@compiled
def softmax_cross_entropy_rows(z, b, labels, n, weights, rows, losses):
    """Turn logits without bias into dlogits; add each row's loss over n to that of its rank.

    z (K n, C); weights (K,) of the losses; `losses` (K,) float64.
    """
    classes = z.shape[1]
    for i in range(rows[0], rows[1]):
        k, label = i // n, labels[i % n]
        top = z[i, 0] + b[0]
        for j in range(classes):
            z[i, j] += b[j]
            top = z[i, j] if z[i, j] > top else top
        for j in range(classes):
            z[i, j] -= top
        target = z[i, label]
        total = z.dtype.type(0)
        for j in range(classes):
            z[i, j] = np.exp(z[i, j])
            total += z[i, j]
        losses[k] += (np.log(total) - target) / n
        scale = weights[k] / n
        factor = z.dtype.type(scale / total)
        for j in range(classes):
            z[i, j] *= factor
        z[i, label] -= scale
