"""What a benchmark runs on: the processor, BLAS, Numba, and the engines that are installed."""

import importlib.metadata
import os
import platform
from pathlib import Path

import nsn_ref
from nsn_ref.bench.engines import ENGINES, installed


def info():
    """As a dict that JSON can hold.

    Returns
    -------
    dict
        ``"processor"``, ``"cores"``, ``"system"``, ``"blas"``, ``"versions"`` and ``"peers"``; the last by engine,
        None for what is not installed.
    """
    from nsn_ref.experiments.digits import processor
    from nsn_ref.kernels.step.blas import numpy_blas

    blas = numpy_blas()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    return {
        "processor": processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "blas": {
            "library": blas.name,
            "version": blas.version,
            "file": Path(blas.path).name,
            "threads": blas.threads.num_threads,
        },
        "versions": {"nsn_ref": nsn_ref.__version__, "python": platform.python_version()} | versions,
        "peers": {name: version(name) for name, engine in ENGINES.items() if engine.needs},
    }


def version(name):
    """The version of an engine's framework; None if it is not installed."""
    return importlib.metadata.version(ENGINES[name].distribution) if installed(name) else None


def lines(machine):
    """The same for the terminal: pairs of what and which."""
    blas, absent = machine["blas"], "not installed"
    return [
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("BLAS", f"{blas['library']} {blas['version']}, {blas['threads']} threads, {blas['file']}"),
        *machine["versions"].items(),
        *((name, version or absent) for name, version in machine["peers"].items()),
    ]
