"""The kill matrix: outcomes counted, as JSON, and as the page docs/kill-matrix.md."""

import hashlib
import json
from collections import Counter

from nsn_ref.golden.cases import DTYPES
from nsn_ref.golden.locate import golden_dir
from nsn_ref.golden.mutants import equivalent, planted, policies
from nsn_ref.golden.suite import MANIFEST

FIRST_RUN = "mechanical-first-run.json"
UNREACHED = "no case of the format reaches it"
NO_CASE = "no case"  # in the format, of any operation that gives the mutant away in another one
NOTICED = ("time limit", "crash")  # whatever results are compared by
TITLES = {"hand": "Hand-made mutants", "mechanical": "Mechanical mutants of the PyTorch port"}
_LANES = ("exact", "certified", "sequence", "staged")


def summary(outcomes, folder, *, alarms=(), date=None, verified=(), sample=None, took=None):
    """Everything that the page states, ready for JSON.

    Parameters
    ----------
    outcomes : dict of str to list of Outcome
        By set of mutants.
    folder : Path
        Of the suite.
    alarms : sequence of Alarms
    date : str, optional
    sample : int, optional
        How many mutants of each set were drawn. Default: all.
    verified : collection of (str, str)
        Set and id of mutants whose equivalence has been tried on random inputs just now.
    took : (float, int), optional
        Seconds, and number of processes.
    """
    manifest = (folder / MANIFEST).read_bytes()
    listed = json.loads(manifest)
    operations = {}
    for case in listed["cases"]:
        operations.setdefault(case["dtype"], set()).add(case["op"])
    outcomes = {name: _without_cases(made, operations) for name, made in outcomes.items()}
    return {
        "date": date,
        "sample": sample,
        "took": took and {"seconds": round(took[0]), "processes": took[1]},
        "suite_version": listed["suite_version"],
        "cases": len(listed["cases"]),
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "sets": {name: _set(name, made, verified) for name, made in outcomes.items()},
        "false_alarms": {
            a.dtype: {"ports": list(a.ports), "pairs": a.pairs, "rejected": a.rejected, "first": list(a.first)}
            for a in alarms
        },
    }


def _without_cases(outcomes, operations):
    """By format; survivors whose killers, in other formats, are of operations without cases in theirs are set apart."""
    killers = {}
    for o in outcomes:
        if o.status == "killed" and o.case:
            killers.setdefault(o.mutant, set()).add(o.case.partition("/")[0])
    return [
        o._replace(status=NO_CASE)
        if o.status == "survived" and killers.get(o.mutant) and not killers[o.mutant] & operations[o.dtype]
        else o
        for o in sorted(outcomes, key=lambda o: DTYPES.index(o.dtype))
    ]


def _set(name, outcomes, verified):
    _, mutants = planted.load(name)
    by_id = {m.id: m for m in mutants}
    formats = list(dict.fromkeys(o.dtype for o in outcomes))
    return {
        "mutants": len({o.mutant for o in outcomes}),
        "formats": {dtype: _format(name, [o for o in outcomes if o.dtype == dtype]) for dtype in formats},
        "families": _families(by_id, outcomes),
        "survivors": _survivors(name, by_id, outcomes, verified),
        "without_cases": {
            dtype: sorted(o.mutant for o in outcomes if (o.dtype, o.status) == (dtype, NO_CASE)) for dtype in formats
        },
    }


def _format(name, outcomes):
    counts = Counter(o.status for o in outcomes)
    same = sum(o.status == "survived" and o.mutant in equivalent.EQUIVALENT[name] for o in outcomes)
    mistakes = len(outcomes) - same - counts[NO_CASE]
    caught = {
        policy: sum(o.status == "dead" or o.how in NOTICED or policy in o.caught for o in outcomes)
        for policy in policies.FIXED
    }
    stopped = counts["killed"] + counts["dead"]
    return {
        "mutants": len(outcomes),
        "killed": counts["killed"],
        "dead": counts["dead"],
        "survived": counts["survived"],
        "equivalent": same,
        "no_case": counts[NO_CASE],
        "killed_by": dict(sorted(Counter(o.how for o in outcomes if o.status == "killed").items())),
        "rate": stopped / len(outcomes),
        "rate_of_mistakes": stopped / mistakes if mistakes else 1.0,
        "caught_by_fixed": {p: n / mistakes for p, n in caught.items()} if mistakes and any(caught.values()) else {},
    }


