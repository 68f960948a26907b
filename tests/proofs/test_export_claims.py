"""proofs/claims.json says what the sources say, and what Coq says where it is installed."""

import importlib.util
import json
import pathlib
import shutil
import subprocess

import claims_audit
import pytest

PROOFS = pathlib.Path(__file__).resolve().parents[2] / "proofs"
spec = importlib.util.spec_from_file_location("export_claims", PROOFS / "export_claims.py")
export_claims = importlib.util.module_from_spec(spec)
spec.loader.exec_module(export_claims)

CLAIMS = json.loads((PROOFS / "claims.json").read_text())
SOURCES = sorted(PROOFS.glob("*.v"))
THEOREM = "(* LIN-1, LIN-2. Zero is\n   zero. *)\nTheorem zero : 0 = 0.\nProof. by []. Qed.\n"


def test_every_theorem_of_the_sources_is_exported():
    keys = ("claims", "name", "line", "sentence")
    for path in SOURCES:
        exported = [{key: t[key] for key in keys} for t in CLAIMS["theorems"] if t["file"] == path.name]
        assert exported == export_claims.theorems(path.read_text()), path.name


def test_the_axioms_that_are_allowed_are_those_that_the_ledger_is_checked_for():
    assert export_claims.ALLOWED_AXIOMS == claims_audit.AXIOMS_OF_THE_REALS


def test_every_theorem_has_a_statement():
    assert all(theorem["statement"] for theorem in CLAIMS["theorems"]) and len(CLAIMS["theorems"]) > 0


def test_every_source_is_compiled():
    listed = [line for line in (PROOFS / "_CoqProject").read_text().splitlines() if line.endswith(".v")]
    assert sorted(listed) == [path.name for path in SOURCES]


def test_the_readme_lists_every_theorem_beside_its_claims():
    rows = [line for line in (PROOFS / "README.md").read_text().splitlines() if line.startswith("| ")][1:]
    row_of = {row.split(" | ")[0].removeprefix("| "): row for row in rows}
    assert set(row_of) == {claim for theorem in CLAIMS["theorems"] for claim in theorem["claims"]}
    for theorem in CLAIMS["theorems"]:
        for claim in theorem["claims"]:
            assert f"`{theorem['name']}`" in row_of[claim], (claim, theorem["name"])


def test_theorems_reads_claims_and_sentence():
    expected = {"claims": ["LIN-1", "LIN-2"], "name": "zero", "line": 3, "sentence": "Zero is zero."}
    assert export_claims.theorems(THEOREM) == [expected]


def test_a_theorem_without_a_claim_is_refused():
    with pytest.raises(ValueError, match="zero has no claim id"):
        export_claims.theorems(THEOREM.replace("LIN-1, LIN-2. ", ""))
    with pytest.raises(ValueError, match="zero has no claim id"):
        export_claims.theorems("(* LIN-1. One. *)\n\nTheorem zero : 0 = 0.\n")


@pytest.mark.parametrize(
    "command", ["Admitted", "Axiom a : 0 = 1", "Parameter x : nat", "admit", "Unset Guard Checking"]
)
def test_a_source_that_assumes_is_refused(command):
    with pytest.raises(ValueError, match="assumes something"):
        export_claims.theorems(THEOREM.replace("by []", command))
    assert export_claims.theorems(THEOREM + f"(* no {command} (* here *) *)\n")


def test_axioms_are_read_from_coqs_answer():
    answer = "Axioms:\na.b : forall x : R,\n      x = x\nc_d\n  : nat"
    assert export_claims._axioms(answer) == ["a.b", "c_d"]
    assert export_claims._axioms(export_claims.CLOSED) == []
    with pytest.raises(ValueError, match="unexpected answer"):
        export_claims._axioms("Section Variables:\nx : nat")


def test_coq_compiles_the_proofs_and_exports_the_same(request, tmp_path):
    """The first time this takes minutes; compiled files are kept, and made anew where a source has changed."""
    if shutil.which("coqc") is None:
        pytest.skip("Coq is not installed: the proofs are not compiled, only the hashes of their sources compared")
    build, exported = request.config.cache.mkdir("proofs"), tmp_path / "claims.json"
    subprocess.run(["sh", PROOFS / "build.sh", build, exported], check=True, timeout=1800)
    assert json.loads(exported.read_text()) == CLAIMS
