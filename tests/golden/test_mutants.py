"""Mutants: the committed list is what the generator makes; a mutant is told from a right port."""

import ast

import pytest

from nsn_ref.errors import SuiteError
from nsn_ref.golden.locate import golden_dir
from nsn_ref.golden.mutants import mechanical


def test_the_committed_list_is_what_the_generator_makes():
    committed = (golden_dir() / "mutants" / mechanical.LIST).read_text()
    assert mechanical.listing(mechanical.base()) == committed


def test_every_mechanical_mutant_is_python_and_unlike_every_other():
    text, seen = mechanical.base(), set()
    for mutant in mechanical.committed():
        dump = ast.dump(ast.parse(mutant.apply(text)))
        assert dump not in seen
        seen.add(dump)
    assert len(seen) > 500 and ast.dump(ast.parse(text)) not in seen


def test_rules_on_a_small_text():
    text = "def f(a, b, r):\n    return a[:r] - b / 2\n"
    news = {(m.kind, m.new) for m in mechanical.generate(text)}
    assert {
        ("operator", "(a[:r] + (b / 2))"),
        ("omit term", "a[:r]"),
        ("swap", "((b / 2) - a[:r])"),
        ("slice", "a[:r - 1]"),
        ("slice", "a[-r:]"),
        ("constant", "3"),
        ("omit statement", "pass"),
        ("name", "b"),
        ("transpose", "a[:r].mT"),
    } <= news


def test_another_seed_draws_others():
    text = mechanical.base()
    first, second = ({m.sha256 for m in mechanical.generate(text, seed)} for seed in (1, 2))
    assert first != second and len(first & second) > 300


def test_a_mutant_of_another_text_is_refused():
    mutant = mechanical.committed()[0]
    with pytest.raises(SuiteError, match="m001 does not belong to this text"):
        mutant.apply(mechanical.base() + "\n")


def test_an_altered_list_is_refused(monkeypatch):
    monkeypatch.setattr(mechanical, "base", lambda: "x = 1\n")
    with pytest.raises(SuiteError, match="has been altered"):
        mechanical.committed()
