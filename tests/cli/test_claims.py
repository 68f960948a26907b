"""`nsn-ref claims`: what it prints, what it writes, what it refuses."""

import json

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref import claims as ledger
from nsn_ref.claims_page import page
from nsn_ref.cli.claims import claims
from nsn_ref.errors import ClaimError, NSNError

app = typer.Typer(rich_markup_mode="rich")
app.command()(claims)


def run(*arguments):
    """What is printed; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_has_every_claim_and_fits():
    output = run()
    every = ledger.load()
    assert all(f"  {claim.id} " in output for claim in every)
    assert max(map(len, output.splitlines())) <= 100
    assert f"{len(every)} claims" in output and "W_{r+1}" in output


def test_a_family_and_a_status():
    output = run("LIN", "--status", "refuted as stated")
    assert "LIN-5" in output and "LIN-1 " not in output and "OBJ-2" not in output


def test_one_claim_in_full():
    output = run("LIN-3")
    (claim,) = ledger.select(ledger.load(), ["LIN-3"])
    (name,) = claim.theorems
    theorem = ledger.theorems()[name]
    expected = claim.sentence, claim.formula, claim.source, theorem.statement, f"proofs/linear.v:{theorem.line}"
    for text in (*expected, *claim.tests, *claim.functions, "axioms: none", f"docs/{claim.page}"):
        assert text in output
    assert "ClassicalDedekindReals" in run("OBJ-1")


def test_json():
    (printed,) = json.loads(run("GAU-1", "--json"))
    (claim,) = ledger.select(ledger.load(), ["GAU-1"])
    assert printed == {k: list(v) if isinstance(v, tuple) else v for k, v in claim._asdict().items()}


def test_the_page_is_written_whole_whatever_is_selected(tmp_path):
    path = tmp_path / "claims.md"
    assert f"wrote {path}" in run("LIN", "--docs", str(path)).replace("\n", "")
    assert path.read_text() == page(ledger.load(), ledger.theorems())


def test_what_no_claim_can_be_is_refused():
    with pytest.raises(ClaimError, match="got LIN-99, expected"):
        run("LIN-99")
    with pytest.raises(ClaimError, match="status is 'true'"):
        run("--status", "true")
