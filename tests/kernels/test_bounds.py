"""The kernels' tests once more with every index checked against its array's bounds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BODY = """
import numpy as np
from nsn_ref.kernels.common import compiled

@compiled
def beyond(x):
    return x[x.size]

beyond(np.ones(3))
"""


def checked(tmp_path, *command):
    """Run Python with Numba's bounds checks on and a cache of its own: the usual one holds code without them."""
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays(tmp_path):
    """Rank 1, batch 1, R above min(d_in, d_out) and empty batches are among what these tests draw."""
    found = checked(
        tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS), str(TESTS.parent / "inference")
    )
    assert found.returncode == 0, found.stdout[-4000:]


@pytest.mark.slow
def test_the_check_is_on(tmp_path):
    script = tmp_path / "beyond.py"
    script.write_text(BODY)
    assert "IndexError" in checked(tmp_path, str(script)).stderr
