"""An array in a file: what was written is read, whatever the rows."""

import numpy as np
import pytest

from nsn_ref.surgery.spill import Spilled


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_come_back(rng, tmp_path, dtype):
    array, spilled = np.zeros((11, 3, 5), dtype), Spilled(tmp_path / "array", (11, 3, 5), dtype)
    for start, count in ((4, 3), (0, 2), (9, 2), (5, 1)):
        rows = rng.standard_normal((count, 5, 3)).astype(dtype).swapaxes(1, 2)  # not contiguous
        array[start : start + count] = rows
        spilled.write(start, rows)
    for start, stop in ((0, None), (4, 8), (10, 99), (3, 3)):
        found = spilled.read(start, stop)
        assert found.dtype == dtype and found.shape == array[start:stop].shape and (found == array[start:stop]).all()


@pytest.mark.parametrize("size, starts", [(1, [0, 1, 2, 3, 4, 5, 6]), (6, [0, 2, 4, 6]), (8, [0, 2, 4, 6]), (99, [0])])
def test_blocks_cover_all_rows(rng, tmp_path, size, starts):
    array, spilled = rng.standard_normal((7, 3)), Spilled(tmp_path / "array", (7, 3), np.float64)
    spilled.write(0, array)
    blocks = list(spilled.blocks(size))
    assert [start for start, _ in blocks] == starts
    assert (np.concatenate([rows for _, rows in blocks]) == array).all()


def test_the_file_goes(tmp_path):
    spilled = Spilled(tmp_path / "array", (2, 3), np.float64)
    assert (tmp_path / "array").stat().st_size == 48
    spilled.remove()
    assert not any(tmp_path.iterdir())
