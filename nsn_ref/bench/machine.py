"""What a benchmark runs on: the processor, BLAS, Numba, and the engines that are installed."""

import importlib.metadata
import os
import platform
from pathlib import Path

import nsn_ref
from nsn_ref.bench.engines import ENGINES, version
from nsn_ref.blas import chosen_blas, numpy_blas


def info():
    """As a dict that JSON can hold.

    Returns
    -------
    dict
        ``"processor"``, ``"cores"``, ``"system"``, ``"blas"`` (NumPy's), ``"step_blas"`` (that of the compiled step),
        ``"versions"`` and ``"peers"``; the last by engine, None for what is not installed.
    """
    from nsn_ref.experiments.digits import processor

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    return {
        "processor": processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "blas": _library(numpy_blas()) | {"threads": numpy_blas().threads.get_num_threads()},
        "step_blas": _library(chosen_blas()),
        "versions": {"nsn_ref": nsn_ref.__version__, "python": platform.python_version()} | versions,
        "peers": {name: version(name) for name, engine in ENGINES.items() if engine.distribution},
    }


def _library(blas):
    return {"library": blas.name, "version": blas.version, "file": Path(blas.path).name}


def lines(machine):
    """The same for the terminal: pairs of what and which."""
    blas, step, absent = machine["blas"], machine["step_blas"], "not installed"
    return [
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("BLAS", f"{blas['library']} {blas['version']}, {blas['threads']} threads, {blas['file']}"),
        ("BLAS of the compiled step", f"{step['library']} {step['version']}, {step['file']}"),
        *machine["versions"].items(),
        *((name, version or absent) for name, version in machine["peers"].items()),
    ]
