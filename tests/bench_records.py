"""Records of benchmarks with invented times, for the tests of what is computed from them."""

from nsn_ref.bench.cells import NETS, Cell, pair


def cell_record(cell, times):
    """What `contest` returns: milliseconds by engine."""
    engines = {
        name: {"ms": list(ms)} | ({} if name == "products" else {"difference": 2e-7, "first_seconds": 1.5})
        for name, ms in times.items()
    }
    return {"cell": cell.to_json(), "name": cell.name, "engines": engines}


def step_record(times, dtype="float32"):
    """A record of `step` on as many networks as `times` has entries."""
    cells = [cell_record(pair(*net, dtype=dtype), each) for net, each in zip(NETS, times, strict=False)]
    return {"cells": cells, "peak": {"512": 200.0, "1024": 300.0}, "dtype": dtype, "threads": 2}


def sweep_record(name, times):
    """A record of a sweep: milliseconds by engine at x = 1, 2, ..."""
    count = len(next(iter(times.values())))
    cell = Cell((7, 5, 3), 4, (4,), 11)
    points = [{"x": i + 1} | cell_record(cell, {key: [ms[i]] for key, ms in times.items()}) for i in range(count)]
    return {"sweep": name, "points": points, "dtype": "float32", "threads": 2}


def machine():
    """A machine without peers."""
    return {
        "processor": "abacus",
        "cores": 2,
        "system": "Linux x86_64",
        "blas": {"library": "openblas", "version": "0.3", "file": "libopenblas.so", "threads": 2},
        "step_blas": {"library": "mkl", "version": "2026", "file": "libmkl_rt.so"},
        "versions": {"nsn_ref": "0.1.0"},
        "peers": {"torch": None, "jax": "0.10"},
    }
