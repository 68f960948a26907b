"""Who takes the steps of a run: an engine's operations one by one, or the compiled step of `nsn_ref.kernels.step`.

Both hold the state and keep it whole: whatever interrupts a run, `state` is that after the last finished step and
`last` what is known of that step.
"""

from nsn_ref import blas
from nsn_ref.errors import DivergedError, NonFiniteError, NSNError
from nsn_ref.ops.objective import VARIANTS
from nsn_ref.training.clipping import clip_by_global_norm
from nsn_ref.training.step import StepRecord, TrainState, check_losses, rates, train_step

WEIGHTED = ("sum", "fixed")  # objectives whose weights are known before the losses


class OperationSteps:
    """Steps through the operations of an engine; the state of each is made anew.

    Parameters
    ----------
    net : Chain
    config : TrainConfig
    state : TrainState
    steps : int
        Length of the whole training.
    engine : Engine
    """

    threads = None  # those of BLAS

    def __init__(self, net, config, state, steps, engine):
        self.net, self.config, self.steps, self.engine = net, config, steps, engine
        self._done = state, None

    @property
    def state(self):
        """The state after the last finished step."""
        return self._done[0]

    @property
    def last(self):
        """The `StepRecord` of the last finished step."""
        return self._done[1]

    def advance(self, x, targets, ranks):
        """One step.

        Raises
        ------
        DivergedError
        """
        self._done = train_step(self.net, self.config, self.state, x, targets, ranks, self.steps, self.engine)

    def close(self):
        """Nothing is held."""


class CompiledSteps:
    """Steps in place, each one compiled function; `state` shows the arrays as they are now.

    Parameters
    ----------
    net, config, state, steps
        As for `OperationSteps`; `obstacle` found nothing in the way.
    shape : tuple of int
        Of the largest batch.
    """

    def __init__(self, net, config, state, steps, shape):
        from nsn_ref.kernels.step import make_step

        self.net, self.config, self.steps = net, config, steps
        _, variants = config.trained_ranks(net.R)
        most = 1 + len(variants) if config.curriculum == "all" else 2
        self._step = make_step(net, config.dtype, shape, ranks=most, optimizer=config.optimizer)
        self._step.load(state.params, state.m, state.v, state.step)
        self._weights = config.objective.weights or (1.0,) * net.R
        self._order = None  # learning rate and ranks of the step that was last begun

    @property
    def threads(self):
        """Threads that share a step."""
        return self._step.threads

    @property
    def state(self):
        """The state after the last finished step."""
        step = self._step
        v = step.v if self.config.optimizer == "adamw" else {}
        return TrainState(step.steps, step.params, step.m, v, {})

    @property
    def last(self):
        """The `StepRecord` of the last finished step."""
        lr, ranks = self._order
        result = self._step.result()
        norm = result.grad_norm
        if not 0 < norm < float("inf"):  # its square overflows or underflows, or there is nothing to measure
            _, norm = clip_by_global_norm(self._weight_grads(), None)
        return StepRecord(lr, ranks, result.losses, result.total, norm)

    def advance(self, x, targets, ranks):
        """One step.

        Raises
        ------
        DivergedError
        """
        config, done = self.config, self._step.steps
        lr, lr_s = rates(config, done, self.steps)
        self._order = lr, ranks
        weighted = config.objective.kind in WEIGHTED
        finite = self._step.step(
            x, targets, ranks, (self._rates(done + 1, lr, config.weight_decay), self._rates(done + 1, lr_s, 0.0)),
            objective=VARIANTS[0] if weighted else config.objective.kind,
            weights=[self._weights[r - 1] for r in ranks] if weighted else None,
            clip=config.clip,
        ).finite  # fmt: skip
        if not finite:
            self._explain(ranks)

    def close(self):
        """End the threads."""
        self._step.close()

    def _rates(self, t, lr, weight_decay):
        from nsn_ref.kernels.step import adamw_rates, sgd_rates

        config = self.config
        if config.optimizer == "sgd":
            return sgd_rates(lr=lr, momentum=config.momentum, weight_decay=weight_decay)
        options = {"beta1": config.beta1, "beta2": config.beta2, "eps": config.eps}
        return adamw_rates(t, lr=lr, weight_decay=weight_decay, **options)

    def _weight_grads(self):
        return {name: g for name, g in self._step.grads.items() if name != "s"}

    def _explain(self, ranks):
        """Name what is not finite, in the order in which a step comes upon it."""
        try:
            result = self._step.result()
            check_losses(ranks, result.losses, result.total)
            clip_by_global_norm(self._step.grads, None)
            self.net.check("after the update", self._step.params)
        except NonFiniteError as error:
            raise DivergedError(f"train: diverged at step {self._step.steps}: {error}") from error


def obstacle(net, config, targets):
    """Why a run cannot take the compiled step; None if it can.

    Parameters
    ----------
    net : Chain
    config : TrainConfig
    targets : ndarray

    Returns
    -------
    str or None
    """
    if config.engine != "numba":
        return f"the engine is {config.engine!r}"
    from nsn_ref.kernels.step import unfit

    if (reason := unfit(net)) is not None:
        return reason
    if config.loss != "cross_entropy" or targets.dtype.kind not in "iu":
        return "the loss is not the cross-entropy of labels"
    if config.objective.kind not in (*VARIANTS, *WEIGHTED):
        return f"the weights of {config.objective.kind!r} depend on the losses"
    if config.regularisers:
        return "there are regularisers"
    try:
        blas.chosen_blas()
    except NSNError as error:
        return str(error)
    return None


def make_stepper(net, config, state, steps, engine, targets, shape):
    """The compiled step where nothing is in its way, else the engine's operations; `shape` is that of a batch."""
    if obstacle(net, config, targets) is None:
        return CompiledSteps(net, config, state, steps, shape)
    return OperationSteps(net, config, state, steps, engine)