def _families(by_id, outcomes):
    """By family: how many mutants in how many formats, and what killed them first; with `full`, every lane that did."""
    table = {}
    for o in outcomes:
        row = table.setdefault(by_id[o.mutant].family, Counter())
        row["attempts"] += 1
        row[o.status] += 1
        for lane in {lane for _, lane in o.kills} or {o.lane} - {""}:
            row[lane] += 1
    return {family: dict(row) for family, row in table.items()}


def _survivors(name, by_id, outcomes, verified):
    found = {}
    for o in outcomes:
        if o.status == "survived":
            found.setdefault(o.mutant, {})[o.dtype] = o.detail
    rows = []
    for key in sorted(found):
        claim = equivalent.EQUIVALENT[name].get(key)
        rows.append(
            {
                "mutant": key,
                "family": by_id[key].family,
                "what": by_id[key].what,
                "formats": list(found[key]),
                "details": found[key],
                "equivalent": claim is not None,
                "tried_on_random_inputs": (name, key) in verified,
                "why": claim.reason if claim else _explained(name, key, found[key]),
            }
        )
    return rows


def _explained(name, mutant, details):
    """What is known of a survivor, and how far each format's cases reach it."""
    reached = {}
    for dtype, detail in details.items():
        reached.setdefault(UNREACHED if detail.endswith(" in 0 cases") else detail, []).append(dtype)
    by_format = "; ".join(f"{', '.join(formats)}: {detail}" for detail, formats in reached.items())
    known = equivalent.EXPLAINED[name].get(mutant)
    return f"{known} ({by_format})" if known else f"{by_format}."


# --- the page ---------------------------------------------------------------------------------------------------------


def page(made):
    """docs/kill-matrix.md."""
    parts = [_HEAD.format(**made)]
    if made["sample"] is not None:
        parts.append(
            f"**A sample**: {made['sample']} mutants of each set, drawn with a seed; without `--sample` all run."
        )
    parts.append(_numbers(made))
    if made["took"]:
        parts.append("This run took {seconds} s with {processes} processes.".format(**made["took"]))
    for name, about in made["sets"].items():
        parts += [f"## {TITLES[name]}\n\n{_ABOUT[name].format(**about)}", _rates(about)]
        if name == "mechanical":
            parts.append(_first_run())
        parts += [_family_table(about), _survivor_list(about)]
    return "\n\n".join(parts) + "\n"


_HEAD = """# Kill matrix

<!-- Written by `nsn-ref golden mutants --docs docs/kill-matrix.md`; the numbers behind it are in kill-matrix.json. -->

How many planted bugs does the golden suite catch, and how often does it reject a port that is right? A suite that
states only one of the two says nothing: rejecting everything catches every bug.

Run on {date}, suite version {suite_version}, {cases} cases. One command makes this page again:

    nsn-ref golden mutants --docs docs/kill-matrix.md

A mutant is *killed* by the first case that it fails. It is *dead* if it cannot be loaded or raises whatever it is
asked, so that any suite would notice; what is neither has *survived*. A survivor counts as *equivalent*, which is no
mistake, only with an algebraic reason and after 1,000 random inputs on which its float64 outputs agree with the right
port's. Where none of the operations whose cases kill a mutant in other formats has a case in a format, the mutant has
*no case* there, and is counted as neither killed nor survived."""

_ABOUT = {
    "hand": "{mutants} mistakes that people make, planted in a right NumPy port of every operation "
    "([the list](../nsn_ref/golden/mutants/hand)). A mistake of precision is planted only in formats where it is one.",
    "mechanical": "{mutants} replacements made by rules that know Python and nothing else, from the text of the "
    "PyTorch port as it was before any further case was designed "
    "([generator](../nsn_ref/golden/mutants/mechanical.py), [list with hashes](../golden/mutants/mechanical.json)). "
    "This set is never used to design cases.",
}


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _percent(x):
    return f"{100 * x:.4g} %"


