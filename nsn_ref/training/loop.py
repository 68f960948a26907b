"""The training loop: draw a batch and ranks, step, record, keep a checkpoint."""

import contextlib
import hashlib
import math
import time
import warnings

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError, DivergedError, DTypeError, OptionError
from nsn_ref.nets.chain import Chain
from nsn_ref.nets.regularisers import check_regularisers
from nsn_ref.training import samplers
from nsn_ref.training.checkpoint import has_checkpoint
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.curricula import step_ranks
from nsn_ref.training.engines import check_engine, load_engine
from nsn_ref.training.held_out import save_held_out
from nsn_ref.training.metrics import MetricsLog
from nsn_ref.training.progress import progress_bar
from nsn_ref.training.run import Run, environment, read_run, ready_folder, save_run
from nsn_ref.training.step import start
from nsn_ref.training.steppers import make_stepper
from nsn_ref.training.weighting import check_objective


def train(
    net, data, config, *, params=None, out=None, resume=False, held_out=None, progress=True, callback=None
):  # fmt: skip
    """Train a network.

    Parameters
    ----------
    net : MLP, ConvNet or Decoder
    data : (x, targets)
        All rows: floats in the shape of the network's input, and labels (or targets in the shape of the logits). Of a
        Decoder tokens (n, T) and labels (n, T), for a start the tokens themselves; -100 where none is to be predicted.
    config : TrainConfig
    params : dict of str to ndarray, optional
        What to start from, as surgery gives it. Default: drawn from the seed.
    out : str or Path, optional
        Folder for the checkpoint and the metrics; it is made. Without it nothing is written.
    resume : bool
        Continue the run in `out` from its checkpoint, or start one if there is none. At the same BLAS and thread count
        the weights come out bit for bit as without the interruption.
    held_out : (x, targets), optional
        Rows that are not trained on, to keep in `out` for `nsn-ref frontier`.
    progress : bool
        Show a bar on standard error.
    callback : callable, optional
        ``callback(record, params)`` after each step: the step's line of the metrics, and a copy of the parameters.

    Returns
    -------
    Run

    Raises
    ------
    OptionError, RankError, DataError, ShapeError, DTypeError, NonFiniteError, LabelError
        Before anything is written.
    DivergedError
        The last checkpoint is kept.
    FileError
    """
    _check_kinds(net, config)
    if out is None and (resume or held_out is not None):
        raise OptionError("train: out is None, expected a folder beside resume or held_out")
    engine = load_engine(config.engine)
    check_engine(engine, net)
    x, targets = check_data("data", net, data, config)
    kept = None if held_out is None else check_data("held_out", net, held_out, config)
    steps = config.total_steps(samplers.steps_per_epoch(len(x), config.batch_size))
    check_length(net, config, steps)
    if params is not None:
        net.check("train", params)
    fingerprint = _sha256(x, targets, *(params or {}).values())  # of all that the run is given beside options
    state, records, folder = _begin(net, config, params, fingerprint, out, resume)
    if kept is not None:
        save_held_out(folder, *kept)
    log = MetricsLog(folder, records)
    shape = (min(config.batch_size, len(x)), *x.shape[1:])
    stepper = make_stepper(net, config, state, steps, engine, targets, shape)
    del state  # the stepper has it, or a copy
    before, began = records[-1]["seconds"] if records else 0.0, time.perf_counter()

    def save():
        if folder is not None:
            log.sync()
            save_run(folder, net, config, stepper.state, steps, fingerprint)

    def record():
        seconds = round(before + time.perf_counter() - began, 6)
        log.append(_record(stepper, config, steps) | {"seconds": seconds})
        return log.records[-1]

    shown = progress_bar(progress, stepper.state.step, steps)
    with contextlib.closing(stepper), contextlib.closing(log), shown as show:
        save()
        try:
            for _ in run_steps(net, (x, targets), config, stepper):
                show(record())
                if callback is not None:
                    callback(log.records[-1], {name: p.copy() for name, p in stepper.state.params.items()})
                if stepper.state.step % config.checkpoint_every == 0 or stepper.state.step == steps:
                    save()
        except KeyboardInterrupt:
            if stepper.state.step > len(log.records):
                record()
            save()
            raise
        except DivergedError as error:
            kept = "" if folder is None else f"; {folder} keeps the last checkpoint"
            raise DivergedError(f"{error}{kept}") from error
        return Run(net, stepper.state.params, config, log.records, steps)


