"""Whether the ledger of claims is complete, and true to the tests, the proofs, the code and the pages.

Each check takes the root folder of a repository and yields what is wrong, one line for each fault.
"""

import ast
import hashlib
import importlib
import inspect
import json
import re

from nsn_ref import claims
from nsn_ref.claims_page import source_file

AXIOMS_OF_THE_REALS = {
    "ClassicalDedekindReals.sig_forall_dec",
    "ClassicalDedekindReals.sig_not_dec",
    "Classical_Prop.classic",
    "FunctionalExtensionality.functional_extensionality_dep",
}
CLAIMS_LINE = re.compile(r"^Claims: ([^.]+)\.$", re.M)


def ledger(root):
    """Every claim of a repository."""
    return claims.load(root / "docs" / "claims.toml")


def export(root):
    """What proofs/claims.json says."""
    return json.loads((root / "proofs" / "claims.json").read_text())


def without_test(root):
    """Claims that no test is about."""
    for claim in ledger(root):
        if not claim.tests:
            yield f"{claim.id} has no test"


def tests_and_marks(root):
    """Tests that the ledger names and pytest would not collect; marks and ledger that disagree."""
    marks = _marks(root)
    listed = {(claim.id, test) for claim in ledger(root) for test in claim.tests}
    known = {claim.id for claim in ledger(root)}
    marked = {(name, test) for test, names in marks.items() for name in names}
    for name, test in sorted(listed - marked):
        missing = "is not marked with it" if test in marks else "cannot be collected"
        yield f"{name}: {test} {missing}"
    for name, test in sorted(marked - listed):
        yield f"{test} is marked with {name}, " + ("which does not list it" if name in known else "which is no claim")


def _marks(root):
    """The claims that each test is marked with, in the source: collecting would import everything."""
    marks = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                calls = [call for call in node.decorator_list if isinstance(call, ast.Call)]
                of_claims = [call for call in calls if ast.unparse(call.func) == "pytest.mark.claim"]
                test = f"{path.relative_to(root).as_posix()}::{node.name}"
                marks[test] = [ast.literal_eval(name) for call in of_claims for name in call.args]
    return marks


def theorems(root):
    """Theorems that the ledger names and Coq did not see, or the reverse; statuses that nothing supports."""
    listed = {(claim.id, theorem) for claim in ledger(root) for theorem in claim.theorems}
    exported = {(name, f"{t['file']}:{t['name']}") for t in export(root)["theorems"] for name in t["claims"]}
    for name, theorem in sorted(listed - exported):
        yield f"{name}: theorem {theorem} is not in proofs/claims.json"
    for name, theorem in sorted(exported - listed):
        yield f"{name}: theorem {theorem} of proofs/claims.json is not in the ledger"
    for claim in ledger(root):
        if (claim.status == "empirical") == bool(claim.theorems):
            yield f"{claim.id} is {claim.status}, with {len(claim.theorems)} theorems"


def axioms(root):
    """Theorems that depend on more than Coq's real numbers do."""
    for theorem in export(root)["theorems"]:
        if others := set(theorem["axioms"]) - AXIOMS_OF_THE_REALS:
            yield f"{theorem['file']}: {theorem['name']} depends on {', '.join(sorted(others))}"


def sources(root):
    """Sources of proofs that are not those that were exported."""
    now = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / "proofs").glob("*.v")}
    then = export(root)["sources"]
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            yield f"proofs/{name} has changed since the export"


def docstrings(root):
    """Functions whose docstring does not name their claims, or names others."""
    known = {claim.id for claim in ledger(root)}
    listed = {(claim.id, name) for claim in ledger(root) for name in claim.functions}
    for claim, name in sorted(listed):
        module, attribute = name.rsplit(".", 1)
        if claim not in _named(inspect.getdoc(getattr(importlib.import_module(module), attribute))):
            yield f"{claim} is about {name}, whose docstring does not name it"
    places = {(claim, source_file(name), name.rsplit(".", 1)[1]) for claim, name in listed}
    for path in sorted((root / "nsn_ref").rglob("*.py")):
        file = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for claim in _named(ast.get_docstring(node)):
                    if claim not in known:
                        yield f"{file}: {node.name} names {claim}, which is no claim"
                    elif (claim, file, node.name) not in places:
                        yield f"{file}: {node.name} names {claim}, which is not about it"


def _named(docstring):
    """The claims in a docstring's line `Claims: LIN-1, LIN-2.`, which may go on in the next."""
    return [name for line in CLAIMS_LINE.findall(inspect.cleandoc(docstring or "")) for name in re.split(r",\s+", line)]


def pages(root):
    """Claims that their page does not mention; pages that mention what is no claim."""
    texts = {path.relative_to(root / "docs").as_posix(): path.read_text() for path in (root / "docs").rglob("*.md")}
    known = {claim.id for claim in ledger(root)}
    for claim in ledger(root):
        if claim.id not in claims.ID.findall(texts.get(claim.page, "")):
            yield f"{claim.id} is not on its page, docs/{claim.page}"
    for page, text in sorted(texts.items()):
        for name in sorted(set(claims.ID.findall(text)) - known):
            yield f"docs/{page} mentions {name}, which is no claim"


CHECKS = (without_test, tests_and_marks, theorems, axioms, sources, docstrings, pages)
