"""Softmax cross-entropy of some rows: loss, and gradient over the logits, in one visit of each row."""

import numpy as np

from nsn_ref.kernels.common import compiled


@compiled
def softmax_cross_entropy_rows(z, b, labels, batch, weights, losses):
    """Turn logits without bias into dlogits; add each row's share of the mean over the batch to the loss of its rank.

    z (K n, C); labels (n,); weights (K,) of the losses; `losses` (K,) float64.
    """
    for i in range(z.shape[0]):
        k, label, row = i // labels.size, labels[i % labels.size], z[i]
        top = row[0] + b[0]
        for j in range(row.size):
            row[j] += b[j]
            top = row[j] if row[j] > top else top
        for j in range(row.size):
            row[j] -= top
        target = row[label]
        total = z.dtype.type(0)
        for j in range(row.size):
            row[j] = np.exp(row[j])
            total += row[j]
        losses[k] += (np.log(total) - target) / batch
        scale = weights[k] / batch
        factor = z.dtype.type(scale / total)
        for j in range(row.size):
            row[j] *= factor
        row[label] -= scale