def run_steps(net, data, config, stepper):
    """Take the steps that are left; yields the number of steps done after each.

    Raises
    ------
    DivergedError
    """
    x, targets = data
    anchor, variants = config.trained_ranks(net.R)
    step = stepper.state.step
    while step < stepper.steps:
        rows = samplers.batch(config.seed, step, len(x), config.batch_size)
        u = samplers.generator(config.seed, "ranks", step).random()
        ranks = step_ranks(config.curriculum, step, stepper.steps, variants, anchor, u)
        stepper.advance(x[rows], targets[rows], ranks)
        step += 1
        yield step


def _record(stepper, config, steps):
    """The line of the metrics of the last finished step."""
    state, last = stepper.state, stepper.last
    record = {
        "step": state.step,
        "lr": last.lr,
        "ranks": list(last.ranks),
        "losses": [float(loss) for loss in last.losses],
        "total": last.total,
        "grad_norm": last.grad_norm if math.isfinite(last.grad_norm) else None,
    }
    if "s" in state.params and (state.step % config.log_s_every == 0 or state.step == steps):
        record["s"] = [float(s_r) for s_r in state.params["s"]]
    return record


def _check_kinds(net, config):
    if not isinstance(net, Chain):
        raise OptionError(f"train: net is {net!r}, expected an MLP, a ConvNet or a Decoder")
    if not isinstance(config, TrainConfig):
        raise OptionError(f"train: config is {config!r}, expected a TrainConfig")


def check_data(name, net, data, config):
    """Check that rows fit the network and the loss; return them in the dtype of the run.

    Parameters
    ----------
    name : str
        Of the argument, for the messages.
    net : Chain
    data : (x, targets)
    config : TrainConfig

    Returns
    -------
    x, targets : ndarray

    Raises
    ------
    DataError, ShapeError, DTypeError, NonFiniteError, LabelError
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise DataError(f"train: {name} is a {type(data).__name__}, expected a pair (x, targets)")
    x, targets = data
    net.check_input("train", x)
    if not isinstance(targets, np.ndarray):
        raise DTypeError(f"train: targets is a {type(targets).__name__}, expected a numpy.ndarray")
    rows = len(targets) if targets.ndim else 0
    if len(x) == 0 or len(x) != rows:
        raise DataError(f"train: x has {len(x)} rows and targets {rows}, expected as many, and at least one")
    net.check_targets("train", targets, config.loss, net.logits_shape(x.shape))
    return _rounded("x", x, config.dtype), _rounded("targets", targets, config.dtype)


def check_length(net, config, steps):
    """Check the options that depend on the network and on the length of the training.

    Raises
    ------
    OptionError, RankError
    """
    config.trained_ranks(net.R)
    if config.warmup_steps > steps:
        raise OptionError(f"train: warmup_steps is {config.warmup_steps}, expected at most the {steps} steps")
    check_objective("train", net, config.objective)
    check_regularisers("train", config.regularisers, net)


def _begin(net, config, params, fingerprint, out, resume):
    """The state, the records so far, and the folder: of a new run, or of the one to resume."""
    folder = None if out is None else ready_folder(out, resume)
    if folder is None or not has_checkpoint(folder):
        return start(net, config, params), [], folder
    run, state, facts = read_run(folder)
    for name, got, expected in (
        ("net", net, run.net),
        *((f"config.{key}", value, run.config.to_json()[key]) for key, value in config.to_json().items()),
        ("data", fingerprint, facts["data_sha256"]),
    ):
        if got != expected:
            raise OptionError(f"train: {name} is {got!r}, expected {expected!r} as in the run to resume in {folder}")
    if facts["environment"] != environment():
        warnings.warn(f"train: {folder} was made with other versions or thread counts; bits may differ", stacklevel=3)
    return state, run.metrics, folder


def _rounded(name, array, dtype):
    """Floats in the dtype of the run, checked again: a float64 may be too large for a float32. Integers as they are."""
    if array.dtype.kind in "iu":
        return array
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    checks.arrays("train", **{name: (array, " ".join(map(str, array.shape)))})
    return array


def _sha256(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
