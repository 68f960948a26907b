"""Each method has a module, a test and a page that the index leads to."""

from pathlib import Path

import pytest

from nsn_ref.experiments.comparators.methods import METHODS, module

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_leads_to_code_test_and_page(name):
    found = module(name)
    assert found.__name__ == f"nsn_ref.experiments.comparators.{name}" and callable(found.train)
    assert (ROOT / "tests" / "experiments" / "comparators" / f"test_{name}.py").is_file()
    page = (ROOT / "docs" / "comparators" / f"{name}.md").read_text()
    assert "Source: " in page and f"{name}.py" in page
    assert f"({name}.md)" in (ROOT / "docs" / "comparators" / "index.md").read_text()


def test_every_page_is_of_a_method():
    pages = {path.stem for path in (ROOT / "docs" / "comparators").glob("*.md")}
    assert pages == {*METHODS, "index"}
