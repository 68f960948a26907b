"""The options of a training run, checked when they are made, and their form in files."""

import dataclasses
from dataclasses import dataclass, field

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.nets.loss_and_grads import LOSSES
from nsn_ref.nets.regularisers import check_regularisers
from nsn_ref.plain import make_plain
from nsn_ref.training.curricula import CURRICULA, candidates
from nsn_ref.training.schedules import SCHEDULES
from nsn_ref.training.weighting import Objective, as_objective

OPTIMIZERS = ("adamw", "sgd")
DTYPES = ("float32", "float64")
ENGINES = ("numba", "reference")


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; with the data and the network it determines the run.

    Parameters
    ----------
    epochs, steps : int, >= 1
        Length of the training, one of the two; default 100 epochs.
    batch_size : int, >= 1
        The last batch of an epoch may be smaller.
    optimizer : {"adamw", "sgd"}
    lr : float, > 0
        Highest learning rate.
    lr_s : float, >= 0, optional
        That of the log-variances, under the same schedule; default: `lr`.
    schedule : {"cosine", "constant"}
    warmup_steps : int, >= 0
    weight_decay : float, >= 0
        Of A, B and W; neither biases nor log-variances decay.
    clip : float, > 0, optional
        Largest joint 2-norm of the gradients; those of the log-variances are left out of it and are not scaled.
    beta1, beta2, eps : float
        For "adamw".
    momentum : float, in [0, 1)
        For "sgd".
    curriculum : str
        One of `nsn_ref.training.curricula.CURRICULA`: how variants are drawn.
    anchor : int, optional
        The largest rank trained; default: the network's R.
    variants : tuple of int, optional
        Ranks that variants are drawn from, those below the anchor; default: all.
    loss : {"cross_entropy", "mean_squared_error"}
    objective : Objective or str
    regularisers : dict of str to float
        Coefficients by name.
    stop_anchor : bool
        Hold the anchor's outputs constant in the regularisers.
    initialisation : {"random", "svd"}
    seed : int, >= 0
        Fixes the parameters at the start, the batches and the ranks.
    dtype : {"float32", "float64"}
    engine : {"numba", "reference"}
    checkpoint_every, log_s_every : int, >= 1
        Steps between checkpoints, and between records of the log-variances.

    Raises
    ------
    OptionError
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 64
    optimizer: str = "adamw"
    lr: float = 1e-3
    lr_s: float | None = None
    schedule: str = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.01
    clip: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    momentum: float = 0.9
    curriculum: str = "uniform"
    anchor: int | None = None
    variants: tuple | None = None
    loss: str = "cross_entropy"
    objective: Objective | str = field(default_factory=Objective)
    regularisers: dict = field(default_factory=dict)
    stop_anchor: bool = False
    initialisation: str = "random"
    seed: int = 0
    dtype: str = "float32"
    engine: str = "numba"
    checkpoint_every: int = 1000
    log_s_every: int = 10

    def __post_init__(self):
        make_plain(self)
        if self.epochs is not None and self.steps is not None:
            raise OptionError(f"TrainConfig: epochs is {self.epochs!r} and steps {self.steps!r}, expected one of them")
        if self.epochs is None and self.steps is None:
            object.__setattr__(self, "epochs", 100)
        object.__setattr__(self, "objective", as_objective("TrainConfig", self.objective))
        self._check_choices()
        self._check_numbers()
        check_regularisers("TrainConfig", self.regularisers)

    def _check_choices(self):
        for name, allowed in {
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "curriculum": CURRICULA,
            "loss": tuple(LOSSES),
            "initialisation": ("random", "svd"),
            "dtype": DTYPES,
            "engine": ENGINES,
            "stop_anchor": (False, True),
        }.items():
            checks.choice("TrainConfig", name, getattr(self, name), allowed)

    def _check_numbers(self):
        for name in ("epochs", "steps", "batch_size", "anchor", "checkpoint_every", "log_s_every"):
            if getattr(self, name) is not None:
                checks.integer("TrainConfig", name, getattr(self, name), 1)
        for name in ("warmup_steps", "seed"):
            checks.integer("TrainConfig", name, getattr(self, name), 0)
        for name in ("lr", "clip", "eps"):
            if getattr(self, name) is not None:
                checks.between("TrainConfig", name, getattr(self, name), 0, open_low=True, open_high=True)
        for name in ("lr_s", "weight_decay"):
            if getattr(self, name) is not None:
                checks.between("TrainConfig", name, getattr(self, name), 0, open_high=True)
        for name in ("beta1", "beta2", "momentum"):
            checks.between("TrainConfig", name, getattr(self, name), 0, 1, open_high=True)

    def total_steps(self, steps_per_epoch):
        """Length of the training in steps."""
        return self.steps if self.epochs is None else self.epochs * steps_per_epoch

    def trained_ranks(self, R):
        """The anchor, and the ranks that variants are drawn from.

        Raises
        ------
        RankError
        """
        anchor = R if self.anchor is None else self.anchor
        return anchor, candidates(R, anchor, self.variants)

    def to_json(self):
        """As a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values):
        """The config that `to_json` wrote.

        Raises
        ------
        OptionError
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := values.keys() - known:
            raise OptionError(f"TrainConfig: has {sorted(unknown)[0]!r}, expected only {', '.join(sorted(known))}")
        return cls(**values | {"objective": Objective(**values.get("objective", {}))})
