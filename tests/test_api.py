"""The public API: what is promised is there, under one version number."""

import tomllib
from pathlib import Path

import nsn_ref
from nsn_ref import ops


def test_every_public_name_exists():
    for module in (nsn_ref, ops):
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == nsn_ref.__version__
