"""A claim is verified only if every test of it ran and passed, over all reports together."""

import claims_verdict
import pytest
from claims_verdict import Outcome, from_reports, verdict

PASSED, FAILED, SKIPPED = "", "<failure message='no&#10;more'/>", "<skipped message='no Coq'/>"


@pytest.fixture
def report(tmp_path):
    """Write a report of the tests with these names."""

    def write(name, **cases):
        tests = (f'<testcase classname="tests.test_a" name="{t}">{inside}</testcase>' for t, inside in cases.items())
        path = tmp_path / f"{name}.xml"
        path.write_text(f"<testsuites><testsuite>{''.join(tests)}</testsuite></testsuites>")
        return path

    return write


def test_the_worst_test_decides():
    outcomes = {"good": Outcome("verified"), "skipped": Outcome("skipped", "no Coq"), "bad": Outcome("failed", "boom")}
    assert verdict(["good"], outcomes) == Outcome("verified")
    assert verdict(["good", "gone"], outcomes) == Outcome("partly run", "gone: not run")
    assert verdict(["good", "gone", "skipped"], outcomes) == Outcome("skipped", "skipped: no Coq")
    assert verdict(["skipped", "bad"], outcomes) == Outcome("failed", "bad: boom")
    assert verdict([], outcomes).status == "partly run"


def test_what_is_skipped_in_one_run_may_pass_in_another(report):
    first, second = report("first", test_x=SKIPPED, test_y=PASSED), report("second", test_x=PASSED, test_y=FAILED)
    assert from_reports([first])["tests/test_a.py::test_x"] == Outcome("skipped", "no Coq")
    merged = from_reports([first, second])
    assert merged["tests/test_a.py::test_x"] == Outcome("verified")
    assert merged["tests/test_a.py::test_y"] == Outcome("failed", "no")


def test_every_parameter_counts(report):
    path = report("one", **{"test_x[1]": PASSED, "test_x[2]": SKIPPED, "test_x[3]": PASSED})
    assert from_reports([path]) == {"tests/test_a.py::test_x": Outcome("skipped", "no Coq")}


@pytest.mark.parametrize(("inside", "status"), [(PASSED, 0), (FAILED, 1), (SKIPPED, 1), (None, 1)])
def test_the_exit_status_is_0_only_if_all_are_verified(report, monkeypatch, capsys, inside, status):
    claim = claims_verdict.claims.load()[0]._replace(tests=("tests/test_a.py::test_x", "tests/test_a.py::test_y"))
    monkeypatch.setattr(claims_verdict.claims, "load", lambda: [claim])
    path = report("one", test_x=PASSED, **({} if inside is None else {"test_y": inside}))
    assert claims_verdict.main([str(path)]) == status
    assert ("claims: 1 verified" in capsys.readouterr().out) == (status == 0)
