"""A pytest plug-in: the mark `claim`, the option `--claim`, and a closing summary of the claims that were tested."""

from pathlib import Path

import pytest
from claims_verdict import NOT_RUN, Outcome, summary, verdict, worst

from nsn_ref import claims
from nsn_ref.errors import NSNError


def pytest_addoption(parser):
    """The option, and where the ledger lies."""
    parser.getgroup("claims").addoption(
        "--claim",
        action="append",
        default=[],
        metavar="CLAIMS",
        help="Only tests of these claims: families or ids, such as LIN or LIN-4,GAU; may be repeated.",
    )
    parser.addini("claims_ledger", "the ledger of claims, relative to the root folder", default="docs/claims.toml")


def pytest_configure(config):
    """Register the mark, and the hooks that need a memory."""
    config.addinivalue_line("markers", "claim(id, ...): the test is about these claims of docs/claims.toml")
    config.pluginmanager.register(ClaimsRun(config))


class ClaimsRun:
    """Selects the tests of claims, and keeps what became of them."""

    def __init__(self, config):
        self.config = config
        self.outcomes = {}  # Outcome by test
        self.tests = {}  # those that carry a claim's mark, by claim
        self.incomplete = set()  # tests of which some parameters were deselected

    def ledger(self):
        """Every claim."""
        return claims.load(Path(self.config.rootpath, self.config.getini("claims_ledger")))

    def pytest_collection_modifyitems(self, config, items):
        """Keep the tests of the claims that --claim names."""
        names = [name.strip() for option in config.getoption("--claim") for name in option.split(",")]
        if not names:
            return
        try:
            wanted = {claim.id for claim in claims.select(self.ledger(), names)}
        except NSNError as error:
            raise pytest.UsageError(str(error)) from None
        config.hook.pytest_deselected(items=[item for item in items if not wanted & set(_marked(item))])
        items[:] = [item for item in items if wanted & set(_marked(item))]

    def pytest_deselected(self, items):
        """A test that lacks some of its parameters verifies nothing."""
        self.incomplete |= {_test(item.nodeid) for item in items}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item):
        """Send the claims along with the report: under xdist another process sums up."""
        report = yield
        report.claims = _marked(item)
        report.incomplete = _test(item.nodeid) in self.incomplete
        return report

    def pytest_runtest_logreport(self, report):
        """Keep the worst of a test's phases and parameters."""
        test = _test(report.nodeid)
        for name in getattr(report, "claims", ()):
            self.tests.setdefault(name, {})[test] = None  # a set that keeps the order
            self.outcomes[test] = worst([self.outcomes.get(test, Outcome("verified")), _outcome(report)])

    def pytest_terminal_summary(self, terminalreporter):
        """Say which claims the run has verified, of those that it tested."""
        if not self.tests:
            return
        terminalreporter.section("claims")
        try:
            listed = {claim.id: claim.tests for claim in self.ledger()}
        except NSNError as error:
            terminalreporter.line(f"the ledger cannot be read: {error}")
            return
        order = sorted(self.tests, key=[*listed, *self.tests].index)
        tests = {name: [*self.tests[name], *listed.get(name, ())] for name in order}
        for line in summary({name: verdict(tests[name], self.outcomes) for name in order}):
            terminalreporter.line(line)


def _marked(item):
    return [name for mark in item.iter_markers("claim") for name in mark.args]


def _test(nodeid):
    """A test without its parameters, as the ledger names it."""
    return nodeid.split("[")[0]


def _outcome(report):
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        return Outcome("failed", (crash.message if crash else report.longreprtext).split("\n")[0])
    if report.skipped:
        reason = getattr(report, "wasxfail", None) or report.longrepr[-1]
        return Outcome("skipped", reason.removeprefix("Skipped: "))
    return Outcome(NOT_RUN, "some of its parameters were deselected") if report.incomplete else Outcome("verified")
