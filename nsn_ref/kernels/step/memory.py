"""Memory by whole cache lines: members of a team then never write to one line, and vectors begin where lines do."""

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from nsn_ref.kernels.common import compiled

LINE, WIDTH = 64, 16  # bytes of a cache line; numbers of float32 in one, of float64 in two


def whole_lines(size):
    """Numbers up to the end of the last line that `size` numbers begin."""
    return -(-size // WIDTH) * WIDTH


def aligned(shape, dtype):
    """Zeros, the first at the beginning of a line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].view(dtype).reshape(shape)


@intrinsic
def _pointer(typingctx, address):
    def codegen(context, builder, signature, values):
        return builder.inttoptr(values[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uintp), codegen


@compiled
def at_address(address, size, like):
    """The array of `size` numbers at an address, of the type that another array has."""
    return carray(_pointer(address), (size,), like.dtype)
