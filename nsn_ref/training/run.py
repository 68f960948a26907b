"""A run on disk: its checkpoint, its metrics, and what they were made with."""

import dataclasses
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nsn_ref
from nsn_ref import blas, checks
from nsn_ref.errors import FileError, NSNError, OptionError
from nsn_ref.files import made_folder, remove_leftovers
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.decoder import Decoder
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.metrics import read_metrics
from nsn_ref.training.step import TrainState

NETS = {"MLP": MLP, "ConvNet": ConvNet, "Decoder": Decoder}


class Run(NamedTuple):
    """A network and how it was trained."""

    net: object  # one of NETS
    params: dict  # str to ndarray
    config: TrainConfig
    metrics: list  # one dict for each step done
    steps: int  # length of the whole training; the run is finished if as many are done


def load_run(folder):
    """Read a run, finished or not.

    Parameters
    ----------
    folder : str or Path
        What `train` was given as `out`.

    Returns
    -------
    Run

    Raises
    ------
    FileError
    """
    run, _, _ = read_run(folder)
    return run


def read_run(folder):
    """The run, its state, and the facts of its checkpoint.

    Raises
    ------
    FileError
    """
    arrays, facts = load_checkpoint(folder)
    if missing := {"steps", "net", "config", "data_sha256", "environment"} - facts.keys():
        raise FileError(f"{folder}: the checkpoint does not describe a run: it has no {sorted(missing)[0]!r}")
    try:
        net, config = net_from_json(facts["net"]), TrainConfig.from_json(facts["config"])
        state = TrainState.from_arrays(facts["step"], arrays)
        steps = facts["steps"]
        checks.integer("load_run", "steps", steps, 1)
        checks.integer("load_run", "step", state.step, 0, steps)
        net.check("load_run", state.params)
    except (NSNError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{folder}: the checkpoint does not describe a run: {error}") from error
    return Run(net, state.params, config, read_metrics(folder, state.step), steps), state, facts


def save_run(folder, net, config, state, steps, data_sha256):
    """Write a run's checkpoint.

    Raises
    ------
    FileError
    """
    facts = {
        "steps": steps,
        "net": net_to_json(net),
        "config": config.to_json(),
        "data_sha256": data_sha256,
        "environment": environment(),
    }
    save_checkpoint(folder, state.step, state.arrays(), facts)


def net_to_json(net):
    """A network as a dict that JSON can hold."""
    return {"type": type(net).__name__, **dataclasses.asdict(net)}


def net_from_json(values):
    """The network that `net_to_json` wrote.

    Raises
    ------
    OptionError
    """
    values = dict(values)
    kind = values.pop("type", None)
    if kind not in NETS:
        raise OptionError(f"net_from_json: type is {kind!r}, expected one of {', '.join(map(repr, NETS))}")
    return NETS[kind](**values)


def environment():
    """Versions, and NumPy's BLAS with its thread count, and MKL's if it is asked for: equal ones give equal bits.

    SciPy may bring a BLAS of its own, which nothing here calls; it would be listed or not as SciPy is loaded or not.
    """
    import threadpoolctl

    blas.check()
    pools = [
        {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
        for pool in sorted(threadpoolctl.threadpool_info(), key=lambda pool: pool["internal_api"])
        if pool["user_api"] == "blas" and Path(pool["filepath"]).parent.name != "scipy.libs"
    ]
    versions = {"nsn_ref": nsn_ref.__version__, "numpy": np.__version__, "python": platform.python_version()}
    return {"versions": versions, "machine": platform.machine(), "blas": pools}


def ready_folder(folder, resume):
    """Make the folder of a run; refuse one that holds a run which is not to be resumed.

    Raises
    ------
    OptionError, FileError
    """
    folder = made_folder(folder)
    if has_checkpoint(folder) and not resume:
        raise OptionError(f"train: out is {str(folder)!r}, which holds a run; expected another folder, or resume")
    remove_leftovers(folder)
    return folder
