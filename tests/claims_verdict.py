"""What the outcomes of tests say about the claims that they are about.

    python tests/claims_verdict.py REPORT.xml ...

judges every claim of the ledger from the merged reports (`pytest --junitxml`) of several runs, which need not have run
the same tests; exit status 1 unless all are verified.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from nsn_ref import claims

NOT_RUN = "partly run"
WORST_FIRST = "failed", "skipped", NOT_RUN, "verified"


class Outcome(NamedTuple):
    """What became of a test: the worst over its phases and parameters."""

    status: str  # one of WORST_FIRST
    reason: str = ""


def worst(outcomes):
    """The first of the worst."""
    return min(outcomes, key=lambda outcome: WORST_FIRST.index(outcome.status))


def verdict(tests, outcomes):
    """The worst outcome of a claim's tests, with the test before its reason.

    Parameters
    ----------
    tests : sequence of str
    outcomes : dict of Outcome by test
        A test that is missing was not run.

    Returns
    -------
    Outcome
    """
    if not tests:
        return Outcome(NOT_RUN, "it has no test")
    missing = Outcome(NOT_RUN, "not run")
    test, outcome = min(
        ((test, outcomes.get(test, missing)) for test in tests), key=lambda pair: WORST_FIRST.index(pair[1].status)
    )
    return outcome if outcome.status == "verified" else Outcome(outcome.status, f"{test}: {outcome.reason}")


def summary(verdicts):
    """Lines: how many claims are verified, skipped, failed; then each that is not verified, with the reason.

    Parameters
    ----------
    verdicts : dict of Outcome by claim
    """
    counts = {status: sum(v.status == status for v in verdicts.values()) for status in WORST_FIRST}
    yield "claims: " + ", ".join(f"{counts[s]} {s}" for s in ("verified", "skipped", "failed", NOT_RUN))
    for status in WORST_FIRST[:-1]:
        for name, outcome in verdicts.items():
            if outcome.status == status:
                yield f"{name} {status}: {outcome.reason}"


def from_reports(paths):
    """Outcomes by test. What is skipped in one run may pass in another; what fails in one has failed."""
    runs = {}
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            runs.setdefault((case.get("classname"), case.get("name")), []).append(_of_case(case))
    outcomes = {}
    for (module, name), of_case in runs.items():
        test = f"{module.replace('.', '/')}.py::{name.split('[')[0]}"
        outcomes[test] = worst([outcomes.get(test, Outcome("verified")), _over_runs(of_case)])
    return outcomes


def _over_runs(outcomes):
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    return failed[0] if failed else max(outcomes, key=lambda outcome: WORST_FIRST.index(outcome.status))


def _of_case(case):
    for tag, status in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if (element := case.find(tag)) is not None:
            return Outcome(status, element.get("message", "").split("\n")[0])
    return Outcome("verified")


def main(paths):
    """Print the summary of all claims; the exit status."""
    outcomes = from_reports(map(Path, paths))
    verdicts = {claim.id: verdict(claim.tests, outcomes) for claim in claims.load()}
    print(*summary(verdicts), sep="\n")
    return int(any(outcome.status != "verified" for outcome in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
