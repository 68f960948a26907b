"""Which BLAS the compiled training step multiplies with: NumPy's own, or MKL where an environment variable asks for it.

NumPy's wheels bring one OpenBLAS and SciPy's another. Here one library does all the work. Everything outside the
compiled step is NumPy's, whatever is asked for.
"""

import ctypes
import functools
import os
import site
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import NSNError, OptionError

VARIABLE, CHOICES = "NSN_REF_BLAS", ("numpy", "mkl")
LETTERS = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
SPELLINGS = ("scipy_{}gemm_64_", "{}gemm_64_", "scipy_{}gemm_", "{}gemm_")  # of OpenBLAS in wheels, and of others
POOLS = ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}")  # OpenBLAS's own functions
SEQUENTIAL = 1  # MKL's number for products that wake no threads: the members of a team are the threads


class Blas(NamedTuple):
    """A library that has ``gemm``."""

    name: str  # "openblas", "mkl", ...
    version: str
    path: str
    gemm: dict  # dtype to address
    threads: object  # of NumPy's pool: `get_num_threads`, `set_num_threads`


class Threads(NamedTuple):
    """OpenBLAS's own functions: threadpoolctl's controller finds the same ones, but looks for them at each call."""

    get_num_threads: object
    set_num_threads: object


def choice():
    """The name that the environment variable `VARIABLE` gives, "numpy" where it is not set.

    Raises
    ------
    OptionError
    """
    name = os.environ.get(VARIABLE, CHOICES[0])
    checks.choice("blas", VARIABLE, name, CHOICES)
    return name


def check():
    """Check that the BLAS which is asked for is there, and load it.

    Raises
    ------
    OptionError
    """
    if choice() == "mkl":
        mkl_blas()


def chosen_blas():
    """The BLAS of the compiled step.

    Returns
    -------
    Blas

    Raises
    ------
    OptionError
        MKL is asked for, and not installed.
    NSNError
    """
    return mkl_blas() if choice() == "mkl" else numpy_blas()


@functools.cache
def numpy_blas():
    """The BLAS that NumPy multiplies with.

    Returns
    -------
    Blas

    Raises
    ------
    NSNError
        No library that NumPy has loaded offers ``gemm`` under a known name.
    """
    np.ones((2, 2)) @ np.ones((2, 2))
    for pool in sorted(_pools(), key=lambda pool: "scipy.libs" in pool.filepath):  # NumPy's own first
        library = ctypes.CDLL(pool.filepath)
        if (gemm := _gemm(library)) is not None:
            threads = _threads(library) or pool
            return Blas(pool.internal_api, str(pool.version), pool.filepath, gemm, threads)
    raise NSNError("numpy_blas: no BLAS with gemm among the libraries that NumPy has loaded")


@functools.cache
def mkl_blas():
    """MKL as the package `mkl` of PyPI installs it.

    Returns
    -------
    Blas

    Raises
    ------
    OptionError
        It is not installed.
    NSNError
    """
    threads = numpy_blas().threads  # found before there is another library to find
    path = mkl_path()
    if path is None:
        raise OptionError(f"blas: {VARIABLE} is 'mkl', expected its libmkl_rt.so, which the extra mkl installs")
    library = ctypes.CDLL(str(path))
    library.MKL_Set_Threading_Layer(SEQUENTIAL)
    version = next(str(pool.version) for pool in _pools() if Path(pool.filepath).samefile(path))
    return Blas("mkl", version, str(path), _gemm(library), threads)


def mkl_path():
    """The file of MKL among what pip has installed; None if there is none."""
    folders = (Path(prefix, "lib") for prefix in (sys.prefix, site.getuserbase()))
    return next((path for folder in folders for path in sorted(folder.glob("libmkl_rt.so*"))), None)


def _pools():
    import threadpoolctl

    return threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers


def _gemm(library):
    """Addresses of a library's ``gemm`` by dtype; None if it has none."""
    for spelling in SPELLINGS:
        functions = {dtype: getattr(library, spelling.format(letter), None) for dtype, letter in LETTERS.items()}
        if None not in functions.values():
            return {dtype: ctypes.cast(f, ctypes.c_void_p).value for dtype, f in functions.items()}
    return None


def _threads(library):
    """OpenBLAS's functions for the size of its pool; None of another library."""
    for spelling in POOLS:
        functions = [getattr(library, spelling.format(name), None) for name in Threads._fields]
        if None not in functions:
            return Threads(*functions)
    return None
