"""Settings and fixtures that every test shares; functions are in `helpers.py`."""

import hypothesis
import numpy as np
import pytest

pytest_plugins = ["claims_plugin"]

hypothesis.settings.register_profile("nsn", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("nsn")


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name: adding a test changes no other."""
    return np.random.default_rng(list(request.node.nodeid.encode()))
