"""The ledger of claims: what is said, where it comes from, what proves it and what tests it.

The ledger is docs/claims.toml, the export of the proofs proofs/claims.json; an installed wheel carries copies of both.
"""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from nsn_ref import files
from nsn_ref.errors import ClaimError

PACKAGE = Path(__file__).parent
FAMILIES = {
    "LIN": "Nested linear layers",
    "GAU": "Gauges",
    "GRD": "Gradients",
    "OBJ": "The objective",
    "ENG": "Energy and interpolation",
    "SVD": "Singular values",
    "CST": "Cost",
    "FLT": "Floating point",
}
STATUSES = ("proved", "proved with added hypothesis", "refuted as stated", "empirical")
ID = re.compile(rf"\b(?:{'|'.join(FAMILIES)})-[1-9]\d*\b")


class Claim(NamedTuple):
    """One entry of the ledger."""

    id: str  # its family and a number: LIN-2
    sentence: str  # in plain words
    formula: str  # in ASCII, with the letters of docs/notation.md
    source: str  # paper and section, or "ours"
    status: str  # one of STATUSES
    theorems: tuple  # "linear.v:Wpre_sum", in proofs/
    tests: tuple  # "tests/claims/test_lin.py::test_sum_of_outer_products"
    functions: tuple  # dotted names of what it is about
    page: str  # where docs/ explains it, relative to docs/

    @property
    def family(self):
        """The three letters that its id starts with."""
        return self.id.split("-")[0]


class Theorem(NamedTuple):
    """One theorem as Coq has it."""

    file: str  # in proofs/
    name: str
    line: int
    claims: list
    sentence: str  # its comment in the source
    statement: str  # as Coq prints it
    axioms: list  # those of Coq's real numbers that it depends on


def load(path=None):
    """Every claim of a ledger, in its order.

    Parameters
    ----------
    path : str or Path, optional
        Default: docs/claims.toml, or the copy in the wheel.

    Returns
    -------
    list of Claim

    Raises
    ------
    FileError
        The file cannot be read, or is not TOML.
    ClaimError
        An entry has a field too many or too few, one of the wrong type, or an id, status or formula out of form.
    """
    path = Path(path or _find("claims.toml", "docs/claims.toml"))
    try:
        tables = tomllib.loads(files.read_bytes(path).decode())
    except ValueError as error:
        raise files.FileError(f"{path}: is not TOML: {error}") from error
    entries = tables.get("claim")
    if set(tables) != {"claim"} or not isinstance(entries, list):
        raise ClaimError(f"{path}: has the tables {sorted(tables)}, expected only [[claim]]")
    claims = [_claim(path, entry) for entry in entries]
    twice = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if twice:
        raise ClaimError(f"{path}: {', '.join(twice)} more than once, expected ids that differ")
    return claims


def theorems(path=None):
    """Every theorem of the proofs, by the name that the ledger gives it, such as "linear.v:Wpre_sum".

    Parameters
    ----------
    path : str or Path, optional
        Default: proofs/claims.json, or the copy in the wheel.

    Returns
    -------
    dict of Theorem

    Raises
    ------
    FileError
    """
    export = files.read_json(Path(path or _find("proofs.json", "proofs/claims.json")))
    exported = (Theorem(**entry) for entry in export["theorems"])
    return {f"{theorem.file}:{theorem.name}": theorem for theorem in exported}


def select(claims, names=(), status=None):
    """The claims of some families or with some ids, and of one status.

    Parameters
    ----------
    claims : sequence of Claim
    names : sequence of str
        Families and ids, "LIN" or "LIN-2"; none selects all.
    status : str, optional
        One of `STATUSES`.

    Returns
    -------
    list of Claim

    Raises
    ------
    ClaimError
        A name or a status that no claim can have.
    """
    known = {claim.family for claim in claims} | {claim.id for claim in claims}
    if unknown := [name for name in names if name not in known]:
        families = ", ".join(dict.fromkeys(claim.family for claim in claims))
        raise ClaimError(f"claims: got {', '.join(unknown)}, expected ids, or families of {families}")
    if status is not None and status not in STATUSES:
        raise ClaimError(f"claims: status is {status!r}, expected one of {', '.join(STATUSES)}")
    wanted = [claim for claim in claims if not names or {claim.family, claim.id} & set(names)]
    return [claim for claim in wanted if status in (None, claim.status)]


def _find(shipped, committed):
    """The copy in an installed wheel, or the file in the repository."""
    copy = PACKAGE / "_ledger" / shipped
    return copy if copy.is_file() else PACKAGE.parent / committed


def _claim(path, entry):
    name = f"{path}: {entry.get('id', 'a claim without id')}"
    if different := set(entry) ^ set(Claim._fields):
        raise ClaimError(f"{name}: fields missing or unknown: {', '.join(sorted(different))}")
    for field, value in entry.items():
        kind = list if field in ("theorems", "tests", "functions") else str
        texts = value if isinstance(value, list) else [value]
        if not isinstance(value, kind) or not all(isinstance(text, str) and text for text in texts):
            raise ClaimError(f"{name}: {field} is {value!r}, expected a {kind.__name__} of text that is not empty")
    if not ID.fullmatch(entry["id"]):
        raise ClaimError(f"{name}: expected a family of {', '.join(FAMILIES)}, a hyphen and a number")
    if entry["status"] not in STATUSES:
        raise ClaimError(f"{name}: status is {entry['status']!r}, expected one of {', '.join(STATUSES)}")
    if re.search(r"[|`]", entry["formula"]):
        raise ClaimError(f"{name}: formula has a bar or a backtick, which a table cannot show; write abs(x)")
    return Claim(**{field: tuple(value) if isinstance(value, list) else value for field, value in entry.items()})
