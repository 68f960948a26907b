"""The sandwich rule, and in-place distillation.

Source: Yu & Huang, arXiv:1903.05134, Algorithm 1.
"""

import numpy as np

from nsn_ref import kernels


def sandwich(largest, smallest, between, count, rng):
    """The members of one step: the largest, the smallest, and `count` - 2 drawn uniformly, with replacement.

    Parameters
    ----------
    largest, smallest : int
    between : sequence of int
        What is drawn from.
    count : int, >= 2
    rng : numpy.random.Generator

    Returns
    -------
    list of int
    """
    return [largest, smallest, *rng.choice(between, count - 2).tolist()]


def distilled_forward(logits, labels):
    """Losses of several members: of the first on the labels, of the others on the softmax of the first.

    That softmax is a constant: no gradient goes through it to the first.

    Parameters
    ----------
    logits : sequence of K ndarray, each of shape (n, C)
    labels : ndarray, shape (n,)

    Returns
    -------
    losses : ndarray, shape (K,)
        Cross-entropies; those on soft targets exceed the Kullback-Leibler divergence by the targets' entropy.
    saved : list of K SoftmaxCrossEntropySaved
    """
    first, saved = kernels.softmax_cross_entropy_forward(logits[0], labels)
    others = [kernels.softmax_cross_entropy_forward(z, saved.p) for z in logits[1:]]
    losses, contexts = zip((first, saved), *others, strict=True)
    return np.stack(losses), contexts


def distilled_backward(dlosses, saved):
    """Gradients of the K logits.

    Parameters
    ----------
    dlosses : ndarray, shape (K,)
    saved : list of K SoftmaxCrossEntropySaved

    Returns
    -------
    list of ndarray, each of shape (n, C)
    """
    backward = kernels.softmax_cross_entropy_backward
    return [backward(dloss, context) for dloss, context in zip(dlosses, saved, strict=True)]