def two_numbers(made):
    """The table of false alarms and kills, for the derived bounds and for fixed tolerances."""
    alarms, kills, rows = made["false_alarms"], made["sets"]["hand"]["formats"], []
    for policy in policies.ALL:
        cells = []
        for dtype in alarms:
            false = alarms[dtype]["rejected"][policy] / alarms[dtype]["pairs"]
            at = kills.get(dtype, {})
            rate = at.get("rate_of_mistakes") if policy == policies.DERIVED else at["caught_by_fixed"].get(policy)
            cells.append(f"{_percent(false)} / {_percent(rate) if rate is not None else '-'}")
        rows.append((policy, *cells))
    rows.append(("*trials: pairs of a right port and a case*", *(f"{a['pairs']:,}" for a in alarms.values())))
    bounds = (_percent(upper_bound(a["rejected"][policies.DERIVED], a["pairs"])) for a in alarms.values())
    rows.append((f"*95 % upper bound, {policies.DERIVED}*", *bounds))
    return _table(("compared by", *alarms), rows)


def upper_bound(rejected, trials):
    """The 95 % upper bound on a rate (Clopper and Pearson), if trials are independent."""
    from scipy.stats import beta

    return float(beta.ppf(0.95, rejected + 1, trials - rejected)) if rejected < trials else 1.0


def _numbers(made):
    alarms = made["false_alarms"]
    if not alarms or "hand" not in made["sets"]:
        return "(Without `--docs` or `--table` right ports are not run.)"
    ports = ", ".join(next(iter(alarms.values()))["ports"])
    about = (
        "## The two numbers\n\nFalse alarms (share of pairs of a right port and a case that are rejected) / kills "
        "(share of the hand-made mutants that are no equivalents and have a case; with a fixed tolerance, counting "
        "only cases that every right port passes under it)."
    )
    below = (
        f"Right ports: {ports}. Pairs of one port are not independent, so the upper bound is about pairs like these; "
        "[the fuzz](results/fuzz.md) tries machines that are made to be difficult."
    )
    return "\n\n".join([about, two_numbers(made), below])


def _rates(about):
    rows = [
        (
            dtype,
            f["mutants"],
            f["killed"],
            f["dead"],
            f["survived"],
            f["equivalent"],
            f["no_case"],
            _percent(f["rate"]),
            _percent(f["rate_of_mistakes"]),
        )
        for dtype, f in about["formats"].items()
    ]
    head = (
        "format",
        "mutants",
        "killed",
        "dead",
        "survived",
        "equivalent",
        "no case",
        "kill rate",
        "of mistakes with a case",
    )
    note = (
        "\n\nThe kill rate is that of all mutants; the last column leaves out equivalents and those without a case. "
        "TF32 and bfloat16 with float32 weights have cases only for operations in which they differ from the other "
        "formats ([which, and why](../golden/README.md#what-the-suite-covers))."
    )
    return _table(head, rows) + (note if "tf32" in about["formats"] else "")


def _first_run():
    first = json.loads((golden_dir() / "mutants" / FIRST_RUN).read_text(encoding="utf-8"))
    rates = "; ".join(
        f"{dtype}: {f['killed']} killed, {f['dead']} dead, {f['survived']} survived of {f['mutants']} "
        f"({_percent((f['killed'] + f['dead']) / f['mutants'])})"
        for dtype, f in first["formats"].items()
    )
    return (
        f"**First run**, {first['date']}, suite version {first['suite_version']} with {first['cases']} cases, before "
        f"any further case was designed: {rates}. This number stays as it is "
        f"([record](../golden/mutants/{FIRST_RUN})); the table above is the latest run. The set has the formats and "
        "the operations that the port had then."
    )


def _family_table(about):
    rows = [
        (
            family,
            row["attempts"],
            *(row.get(lane, 0) for lane in _LANES),
            row.get("dead", 0),
            row.get(NO_CASE, 0),
            row.get("survived", 0),
        )
        for family, row in sorted(about["families"].items())
    ]
    return "Mutants times formats by family, and the lane that killed them:\n\n" + _table(
        ("family", "attempts", *_LANES, "dead", NO_CASE, "survived"), rows
    )


def _survivor_list(about):
    lines = ["Survivors:", ""]
    for s in about["survivors"]:
        kind = "equivalent" if s["equivalent"] else "not equivalent"
        lines.append(f"- `{s['mutant']}` ({', '.join(s['formats'])}; {kind}): {_code(s['what'])} {s['why']}")
    parts = ["\n".join(lines) if about["survivors"] else "There are no survivors."]
    for dtype, ids in about["without_cases"].items():
        if ids:
            parts.append(f"No case in {dtype} ({len(ids)}): {', '.join(f'`{key}`' for key in ids)}.")
    return "\n\n".join(parts)


def _code(what):
    """A sentence as it is, a replacement of text as code."""
    return f"`{' '.join(what.split())}`" if " -> " in what else what
