"""What every rank of a trained network reaches, and what it costs: the frontier that a rank is chosen from."""

from typing import NamedTuple

import numpy as np

from nsn_ref.analysis.cost import dense_cost
from nsn_ref.analysis.energy import component_energies
from nsn_ref.analysis.linear_layers import linear_layers, network_flops


class FrontierRow(NamedTuple):
    """One rank."""

    rank: int
    trained: bool
    accuracy: float  # share of the rows, 0..1
    loss: float  # mean cross-entropy, nats
    flops: int  # for one example
    dense_share: float  # of the FLOPs of the same network with every layer dense
    s: float  # learned log-variance; 0 where the objective has none


def frontier(net, params, x, labels, *, trained=()):
    """Evaluate a classifier at every rank 1..R.

    Parameters
    ----------
    net : MLP or ConvNet
    params : dict of str to ndarray
    x : ndarray
        In the shape of the network's input.
    labels : ndarray
        Integer labels in the shape of the logits without their last axis.
    trained : collection of int
        The ranks that training has seen, marked as such.

    Returns
    -------
    list of FrontierRow, by rank

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, LabelError
    """
    from nsn_ref.inference import scores_at_ranks  # it loads Numba

    layers = linear_layers(net, x.shape)
    dense = dense_cost(layers).flops
    rows = []
    for rank, loss, accuracy in zip(*scores_at_ranks(net, params, x, labels), strict=True):
        flops = network_flops(layers, rank)
        s = float(params["s"][rank - 1])
        rows.append(FrontierRow(rank, rank in trained, float(accuracy), float(loss), flops, flops / dense, s))
    return rows


def energies(net, params):
    """Component energies of every nested layer, by the layer's name.

    A convolution's kernel counts as one row of A.

    Returns
    -------
    dict of str to ndarray, shape (R,)
    """
    return {
        layer.key: component_energies(
            params[f"{layer.key}.A"].reshape(layer.R, -1), np.ascontiguousarray(params[f"{layer.key}.B"])
        )
        for layer in net.nested_layers
    }


def log_variances(run):
    """The recorded log-variances over the training, and where it stands.

    Parameters
    ----------
    run : Run

    Returns
    -------
    steps : ndarray, shape (m,)
    s : ndarray, shape (m, R)
    """
    now = {"step": len(run.metrics), "s": [float(s_r) for s_r in run.params["s"]]}
    records = [record for record in run.metrics[:-1] if "s" in record] + [now]
    return np.array([record["step"] for record in records]), np.array([record["s"] for record in records])


def trained_ranks(metrics):
    """The ranks that a training has seen; of a rank for each layer, the largest."""
    return {max(rank) if isinstance(rank, list) else rank for record in metrics for rank in record["ranks"]}
