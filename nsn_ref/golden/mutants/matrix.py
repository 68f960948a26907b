"""The kill matrix: outcomes counted, as JSON, and as the page docs/kill-matrix.md."""

import hashlib
import json
from collections import Counter

from nsn_ref.golden.locate import golden_dir
from nsn_ref.golden.mutants import equivalent, planted, policies
from nsn_ref.golden.suite import MANIFEST

FIRST_RUN = "mechanical-first-run.json"
UNREACHED = "no case of the format reaches it"
NOTICED = ("time limit", "crash")  # whatever results are compared by
TITLES = {"hand": "Hand-made mutants", "mechanical": "Mechanical mutants of the PyTorch port"}
_LANES = ("exact", "certified", "sequence", "staged")


def summary(outcomes, folder, *, alarms=(), date=None, verified=(), sample=None):
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
    """
    manifest = (folder / MANIFEST).read_bytes()
    listed = json.loads(manifest)
    return {
        "date": date,
        "sample": sample,
        "suite_version": listed["suite_version"],
        "cases": len(listed["cases"]),
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "sets": {name: _set(name, made, verified) for name, made in outcomes.items()},
        "false_alarms": {
            a.dtype: {"ports": list(a.ports), "pairs": a.pairs, "rejected": a.rejected, "first": list(a.first)}
            for a in alarms
        },
    }


def _set(name, outcomes, verified):
    _, mutants = planted.load(name)
    by_id = {m.id: m for m in mutants}
    formats = list(dict.fromkeys(o.dtype for o in outcomes))
    return {
        "mutants": len({o.mutant for o in outcomes}),
        "formats": {dtype: _format(name, [o for o in outcomes if o.dtype == dtype]) for dtype in formats},
        "families": _families(by_id, outcomes),
        "survivors": _survivors(name, by_id, outcomes, verified),
    }


def _format(name, outcomes):
    counts = Counter(o.status for o in outcomes)
    same = sum(o.status == "survived" and o.mutant in equivalent.EQUIVALENT[name] for o in outcomes)
    mistakes = len(outcomes) - same
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
port's."""

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


def _numbers(made):
    """The two numbers, for the derived bounds and for fixed tolerances."""
    alarms = made["false_alarms"]
    if not alarms or "hand" not in made["sets"]:
        return "(Without `--docs` or `--table` right ports are not run.)"
    kills = made["sets"]["hand"]["formats"]
    rows = []
    for policy in policies.ALL:
        cells = []
        for dtype in alarms:
            false = alarms[dtype]["rejected"][policy] / alarms[dtype]["pairs"]
            at = kills.get(dtype, {})
            rate = at.get("rate_of_mistakes") if policy == policies.DERIVED else at["caught_by_fixed"].get(policy)
            cells.append(f"{_percent(false)} / {_percent(rate) if rate is not None else '-'}")
        rows.append((policy, *cells))
    pairs = ", ".join(f"{dtype}: {a['pairs']}" for dtype, a in alarms.items())
    ports = ", ".join(next(iter(alarms.values()))["ports"])
    bound = ", ".join(f"{dtype}: {_percent(3 / a['pairs'])}" for dtype, a in alarms.items())
    about = (
        "## The two numbers\n\nFalse alarms (share of pairs of a right port and a case that are rejected) / kills "
        "(share of the hand-made mutants that are no equivalents; with a fixed tolerance, counting only cases that "
        "every right port passes under it)."
    )
    below = (
        f"Right ports: {ports}. Pairs: {pairs}. Where no pair is rejected, the 95 % upper bound on the rate of false "
        f"alarms is 3 / pairs ({bound}), if pairs were independent."
    )
    return "\n\n".join([about, _table(("compared by", *alarms), rows), below])


def _rates(about):
    rows = [
        (
            dtype,
            f["mutants"],
            f["killed"],
            f["dead"],
            f["survived"],
            f["equivalent"],
            _percent(f["rate"]),
            _percent(f["rate_of_mistakes"]),
        )
        for dtype, f in about["formats"].items()
    ]
    head = ("format", "mutants", "killed", "dead", "survived", "equivalent", "kill rate", "without equivalents")
    note = (
        "\n\nTF32 and bfloat16 with float32 weights have cases only for operations in which they differ from the other "
        "formats; a mistake in another operation cannot be reached there."
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
        (family, row["attempts"], *(row.get(lane, 0) for lane in _LANES), row.get("dead", 0), row.get("survived", 0))
        for family, row in sorted(about["families"].items())
    ]
    return "Mutants times formats by family, and the lane that killed them:\n\n" + _table(
        ("family", "attempts", *_LANES, "dead", "survived"), rows
    )


def _survivor_list(about):
    lines = ["Survivors:", ""]
    for s in about["survivors"]:
        kind = "equivalent" if s["equivalent"] else "not equivalent"
        lines.append(f"- `{s['mutant']}` ({', '.join(s['formats'])}; {kind}): {_code(s['what'])} {s['why']}")
    return "\n".join(lines) if about["survivors"] else "There are no survivors."


def _code(what):
    """A sentence as it is, a replacement of text as code."""
    return f"`{' '.join(what.split())}`" if " -> " in what else what
