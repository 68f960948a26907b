"""A pytest plug-in: one test for each case of the golden suite.

    pytest --nsn-port mymodule:port

It lies outside the package, so that without the option pytest loads nothing of it: no NumPy, no suite.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser):
    """The options; only --nsn-port switches the plug-in on."""
    group = parser.getgroup("nsn", "golden suite of nested subspace networks")
    group.addoption(
        "--nsn-port", metavar="PORT", help="Check this port: FILE.py, package.module[:name] or cmd:PROGRAM."
    )
    group.addoption("--nsn-suite", metavar="DIR", type=Path, help="Folder of the suite. Default: the one that ships.")
    group.addoption("--nsn-op", metavar="GLOB", default="*", help="Only operations that match.")
    group.addoption("--nsn-lane", metavar="NAME", help="Only this lane.")
    group.addoption("--nsn-dtype", metavar="NAME", help="Only this format.")
    group.addoption("--nsn-require", metavar="GLOB", help="What matches must be covered; else it is skipped.")
    group.addoption("--nsn-time-limit", metavar="S", type=float, help="Seconds that all calls may take together.")


@pytest.hookimpl(tryfirst=True)  # before -k and -m select
def pytest_collection_modifyitems(session, config, items):
    """Add the cases to the tests that were found."""
    if config.getoption("--nsn-port") is None:
        return
    from nsn_ref.errors import NSNError

    try:
        items.extend(GoldenSuite.from_parent(session, name="golden").collect())
    except NSNError as error:
        raise pytest.UsageError(str(error)) from None


class GoldenSuite(pytest.Collector):
    """A suite and the port that is checked with it."""

    def collect(self):
        """One test for each case."""
        from nsn_ref.golden import check, ports, suite
        from nsn_ref.golden.locate import suite_dir

        option = self.config.getoption
        self.port = ports.load(option("--nsn-port"), time_limit=option("--nsn-time-limit"))
        self.cases = check.select(
            suite.load(option("--nsn-suite") or suite_dir()),
            op=option("--nsn-op"),
            lane=option("--nsn-lane"),
            dtype=option("--nsn-dtype"),
        )
        self._answers = {}
        return [GoldenCase.from_parent(self, name=case.id, case=case) for case in self.cases]

    def answer(self, case):
        """The port's answer. A program is run once, for all cases; a session up to its case, each time anew."""
        from nsn_ref.golden.ports import PythonPort

        if not isinstance(self.port, PythonPort):
            if not self._answers:
                self._answers = {asked.id: answer for asked, answer in self.port.answers(self.cases)}
            return self._answers[case.id]
        calls = [case]
        if case.session is not None:
            session = [other for other in self.cases if other.session == case.session]
            calls = session[: session.index(case) + 1]
        return [answer for _, answer in self.port.answers(calls)][-1]


class GoldenCase(pytest.Item):
    """One case."""

    def __init__(self, *, case, **options):
        super().__init__(**options)
        self.case = case

    def runtest(self):
        """Ask the port, and judge its answer."""
        from nsn_ref.golden import check

        answered = Answered(self.parent.port, self.parent.answer(self.case))
        (result,) = check.check(answered, [self.case]).results
        if result.status == "failed":
            raise WrongAnswerError(result)
        if result.status != "passed":
            self._not_covered(result.status)

    def _not_covered(self, status):
        from fnmatch import fnmatchcase

        required = self.config.getoption("--nsn-require")
        if required and (fnmatchcase(self.case.op, required) or fnmatchcase(self.case.id, required)):
            pytest.fail(f"{self.case.id} is required: {status}", pytrace=False)
        pytest.skip(status)

    def repr_failure(self, excinfo):
        """What `nsn-ref golden check` prints of the failure."""
        if isinstance(excinfo.value, WrongAnswerError):
            from nsn_ref.golden import report

            return report.failure(excinfo.value.args[0])
        return super().repr_failure(excinfo)

    def reportinfo(self):
        """Where the test comes from, as pytest prints it."""
        return self.path, None, f"golden: {self.case.id}"


class WrongAnswerError(Exception):
    """A case failed; its argument is the CaseResult."""


class Answered:
    """A port whose answer is known."""

    def __init__(self, port, answer):
        self.name, self.contract, self._answer = port.name, port.contract, answer

    def answers(self, cases):
        """The one answer."""
        for case in cases:
            yield case, self._answer
