"""The inputs of the digits cases: a step of a real training run.

They were made once and are committed; `golden build` reads them and never comes here. Making new ones needs
scikit-learn and need not give the same bits on another machine.
"""

import numpy as np

from nsn_ref.golden.groups import name_groups
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.optimizers import adamw_step

WIDTHS = (64, 23, 10)
R = 11
BATCH = 64
STEPS = 120
LR = 0.01
SEED = 17


def training_step():
    """Inputs of an mlp_step: weights and moments after 120 steps of the paper's procedure, and seven more scans.

    Returns
    -------
    dict of str to ndarray, float64 (labels int64)
    """
    from sklearn.datasets import load_digits

    x, targets = load_digits(return_X_y=True)
    x, targets = x / 16, targets.astype(np.int64)
    rng = np.random.default_rng(SEED)
    net = MLP(WIDTHS, R)
    params = net.init(rng, dtype=np.float64)
    m, v = ({key: np.zeros(p.shape) for key, p in params.items()} for _ in range(2))
    for t in range(1, STEPS + 1):
        batch = rng.choice(len(x), BATCH, replace=False)
        ranks = [R, int(rng.integers(1, R))]  # the anchor, and one variant below it
        grads = loss_and_grads(net, params, x[batch], targets[batch], ranks).grads
        for key, g in grads.items():
            decay = 0.0 if key == "s" else 0.01
            params[key], m[key], v[key] = adamw_step(params[key], g, m[key], v[key], t, lr=LR, weight_decay=decay)
    batch = rng.choice(len(x), 7, replace=False)
    return {"x": x[batch], "targets": targets[batch], **name_groups(params, m, v)}
