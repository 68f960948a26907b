"""The mark `claim`, the option --claim and the closing summary, in runs of pytest on a small ledger."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
TESTS = Path(__file__).parent
ENTRY = """[[claim]]
id = "{id}"
sentence = "It holds."
formula = "x = x"
source = "ours"
status = "proved"
theorems = []
tests = ["test_them.py::{test}"]
functions = []
page = "it.md"
"""
LEDGER = "\n".join(
    ENTRY.format(id=name, test=test)
    for name, test in [("LIN-1", "test_each"), ("LIN-2", "test_slow"), ("GAU-1", "test_skipped"), ("GAU-2", "test_bad")]
)
MODULE = """
import pytest

@pytest.mark.claim("LIN-1")
@pytest.mark.parametrize("x", [1, 2])
def test_each(x):
    pass

@pytest.mark.claim("LIN-1", "LIN-2")
def test_both():
    pass

@pytest.mark.slow
@pytest.mark.claim("LIN-2")
def test_slow():
    pass

@pytest.mark.claim("GAU-1")
def test_skipped():
    pytest.skip("Coq is not installed")

@pytest.mark.claim("GAU-2")
def test_bad():
    assert 1 + 1 == 3

def test_other():
    pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest on the small ledger; what it prints."""
    pytester.makefile(".toml", ledger=LEDGER)
    pytester.makeini("[pytest]\nclaims_ledger = ledger.toml\nmarkers = slow\naddopts = -p claims_plugin")
    pytester.makepyfile(test_them=MODULE)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)  # for the workers of xdist

    def output(*arguments, status):
        result = pytester.runpytest("--strict-markers", "-p", "no:cacheprovider", *arguments)
        assert result.ret == status, result.stdout.str()
        return result.stdout.str() + result.stderr.str()

    return output


SUMMARY = [
    "claims: 1 verified, 1 skipped, 1 failed, 1 partly run",
    "GAU-2 failed: test_them.py::test_bad: assert (1 + 1) == 3",
    "GAU-1 skipped: test_them.py::test_skipped: Coq is not installed",
    "LIN-2 partly run: test_them.py::test_slow: not run",
]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "xdist"])
def test_the_summary_counts_what_ran(run, workers):
    output = run("-m", "not slow", *workers, status=1)
    assert "\n".join(SUMMARY) in output


def test_the_mark_selects_and_slow_tests_complete_a_claim(run):
    output = run("-m", "claim", status=1)
    assert "claims: 2 verified, 1 skipped, 1 failed, 0 partly run" in output and "test_other" not in output
    assert "1 failed, 4 passed, 1 skipped, 1 deselected" in output


def test_the_option_selects_families_and_ids(run):
    assert "3 passed, 4 deselected" in run("--claim", "LIN-1", status=0)
    assert "4 passed, 3 deselected" in run("--claim", "LIN", status=0)
    assert "3 passed, 1 skipped, 3 deselected" in run("--claim", "LIN-1,GAU-1", status=0)
    assert "3 passed, 1 skipped, 3 deselected" in run("--claim", "LIN-1", "--claim", "GAU-1", status=0)


def test_a_claim_that_does_not_exist_is_refused(run):
    assert "got LIN-7, expected ids, or families of LIN, GAU" in run("--claim", "LIN-7", status=4)


def test_a_test_without_some_of_its_parameters_verifies_nothing(run):
    output = run("-k", "test_both or 1", "--claim", "LIN-1", status=0)
    assert "LIN-1 partly run: test_them.py::test_each: some of its parameters were deselected" in output


def test_a_run_without_claims_has_no_summary(run):
    assert "claims: " not in run("-k", "other", status=0)
