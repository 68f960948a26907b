"""What the kernels share: how a loop is compiled, and which arrays it takes.

Loops are serial. Threads bring nothing at the sizes of one layer (waking them costs more than 50 us; an AdamW step over
a million numbers takes 500 us), and Numba's default thread pool beside that of BLAS makes both slow: a step that
alternates between them was measured 30 times slower. Without threaded loops no such pool is ever started.

What a loop is given is contiguous, aligned and writable, so that one compiled form per dtype serves every input.
"""

import contextlib
from pathlib import Path

import numba
import numpy as np

from nsn_ref.errors import DTypeError, ShapeError

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def compiled(loop):
    """Compile a loop over arrays; the Python function stays callable as ``py_func``.

    The machine code is cached on disk. There is no fastmath: it deletes NaN. Division by zero gives infinity, as in
    NumPy; the check that Python makes instead would also stop LLVM from vectorising. Loops run without Python's lock.
    """
    options = {"error_model": "numpy", "nogil": True}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(**options)(loop)


def bound(function, *arguments):
    """A compiled function for arguments of these types, without the search for its machine code at each call.

    Nothing looks at what it is given: an argument of another type is taken for one of these.
    """
    types = tuple(map(numba.typeof, arguments))
    function.compile(types)
    return function.overloads[types].entry_point


def drop_stale_code(package, kernels):
    """Remove machine code cached in a package that is older than any source file of the kernels.

    Numba looks at the file of a function only, and would go on using code into which it once inlined what other files
    said before.
    """
    newest = max(path.stat().st_mtime_ns for path in kernels.rglob("*.py"))
    for path in package.rglob("__pycache__/*.nb[ci]"):
        with contextlib.suppress(OSError):  # another process was faster, or the folder cannot be written
            if path.stat().st_mtime_ns < newest:
                path.unlink()


drop_stale_code(Path(__file__).parents[1], Path(__file__).parent)


def floats(function, **arrays):
    """Check that arrays are all float32 or all float64.

    Raises
    ------
    DTypeError
    """
    first = None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DTypeError(f"{function}: {name} is a {type(array).__name__}, expected a numpy.ndarray")
        if first is None and array.dtype in FLOATS:
            first = array
        if first is None or array.dtype != first.dtype:
            expected = "float32 or float64" if first is None else f"{first.dtype} as the arguments before it"
            raise DTypeError(f"{function}: {name} has dtype {array.dtype}, expected {expected}")


def shapes(function, **arrays):
    """Check shapes: ``name=(array, shape)``.

    Raises
    ------
    ShapeError
    """
    for name, (array, shape) in arrays.items():
        if array.shape != shape:
            raise ShapeError(f"{function}: {name} has shape {array.shape}, expected {shape}")


def linear(function, x, A, B, b):
    """Check the arguments of a nested linear layer.

    Raises
    ------
    DTypeError, ShapeError
    """
    floats(function, x=x, A=A, B=B, b=b)
    R, d_out = A.shape[0], B.shape[0]
    shapes(function, A=(A, (R, x.shape[-1])), B=(B, (d_out, R)), b=(b, (d_out,)))


def output(function, out, shape, dtype, name="out"):
    """`out` if it is given and fits, else a new array.

    Raises
    ------
    DTypeError, ShapeError
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.carray:
        raise DTypeError(f"{function}: {name} is no contiguous and writable array of {dtype}")
    shapes(function, **{name: (out, shape)})
    return out


def outputs(function, out, dtype, *expected):
    """The arrays of a tuple `out` if it is given and fits, else new ones, one for each of the expected shapes.

    Raises
    ------
    DTypeError, ShapeError
    """
    if out is None:
        return tuple(np.empty(shape, dtype) for shape in expected)
    if len(out) != len(expected):
        raise ShapeError(f"{function}: out has {len(out)} arrays, expected {len(expected)}")
    return tuple(
        output(function, array, shape, dtype, f"out[{i}]")
        for i, (array, shape) in enumerate(zip(out, expected, strict=True))
    )


def plain(array):
    """The array itself if it is contiguous, aligned and writable, else a copy that is."""
    return array if array.flags.carray else array.copy()


def flat(array):
    """The same numbers on one axis, contiguous, aligned and writable."""
    return plain(array).reshape(-1)
