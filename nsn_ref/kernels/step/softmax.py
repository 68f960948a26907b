"""Softmax cross-entropy of some rows: the loss, and its gradient in the place of the logits."""

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.exponential import exp_in_place

CHUNK = 1024  # numbers whose exponentials are taken together


@compiled
def softmax_cross_entropy_rows(z, b, labels, batch, weights, losses):
    """Turn logits without bias into dlogits; add each row's share of the mean over the batch to the loss of its rank.

    z (K n, C); labels (n,); weights (K,) of the losses; `losses` (K,) float64.
    """
    n, flat = labels.size, z.reshape(-1)
    for i in range(z.shape[0]):
        row = z[i]
        top = row[0] + b[0]
        for j in range(row.size):
            row[j] += b[j]
            top = row[j] if row[j] > top else top
        for j in range(row.size):
            row[j] -= top
        losses[i // n] -= row[labels[i % n]] / batch
    for start in range(0, flat.size, CHUNK):
        exp_in_place(flat[start : start + CHUNK])
    for i in range(z.shape[0]):
        k, row = i // n, z[i]
        total = z.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        losses[k] += np.log(total) / batch
        scale = weights[k] / batch
        factor = z.dtype.type(scale / total)
        for j in range(row.size):
            row[j] *= factor
        row[labels[i % n]] -= scale
