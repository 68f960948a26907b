"""Reading the ledger: what it holds, how it is selected, what is refused."""

import pytest

from nsn_ref import claims
from nsn_ref.errors import ClaimError, FileError

ENTRY = """[[claim]]
id = "GAU-2"
sentence = "Scales cancel."
formula = "d / d = 1"
source = "ours"
status = "proved"
theorems = ["gauge.v:gauge_diag"]
tests = ["tests/claims/test_gau.py::test_scales"]
functions = []
page = "surgery.md"
"""


@pytest.fixture
def ledger(tmp_path):
    """Write a ledger and read it."""

    def read(text):
        path = tmp_path / "claims.toml"
        path.write_text(text)
        return claims.load(path)

    return read


def test_an_entry_becomes_a_claim(ledger):
    (claim,) = ledger(ENTRY)
    assert claim.id == "GAU-2" and claim.family == "GAU" and claim.status == "proved"
    assert claim.theorems == ("gauge.v:gauge_diag",) and claim.functions == ()


def test_the_ledger_that_ships_is_found_and_in_order():
    listed = [(claim.family, int(claim.id[4:])) for claim in claims.load()]
    families = list(claims.FAMILIES)
    assert listed == sorted(listed, key=lambda name: (families.index(name[0]), name[1])) and len(listed) > 40
    assert {family for family, _ in listed} == set(families)


def test_theorems_are_found_by_file_and_name():
    theorem = claims.theorems()["linear.v:rank_Wpre"]
    assert theorem.claims == ["LIN-3"] and theorem.axioms == [] and theorem.line > 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('page = "surgery.md"\n', "", "fields missing or unknown: page"),
        ("sentence", 'color = "red"\nsentence', "unknown: color"),
        ("functions = []", 'functions = "f"', "functions is 'f', expected a list of text"),
        ("functions = []", "functions = [1]", "functions is \\[1\\], expected a list of text"),
        ('"Scales cancel."', '""', "sentence is '', expected a str of text that is not empty"),
        ("GAU-2", "GAU-02", "GAU-02: expected a family of LIN"),
        ("GAU-2", "XYZ-2", "XYZ-2: expected a family of LIN"),
        ('"proved"', '"known"', "status is 'known', expected one of proved"),
        ("d / d", "|d|", "formula has a bar"),
        ("[[claim]]", "[[claims]]", "expected only \\[\\[claim\\]\\]"),
    ],
)
def test_a_malformed_entry_is_refused(ledger, before, after, message):
    assert before in ENTRY
    with pytest.raises(ClaimError, match=message):
        ledger(ENTRY.replace(before, after, 1))


def test_an_id_that_comes_twice_is_refused(ledger):
    with pytest.raises(ClaimError, match="GAU-2 more than once"):
        ledger(ENTRY + ENTRY)


def test_a_file_that_is_missing_or_not_toml_is_refused(ledger, tmp_path):
    with pytest.raises(FileError, match="is not TOML"):
        ledger("[[claim]")
    with pytest.raises(FileError, match="cannot be read"):
        claims.load(tmp_path / "none.toml")


def test_selecting(ledger):
    every = ledger(ENTRY + "\n" + ENTRY.replace("GAU-2", "GAU-21").replace('"proved"', '"empirical"'))
    assert claims.select(every) == claims.select(every, ["GAU"]) == every
    assert [claim.id for claim in claims.select(every, ["GAU-2"])] == ["GAU-2"]
    assert [claim.id for claim in claims.select(every, ["GAU"], "empirical")] == ["GAU-21"]
    with pytest.raises(ClaimError, match="got GAU-3, expected ids, or families of GAU"):
        claims.select(every, ["GAU-2", "GAU-3"])
    with pytest.raises(ClaimError, match="status is 'known'"):
        claims.select(every, status="known")
