"""A report for people, on a terminal, and for programs, as JSON."""

import math
from collections import Counter
from typing import NamedTuple

from nsn_ref.golden.check import NO_BOUND
from nsn_ref.golden.declared import differences
from nsn_ref.golden.suite import SCHEMA_VERSION

SHOWN = 10  # failures that are printed in full
SHOWN_REASONS = 3  # why a tensor is undecided


def verdict(report):
    """One line: how many cases passed, how much was covered, and under which contract if it is a looser one."""
    operations = report.grouped("op")
    covered = sum(any(r.status != "not covered" for r in results) for results in operations.values())
    line = (
        f"{'PASSED' if report.passed else 'FAILED'}: {report.count('passed')} of {report.covered} cases passed, "
        f"{report.count('not covered')} not covered; operations covered: {covered} of {len(operations)}"
    )
    if report.looser:
        line += f"; under a contract LOOSER than the default in {', '.join(c.name for c in report.looser)}"
    if unbounded := report.count(NO_BOUND):
        line += f"; {unbounded} cannot be judged under it"
    if undecided := len(report.undecided):
        line += f"; {undecided} tensors of stages undecided"
    if len(report.results) < report.selected:
        line += f"; stopped after {len(report.results)} of {report.selected} cases"
    if report.missing:
        line += f"; required but not covered: {len(report.missing)}, the first {report.missing[0]}"
    elif not report.covered:
        line += "; a port that covers nothing does not pass"
    return line


class Row(NamedTuple):
    """One operation, lane or format in numbers."""

    name: str
    cases: int
    passed: int
    failed: int
    not_covered: int
    undecided: int  # tensors that the stages of nets cannot judge
    rho: float  # the worst; NaN where nothing was compared
    verdict: str


def rows(report, key="op"):
    """A `Row` for each operation ("op"), lane ("lane") or format ("dtype")."""
    made = []
    for name, results in report.grouped(key).items():
        passed, failed, absent = (sum(r.status == s for r in results) for s in ("passed", "failed", "not covered"))
        absent += sum(r.status == NO_BOUND for r in results)
        rho = max((r.rho for r in results if not math.isnan(r.rho)), default=math.nan)
        word = "FAIL" if failed else "pass" if passed else "not covered"
        undecided = sum(len(r.undecided) for r in results)
        made.append(Row(name, len(results), passed, failed, absent, undecided, rho, word))
    return made


def contract_lines(report):
    """One line for each format that the port was held to: its contract, and where that is not the default."""
    lines = []
    for contract in report.contracts:
        changes = [
            f"{field.replace('_', ' ')} {own} instead of {usual}{' (LOOSER)' if looser else ''}"
            for field, own, usual, looser in differences(contract)
        ]
        lines.append(f"contract {contract.name}: {', '.join(changes) or 'the default'}")
    return lines


def stage_line(report):
    """How the nets fared stage by stage, and what could not be decided there; None where none was judged so."""
    staged = [result for result in report.results if result.local or result.undecided]
    if not staged:
        return None
    passed = sum(result.diverges is None for result in staged)
    judged = sum(len(result.local) for result in staged)
    line = f"stage by stage: {passed} of {len(staged)} nets passed; {judged} tensors judged"
    reasons = Counter(undecided.reason for undecided in report.undecided).most_common(SHOWN_REASONS)
    return f"{line}, {len(report.undecided)} undecided" + "".join(f"; {count}: {why}" for why, count in reasons)


