"""docs/claims.md, written from the ledger and the export of the proofs."""

import importlib
import inspect
from collections import Counter
from pathlib import Path

from nsn_ref.claims import FAMILIES, PACKAGE, STATUSES

HEAD = """# Claims

<!-- Written by `nsn-ref claims --docs docs/claims.md` from claims.toml and proofs/claims.json. -->

Everything that this project says about nested subspace networks: {claims} claims. A row leads from the sentence to the
theorems that prove it, the tests that try it on the code, the functions it is about, and the page that explains it.
All of these name the claim, so that its id leads back. The letters are in [notation](notation.md).

{statuses}

Coq has checked the {theorems} theorems ([how](../proofs/README.md)): {closed} of them use no axiom, the others only
the four that Coq's real numbers stand on. The tests run the real operations on drawn and on adversarial inputs,
exactly where the statement is algebraic. What could not be proved, and why, is
[said beside the proofs](../proofs/README.md#what-is-not-proved-here).

    nsn-ref claims LIN-2          one claim in full, with its theorems as Coq states them
    pytest --claim LIN-2          its tests
    sh proofs/build.sh            every proof again (needs Coq)
"""

MEANINGS = {
    "proved": "as it is written here",
    "proved with added hypothesis": "the source's statement needs one more hypothesis; it is in the sentence",
    "refuted as stated": "the source's statement is false; what is proved is the counterexample",
    "empirical": "tested only",
}


def page(claims, theorems):
    """The text of docs/claims.md.

    Parameters
    ----------
    claims : sequence of Claim
    theorems : dict of Theorem
        As `nsn_ref.claims.theorems` gives them.

    Returns
    -------
    str
    """
    counts = Counter(claim.status for claim in claims)
    closed = sum(not theorem.axioms for theorem in theorems.values())
    statuses = _table(("status", "claims", "meaning"), [(s, counts[s], MEANINGS[s]) for s in STATUSES if counts[s]])
    parts = [HEAD.format(claims=len(claims), theorems=len(theorems), closed=closed, statuses=statuses)]
    for family, title in FAMILIES.items():
        rows = [_row(claim, theorems) for claim in claims if claim.family == family]
        parts.append(
            f"## {title} ({family})\n\n{_table(('claim', 'statement', 'theorems', 'tests, of the code'), rows)}\n"
        )
    return "\n".join(parts)


def _row(claim, theorems):
    proofs = [theorems[name] for name in claim.theorems]
    tests = [f"[{name}](../{file})" for file, name in (test.split("::") for test in claim.tests)]
    code = [f"[{name.rsplit('.', 1)[1]}](../{source_file(name)})" for name in claim.functions]
    return (
        f'<a id="{claim.id.lower()}"></a>**{claim.id}**<br>{claim.status}<br>[{Path(claim.page).stem}]({claim.page})',
        f"{claim.sentence}<br>`{claim.formula}`<br>*{claim.source}*",
        "<br>".join(f"[{theorem.name}](../proofs/{theorem.file}#L{theorem.line})" for theorem in proofs),
        "<br>".join([*tests, "*of*", *code]),
    )


def source_file(name):
    """The file that defines a function or class, relative to the repository.

    Parameters
    ----------
    name : str
        Dotted, such as "nsn_ref.ops.dense_forward".

    Returns
    -------
    str
    """
    module, attribute = name.rsplit(".", 1)
    path = inspect.getsourcefile(getattr(importlib.import_module(module), attribute))
    return Path(path).relative_to(PACKAGE.parent).as_posix()


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines)
