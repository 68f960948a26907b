"""Linear nested training against the truncated singular value decomposition, which is best at every rank at once.

Inputs are white and targets linear in them, so that the loss of W_r is norm_F(W_r - W)^2 / d_out and Eckart-Young says
what it can be: no rank has to give way to another.
"""

import numpy as np

from nsn_ref.experiments.experiment import Experiment
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

D_IN, D_OUT, R, ROWS = 13, 11, 8, 64
SINGULAR_VALUES = 2.0 ** (1 - np.arange(D_OUT) / 2)
SIZES = {"smoke": {"steps": 100}, "quick": {"steps": 3000}, "full": {"steps": 30000}}
TRAININGS = {
    "every rank at every step": {"curriculum": "all", "objective": "sum"},
    "every rank at every step, Eq. 3": {"curriculum": "all", "objective": "uncertainty"},
    "R and one other rank": {"curriculum": "uniform", "objective": "sum"},
    "R and one other rank, Eq. 3": {"curriculum": "uniform", "objective": "uncertainty"},
    "R and 1, 2 or 4": {"curriculum": "uniform", "objective": "sum", "variants": (1, 2, 4)},
    "R alone": {"curriculum": "anchor", "objective": "sum"},
}


def cells(form):
    """One for each way to train."""
    return [SIZES[form] | {"training": name} for name in TRAININGS]


def run(data, options, seed):
    """Squared error of every rank after the training, and the least that its rank allows."""
    W, x = problem(seed)
    net = MLP((D_IN, D_OUT), R, nested=(True,))
    config = TrainConfig(
        steps=options["steps"], batch_size=ROWS, lr=0.02, warmup_steps=options["steps"] // 20, weight_decay=0.0,
        loss="mean_squared_error", seed=seed, dtype="float64", engine="reference", **TRAININGS[options["training"]],
    )  # fmt: skip
    params = train(net, (x, x @ W.T), config, progress=False).params
    A, B = params["layers.0.A"], params["layers.0.B"]
    errors = {str(r): float(np.sum((B[:, :r] @ A[:r] - W) ** 2)) for r in range(1, R + 1)}
    return {"error": errors, "least": {str(r): float(np.sum(SINGULAR_VALUES[r:] ** 2)) for r in range(1, R + 1)}}


def problem(seed):
    """W (d_out, d_in) of the given singular values, and inputs (n, d_in): their columns sum to 0, x^T x = n I."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((d, D_OUT)))[0] for d in (D_OUT, D_IN))
    free = rng.standard_normal((ROWS, D_IN))
    x, _ = np.linalg.qr(free - free.mean(axis=0))
    return (U * SINGULAR_VALUES) @ V.T, x * np.sqrt(ROWS)


EXPERIMENT = Experiment(
    name="oracle",
    title="Linear training against the truncated SVD",
    summary="whether linear nested training finds the best matrix of every rank at once, on data where it is known",
    source="ours",
    cells=cells,
    seeds={"smoke": 2, "quick": 5, "full": 10},
    run=run,
    data=None,
)
