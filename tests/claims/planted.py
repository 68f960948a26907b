"""Defects to plant in an operation while a claim's test runs, which must then fail."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import pytest
from hypothesis import Phase, settings

# Many examples, as what Hypothesis draws depends on the modules that are loaded.
UNTIL_THE_FIRST_FAILURE = settings(
    settings.get_profile("nsn"),
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    max_examples=400,
)


class Defect(NamedTuple):
    """A wrong version of one function, and the tests of claims that must notice it."""

    mistake: str  # in a few words; the id of the test
    module: ModuleType  # where the tests look the function up
    function: str
    wrong: Callable  # from the right function to the wrong one
    noticed_by: tuple  # test functions


def is_claim_test(function):
    """Whether a function is a test that is marked with a claim."""
    return any(mark.name == "claim" for mark in getattr(function, "pytestmark", ()))


def claim_tests(*modules):
    """The tests of claims in some modules."""
    return [test for module in modules for test in vars(module).values() if is_claim_test(test)]


def assert_noticed(defect, test):
    """While the defect is planted, the test fails by an assertion: a crash would prove nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defect.module, defect.function, defect.wrong(getattr(defect.module, defect.function)))
        if hasattr(test, "hypothesis"):  # how simple the failing example is does not matter
            patch.setattr(test, "_hypothesis_internal_use_settings", UNTIL_THE_FIRST_FAILURE)
        with pytest.raises(AssertionError):
            test()
