"""docs/results/questions.md quotes numbers that stand on the pages that it links to."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "results" / "questions.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_numbers_are_those_of_the_page(row):
    _, _, answer, links, _ = row.split("|")
    pages = "".join((PAGE.parent / name).read_text() for name in re.findall(r"\]\(([^)]+)\)", links))
    assert pages
    for number in re.findall(r"[-+]?\d+\.\d+", answer):
        assert re.search(rf"(?<![\d.]){re.escape(number.lstrip('+-'))}(?!\d)", pages), number