def show(report, console):
    """Print the table, the failures and the verdict."""
    console.print(_table(report))
    for row in rows(report, "lane"):
        console.print(f"lane {row.name}: {row.passed} of {row.passed + row.failed} passed", highlight=False)
    if line := stage_line(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    failures = [r for r in report.results if r.status == "failed"]
    for result in failures[:SHOWN]:
        console.print(failure(result), markup=False, highlight=False, soft_wrap=True)
    if len(failures) > SHOWN:
        console.print(f"and {len(failures) - SHOWN} more failures; --json FILE lists them all", highlight=False)
    for line in contract_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(verdict(report), style="bold green" if report.passed else "bold red", highlight=False, soft_wrap=True)


def show_bisection(found, console):
    """Print both ways of looking for the first stage that diverges, and what was found."""

    def say(line, style=None):
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    if found.own:
        say("recomputed on the port's own tensors:")
    for stage, t in found.own:
        mark = "ok  " if t.passed else "DIVERGES"
        say(f"  {mark} {t.name} in {stage}: rho {t.rho:.3g}", None if t.passed else "red")
    if found.fed:
        say("single operations, on true values:")
    for stage, result in found.fed:
        mark = {"passed": "ok  ", "failed": "DIVERGES"}.get(result.status, "not covered")
        why = f": {result.error}" if result.error else f": rho {shown_rho(result.rho)}" if result.tensors else ""
        say(f"  {mark} {stage}{why}", "red" if result.status == "failed" else None)
    if found.whole.status == "failed":
        say(failure(found.whole))
    if found.first:
        say(f"first to diverge: {found.first}", "bold red")
    else:
        say("nothing diverges" if found.whole.status == "passed" else "the case is not covered", "bold green")


def _table(report):
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    made, counts = rows(report), ("cases", "passed", "failed", "not_covered", "undecided")
    counts = [name for name in counts if any(getattr(row, name) for row in made)]
    slim = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}  # to fit into 80 columns
    table = Table(title=f"port {escape(report.port)}", title_justify="left", **slim)
    table.add_column("operation", no_wrap=True, min_width=max(len(row.name) for row in made))
    for column in (*counts, "rho", "verdict"):
        table.add_column(column.replace("not_covered", "absent"), justify="right")
    for row in made:
        style = {"FAIL": "red", "not covered": "dim"}.get(row.verdict)
        numbers = [str(getattr(row, name)) for name in counts]
        table.add_row(row.name, *numbers, shown_rho(row.rho), row.verdict.replace("not covered", "-"), style=style)
    return table


def shown_rho(rho):
    """A ratio with three digits, or a dash."""
    return "-" if math.isnan(rho) else f"{rho:.3g}"


def failure(result):
    """A failure in full: what the case catches, and each wrong tensor at its worst element."""
    case = result.case
    lines = [f"FAILED {case.id}  [{case.flag}]", f"  catches: {case.why}"]
    if result.error:
        lines.append(f"  {result.error}")
    if result.diverges:
        stage, tensor = result.diverges
        lines.append(f"  first to diverge from its own inputs: {tensor.name}, in {stage}, rho {tensor.rho:.3g}")
    diagnoses = result.diagnoses()
    for t in result.tensors:
        if not t.passed:
            lines.append(f"  {place(t)}: {at_worst(t)}")
            lines += [f"    {diagnoses[t.name]}"] if t.name in diagnoses else []
    if not result.error and all(t.passed for t in result.tensors):
        lines += [f"  {place(t)} in {stage}: {at_worst(t)}" for stage, t in result.local if not t.passed]
    return "\n".join(lines)


def place(tensor):
    """Name and index of the worst element."""
    return f"{tensor.name}[{', '.join(map(str, tensor.index))}]" if tensor.index else tensor.name


def at_worst(tensor):
    """The numbers of the worst element."""
    return f"got {tensor.got!r}, expected {tensor.expected!r}, bound {tensor.bound:.3g}, rho {tensor.rho:.3g}"


def as_json(report, suite):
    """The report as an object of JSON; infinity and NaN, which JSON lacks, as strings."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": "passed" if report.passed else "failed",
        "summary": verdict(report),
        "port": report.port,
        "contracts": [
            contract.to_json() | {"looser_than_default": contract in report.looser} for contract in report.contracts
        ],
        "suite": str(suite),
        "required": list(report.required),
        "missing": list(report.missing),
        "selected": report.selected,
        "undecided": len(report.undecided),
        "counts": {status: report.count(status) for status in ("passed", "failed", "not covered", NO_BOUND)},
        "operations": [row._asdict() | {"rho": _number(row.rho)} for row in rows(report)],
        "cases": [_case_json(result) for result in report.results],
    }


def _case_json(result):
    case, diagnoses = result.case, result.diagnoses()
    return {
        **{key: getattr(case, key) for key in ("id", "op", "lane", "dtype", "flag", "why")},
        "status": result.status,
        "error": result.error,
        "tensors": [_tensor_json(t) | {"diagnosis": diagnoses.get(t.name)} for t in result.tensors],
        "stages": [_tensor_json(t) | {"stage": stage} for stage, t in result.local],
        "undecided": [undecided._asdict() for undecided in result.undecided],
        "first_to_diverge": result.diverges and result.diverges[1].name,
    }


def _tensor_json(t):
    return t._asdict() | {key: _number(getattr(t, key)) for key in ("rho", "got", "expected", "bound")}


def _number(x):
    return x if math.isfinite(x) else str(x)
