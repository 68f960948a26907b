"""An array in a file, of which a few rows at a time are in memory."""

import math

import numpy as np


class Spilled:
    """Zeros at first, then what is written.

    Parameters
    ----------
    path : Path
        Of a new file, on a disk: the system's temporary folder may lie in memory.
    shape : tuple of int
    dtype : dtype

    Raises
    ------
    OSError
        Also of the methods: there is no space left, say.
    """

    def __init__(self, path, shape, dtype):
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self._row = math.prod(shape[1:])
        with path.open("wb") as file:
            file.truncate(shape[0] * self._row * self.dtype.itemsize)

    def read(self, start=0, stop=None):
        """A copy of some rows."""
        rows = slice(start, stop).indices(self.shape[0])
        count = len(range(*rows))
        offset = rows[0] * self._row * self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, count * self._row, offset=offset).reshape(count, *self.shape[1:])

    def blocks(self, size):
        """Pairs (number of the first row, copy of some rows), of about so many elements."""
        step = max(1, size // self._row)
        for start in range(0, self.shape[0], step):
            yield start, self.read(start, start + step)

    def write(self, start, rows):
        """Put rows in the place of those from `start` on."""
        with self.path.open("r+b") as file:
            file.seek(start * self._row * self.dtype.itemsize)
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def remove(self):
        """Remove the file."""
        self.path.unlink()
