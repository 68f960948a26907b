"""Memory that `adapt` takes on a folder of 1 GB."""

import pytest
from adapt_memory import ALLOWED, measure


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"ranks": "0.25x"}, {"sequences": 1}, {"sequences": 1, "ranks": "0.25x"}])
def test_no_more_than_one_and_a_half_layers_and_300_mb(tmp_path, options):
    """All components, exact; random projections; both whitened on a sequence of the context's length."""
    grown = measure(tmp_path / "big", options)
    assert 0 < grown <= ALLOWED
