"""A report for people, on a terminal, and for programs, as JSON."""

import math

from nsn_ref.golden.suite import SCHEMA_VERSION

SHOWN = 10  # failures that are printed in full


def verdict(report):
    """One line: how many cases passed, and how much was covered."""
    operations = report.operations()
    covered = sum(any(r.status != "not covered" for r in results) for results in operations.values())
    line = (
        f"{'PASSED' if report.passed else 'FAILED'}: {report.count('passed')} of {report.covered} cases passed, "
        f"{report.count('not covered')} not covered; operations covered: {covered} of {len(operations)}"
    )
    if len(report.results) < report.selected:
        line += f"; stopped after {len(report.results)} of {report.selected} cases"
    if report.missing:
        line += f"; required but not covered: {len(report.missing)}, the first {report.missing[0]}"
    elif not report.covered:
        line += "; a port that covers nothing does not pass"
    return line


def show(report, console):
    """Print the table, the failures and the verdict."""
    console.print(_table(report))
    failures = [r for r in report.results if r.status == "failed"]
    for result in failures[:SHOWN]:
        console.print(_failure(result), markup=False, highlight=False, soft_wrap=True)
    if len(failures) > SHOWN:
        console.print(f"and {len(failures) - SHOWN} more failures; --json FILE lists them all", highlight=False)
    if report.contract is not None:
        console.print(f"declared contract: {report.contract}", markup=False, highlight=False, soft_wrap=True)
    console.print(verdict(report), style="bold green" if report.passed else "bold red", highlight=False, soft_wrap=True)


def _table(report):
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"port {escape(report.port)}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("operation", no_wrap=True, min_width=max(map(len, report.operations())))
    for column in ("cases", "passed", "failed", "not covered", "worst rho"):
        table.add_column(column, justify="right")
    for op, results in report.operations().items():
        counts = [sum(r.status == status for r in results) for status in ("passed", "failed", "not covered")]
        rhos = [r.rho for r in results if not math.isnan(r.rho)]
        style = "red" if counts[1] else "dim" if counts[2] == len(results) else None
        table.add_row(op, str(len(results)), *map(str, counts), f"{max(rhos):.3g}" if rhos else "-", style=style)
    return table


def _failure(result):
    case = result.case
    lines = [f"FAILED {case.id}  [{case.flag}]", f"  catches: {case.why}"]
    if result.error:
        lines.append(f"  {result.error}")
    diagnoses = result.diagnoses()
    for t in result.tensors:
        if not t.passed:
            numbers = f"got {t.got!r}, expected {t.expected!r}, bound {t.bound:.3g}, rho {t.rho:.3g}"
            lines.append(f"  {place(t)}: {numbers}")
            lines += [f"    {diagnoses[t.name]}"] if t.name in diagnoses else []
    return "\n".join(lines)


def place(tensor):
    """Name and index of the worst element."""
    return f"{tensor.name}[{', '.join(map(str, tensor.index))}]" if tensor.index else tensor.name


def as_json(report, suite):
    """The report as an object of JSON; infinity and NaN, which JSON lacks, as strings."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": "passed" if report.passed else "failed",
        "summary": verdict(report),
        "port": report.port,
        "contract": report.contract,
        "suite": str(suite),
        "required": list(report.required),
        "missing": list(report.missing),
        "selected": report.selected,
        "counts": {status: report.count(status) for status in ("passed", "failed", "not covered")},
        "cases": [_case_json(result) for result in report.results],
    }


def _case_json(result):
    case, diagnoses = result.case, result.diagnoses()
    return {
        **{key: getattr(case, key) for key in ("id", "op", "lane", "dtype", "flag", "why")},
        "status": result.status,
        "error": result.error,
        "tensors": [
            t._asdict()
            | {key: _number(getattr(t, key)) for key in ("rho", "got", "expected", "bound")}
            | {"diagnosis": diagnoses.get(t.name)}
            for t in result.tensors
        ],
    }


def _number(x):
    return x if math.isfinite(x) else str(x)
