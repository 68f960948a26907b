"""Patches and their adjoint, which both convolutions stand on."""

import numpy as np
import pytest
from helpers import random_fractions

from nsn_ref.patches import patches, sum_of_patches


@pytest.mark.parametrize("kernel", [(1, 1), (3, 2), (4, 5)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_sums_are_the_adjoint_of_patches_exactly(rng, kernel, stride, padding):
    x = random_fractions(rng, 2, 3, 4, 5)
    seen = patches(x, kernel, stride, padding)
    v = random_fractions(rng, *seen.shape)
    assert (seen * v).sum() == (x * sum_of_patches(v, x.shape, kernel, stride, padding)).sum()


def test_a_patch_is_the_window_channel_by_channel():
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    seen = patches(x, (2, 3), (1, 1), (0, 0))
    assert seen.shape == (1, 2, 2, 12)
    assert (seen[0, 1, 0] == x[0, :, 1:3, 0:3].ravel()).all()
