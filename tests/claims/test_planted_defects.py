"""A test of the tests: each mistake that is planted in an operation is noticed, and every test notices one."""

from pathlib import Path

import pytest
from claims import defects_cost, defects_energy, defects_linear, defects_objective, defects_rounding
from claims.planted import assert_noticed, claim_tests

TABLES = (defects_linear, defects_objective, defects_energy, defects_cost, defects_rounding)
CASES = [
    pytest.param(defect, test, id=f"{family}: {defect.mistake}: {test.__name__}")
    for table in TABLES
    for family, defects in table.TABLES.items()
    for defect in defects
    for test in defect.noticed_by
]


@pytest.mark.parametrize(("defect", "test"), CASES)
def test_a_planted_defect_is_noticed(defect, test):
    assert_noticed(defect, test)


def test_every_test_of_a_claim_can_fail():
    noticing = {test for _, test in (case.values for case in CASES)}
    assert [
        test.__name__
        for test in claim_tests(*(module for table in TABLES for module in table.MODULES))
        if test not in noticing
    ] == []


def test_no_module_of_claims_is_left_out():
    files = {path.stem for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).stem}
    assert files == {module.__name__.split(".")[-1] for table in TABLES for module in table.MODULES}
