"""The report as one HTML file that needs nothing else: no script, no font, no address outside."""

from html import escape

from nsn_ref.golden import report as text

FAILURES = 200  # shown in full
SHOWN = 4  # wrong tensors of a case that are open
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --paper: #ffffff; --panel: #f5f6f8;
  --line: #d9dde2; --pass: #17663a; --pass-bg: #e3f4e9; --fail: #a11d24; --fail-bg: #fde8e8; --warn: #7a4b00;
  --warn-bg: #fff1d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b1; --paper: #14171a; --panel: #1d2125;
  --line: #343a41; --pass: #7fd6a2; --pass-bg: #16301f; --fail: #ff9a9a; --fail-bg: #3a1a1c; --warn: #ffcf7d;
  --warn-bg: #35280f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .35rem 0; }
code, .num, dd { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; }
.soft { color: var(--soft); }
.verdict { margin: 1rem 0; padding: .75rem 1rem; border-radius: .5rem; border-left: .35rem solid; }
.pass { color: var(--pass); } .fail { color: var(--fail); } .warn { color: var(--warn); }
.verdict.pass { background: var(--pass-bg); } .verdict.fail { background: var(--fail-bg); }
.verdict.warn, .note { background: var(--warn-bg); }
.note { color: var(--warn); padding: .1rem .4rem; border-radius: .25rem; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
.wide + .wide { margin-top: .9rem; } summary { cursor: pointer; margin-top: .8rem; color: var(--soft); }
@media (min-width: 45rem) { th:not(:first-child) { width: 10%; } }
th, td { padding: .4rem .7rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; border-top: 0; }
th:first-child, td:first-child { text-align: left; }
tr.absent td { color: var(--soft); }
tr.pass, tr.fail { color: inherit; } tr.pass .mark { color: var(--pass); } tr.fail .mark { color: var(--fail); }
.mark { font-weight: 600; }
article { border: 1px solid var(--line); border-left: .35rem solid var(--fail); border-radius: .5rem;
  padding: .8rem 1rem; margin: .9rem 0; background: var(--panel); }
.flag { display: inline-block; margin: .3rem 0; padding: 0 .5rem; border: 1px solid var(--line);
  border-radius: 1rem; font-size: .85rem; color: var(--soft); }
.tensor { margin-top: .8rem; padding-top: .7rem; border-top: 1px solid var(--line); }
.tensor > p { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem .9rem; margin: .4rem 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
@media (min-width: 45rem) { dl.numbers { grid-template-columns: repeat(4, max-content minmax(0, 1fr)); } }
@media (max-width: 45rem) { th, td { padding: .4rem .45rem; } .wide table { font-size: .85rem; }
  td:first-child { white-space: normal; } th:nth-child(n+5), td:nth-child(n+5) { display: none; } }
@media print { main { max-width: none; } article { break-inside: avoid; } }
"""


def render(report, suite):
    """A page with the verdict, the tables, the contracts and the failures.

    Parameters
    ----------
    report : Report
    suite : Path
        Folder of the suite.

    Returns
    -------
    str
    """
    state = "fail" if not report.passed else "warn" if report.looser else "pass"
    failures = [result for result in report.results if result.status == "failed"]
    sections = [
        f"<h1>{escape(report.port)}</h1>",
        f"<p class=soft>checked with the golden suite in <code>{escape(str(suite))}</code></p>",
        f'<p class="verdict {state}"><strong>{escape(text.verdict(report))}</strong></p>',
        "<h2>Operations</h2>" + _table("operation", text.rows(report)),
        "<h2>Lanes and formats</h2>"
        + _table("lane", text.rows(report, "lane"))
        + _table("format", text.rows(report, "dtype")),
        "<h2>Contracts</h2><ul>"
        + "".join(f"<li>{_contract(line)}</li>" for line in text.contract_lines(report))
        + "</ul>",
        _stages(report),
        _failures(failures),
        _missing(report),
        "<p class=soft>rho is the largest error divided by its bound: at most 1 where the port keeps its contract.</p>",
    ]
    title = f"{'Passed' if report.passed else 'Failed'}: {report.port}"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main></body></html>\n"
    )


def _table(first, rows):
    head = "".join(
        f"<th>{name}</th>" for name in (first, "verdict", "rho", "failed", "passed", "uncovered", "undecided", "cases")
    )
    return (
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, rows))}</tbody></table></div>"
    )


def _row(row):
    state = {"FAIL": "fail", "pass": "pass"}.get(row.verdict, "absent")
    numbers = (text.shown_rho(row.rho), row.failed, row.passed, row.not_covered, row.undecided, row.cases)
    cells = "".join(f"<td class=num>{number}</td>" for number in numbers)
    mark = {"fail": "&#10007; fail", "pass": "&#10003; pass"}.get(state, "not covered")
    name = f"<td><code>{escape(row.name).replace('_', '_<wbr>')}</code></td>"
    return f'<tr class="{state}">{name}<td class=mark>{mark}</td>{cells}</tr>'


def _contract(line):
    """A contract's line; what is looser than the default stands out."""
    return escape(line).replace("(LOOSER)", "<span class=note>looser than the default</span>")


def _stages(report):
    line = text.stage_line(report)
    return f"<h2>Stages of nets</h2><p>{escape(line)}</p>" if line else None


def _failures(failures):
    if not failures:
        return None
    shown = "".join(map(_failure, failures[:FAILURES]))
    rest = len(failures) - FAILURES
    more = f"<p>and {rest} more; the JSON report lists them all</p>" if rest > 0 else ""
    return f"<h2>Failures ({len(failures)})</h2>{shown}{more}"


def _failure(result):
    case, diagnoses = result.case, result.diagnoses()
    parts = [
        f"<h3><code>{escape(case.id)}</code></h3><span class=flag>{escape(case.flag)}</span>",
        f"<p class=soft>Catches: {escape(case.why)}</p>",
    ]
    if result.error:
        parts.append(f"<p class=fail>{escape(result.error)}</p>")
    if result.diverges:
        stage, tensor = result.diverges
        parts.append(
            f"<p>First to diverge from its own inputs: <code>{escape(tensor.name)}</code>, in {escape(stage)}</p>"
        )
    wrong = [_tensor(t, diagnoses.get(t.name), "") for t in result.tensors if not t.passed]
    parts += wrong[:SHOWN]
    if rest := wrong[SHOWN:]:
        parts.append(f"<details><summary>{len(rest)} more wrong tensors</summary>{''.join(rest)}</details>")
    if not result.error and all(t.passed for t in result.tensors):
        parts += [
            _tensor(t, None, f" in {stage}, on the port's own tensors") for stage, t in result.local if not t.passed
        ]
    return f"<article>{''.join(parts)}</article>"


def _tensor(t, diagnosis, where):
    numbers = {"got": repr(t.got), "expected": repr(t.expected), "bound": f"{t.bound:.3g}", "rho": f"{t.rho:.3g}"}
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in numbers.items())
    sentence = f"<p><strong>{escape(diagnosis)}</strong></p>" if diagnosis else ""
    place = f"<p><code>{escape(text.place(t))}</code>{escape(where)}</p>"
    return f"<div class=tensor>{place}{sentence}<dl class=numbers>{listed}</dl></div>"


def _missing(report):
    if not report.missing:
        return None
    listed = "".join(f"<li><code>{escape(case_id)}</code></li>" for case_id in report.missing[:FAILURES])
    return f"<h2>Required but not covered ({len(report.missing)})</h2><ul>{listed}</ul>"
