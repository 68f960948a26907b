"""The ledger of claims is complete and true, and a ledger that is not would be noticed."""

import hashlib
import json
import re
from pathlib import Path

import claims_audit
import pytest

from nsn_ref import claims
from nsn_ref.claims_page import page

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("check", claims_audit.CHECKS, ids=lambda check: check.__name__)
def test_the_ledger_is_true(check):
    assert list(check(ROOT)) == []


def test_the_page_is_that_of_the_ledger():
    written = (ROOT / "docs" / "claims.md").read_text()
    assert written == page(claims.load(), claims.theorems()), "run nsn-ref claims --docs docs/claims.md"


LEDGER = """[[claim]]
id = "LIN-1"
sentence = "Weights add up."
formula = "y = W x"
source = "ours"
status = "proved"
theorems = ["linear.v:adds_up"]
tests = ["tests/test_linear.py::test_sum"]
functions = ["nsn_ref.analysis.cost.layer_cost"]
page = "linear.md"
"""
THEOREM = {"file": "linear.v", "name": "adds_up", "claims": ["LIN-1"], "axioms": []}
TEST = 'import pytest\n\n\n@pytest.mark.claim("LIN-1")\ndef test_sum():\n    pass\n'
MODULE = 'def layer_cost():\n    """One layer.\n\n    Claims: LIN-1.\n    """\n'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The smallest repository with one claim, in which nothing is wrong."""
    source = "(* LIN-1. *)\nTheorem adds_up : True.\n"
    export = {"sources": {"linear.v": hashlib.sha256(source.encode()).hexdigest()}, "theorems": [THEOREM]}
    contents = {
        "docs/claims.toml": LEDGER,
        "docs/linear.md": "See LIN-1.\n",
        "proofs/linear.v": source,
        "proofs/claims.json": json.dumps(export),
        "tests/test_linear.py": TEST,
        "nsn_ref/analysis/cost.py": MODULE,
    }
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr("nsn_ref.analysis.cost.layer_cost.__doc__", "Claims: LIN-1.")
    return tmp_path


def test_nothing_is_wrong_with_the_smallest_repository(repository):
    assert [fault for check in claims_audit.CHECKS for fault in check(repository)] == []


FAULTS = [
    ("docs/claims.toml", r"tests = \[.*\]", "tests = []", "without_test", "LIN-1 has no test"),
    ("tests/test_linear.py", "test_sum", "sum_test", "tests_and_marks", "test_sum cannot be collected"),
    ("tests/test_linear.py", r"@.*\n", "", "tests_and_marks", "test_sum is not marked with it"),
    ("tests/test_linear.py", r"\Z", TEST.replace("_sum", "_more"), "tests_and_marks", "LIN-1, which does not list it"),
    ("tests/test_linear.py", '"LIN-1"', '"LIN-1", "LIN-7"', "tests_and_marks", "LIN-7, which is no claim"),
    ("docs/claims.toml", ":adds_up", ":adds", "theorems", "linear.v:adds is not in proofs/claims.json"),
    ("docs/claims.toml", r"theorems = \[.*\]", "theorems = []", "theorems", "is not in the ledger"),
    ("docs/claims.toml", r"theorems = \[.*\]", "theorems = []", "theorems", "LIN-1 is proved, with 0 theorems"),
    ("docs/claims.toml", '"proved"', '"empirical"', "theorems", "LIN-1 is empirical, with 1 theorems"),
    (
        "proofs/claims.json",
        '"claims": ."LIN-1"',
        '"claims": ["LIN-2"',
        "theorems",
        "LIN-2: theorem linear.v:adds_up of",
    ),
    ("proofs/claims.json", '"axioms": .', '"axioms": ["magic"', "axioms", "adds_up depends on magic"),
    ("proofs/linear.v", "True", "False", "sources", "linear.v has changed since the export"),
    ("proofs/claims.json", '"linear.v": "', '"other.v": "', "sources", "other.v has changed since the export"),
    ("nsn_ref/analysis/cost.py", "LIN-1", "LIN-7", "docstrings", "layer_cost names LIN-7, which is no claim"),
    ("nsn_ref/analysis/cost.py", "layer_cost", "other", "docstrings", "other names LIN-1, which is not about it"),
    ("docs/claims.toml", "layer_cost", "network_cost", "docstrings", "network_cost, whose docstring does not name it"),
    ("docs/linear.md", "LIN-1", "LIN-11", "pages", "LIN-1 is not on its page"),
    ("docs/linear.md", "See", "See LIN-7 and", "pages", "mentions LIN-7, which is no claim"),
    ("docs/claims.toml", "linear.md", "gone.md", "pages", "LIN-1 is not on its page, docs/gone.md"),
]


@pytest.mark.parametrize(("file", "before", "after", "check", "fault"), FAULTS, ids=[fault[-1] for fault in FAULTS])
def test_a_fault_is_noticed(repository, monkeypatch, file, before, after, check, fault):
    path = repository / file
    doctored = re.sub(before, after, path.read_text(), count=1)
    assert doctored != path.read_text()
    path.write_text(doctored)
    monkeypatch.setattr("nsn_ref.analysis.cost.network_cost.__doc__", "No claim.")
    assert fault in "\n".join(getattr(claims_audit, check)(repository))


def test_a_docstring_may_break_its_line_of_claims():
    assert claims_audit._named("One.\n\n    Claims: LIN-1,\n    GRD-2.\n\n    More.\n") == ["LIN-1", "GRD-2"]
