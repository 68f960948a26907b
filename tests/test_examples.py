"""The worked examples: pages in order, figures with today's numbers, an algorithm that is the code beside it."""

import functools
import json
import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
PAGES = sorted(FOLDER.glob("*.md"))
FIGURES = runpy.run_path(str(FOLDER / "figures.py"))
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"


@functools.cache
def drawn(name):
    return FIGURES["FIGURES"][name]()


def test_every_page_leads_to_the_next():
    assert [int(page.name[:2]) for page in PAGES] == list(range(1, len(PAGES) + 1))
    for number, (page, after) in enumerate(zip(PAGES, [*PAGES[1:], Path("../python-api.md")], strict=True), 1):
        text = page.read_text()
        assert text.startswith(f"# {number}. ")
        link = re.search(rf"^Next: \[{number + 1}\. [^]]+\]\((.+)\)$", text, re.M)
        assert link and link[1] == str(after if number == len(PAGES) else after.name), page.name


@pytest.mark.parametrize("name", FIGURES["FIGURES"])
def test_a_figure_shows_the_numbers_of_today(name):
    """Committed by the script beside it; letters and curves may be drawn otherwise by another matplotlib."""
    stored = json.loads(next(ElementTree.parse(FOLDER / name).iter(DESCRIPTION)).text)
    today = FIGURES["content"](drawn(name))
    assert stored["texts"] == today["texts"]
    assert len(stored["lines"]) == len(today["lines"])
    for old, new in zip(stored["lines"], today["lines"], strict=True):
        assert np.allclose(old, new, rtol=1e-9, atol=0)  # as printed in JSON, but for the rounding of sums


@pytest.mark.parametrize("name", FIGURES["FIGURES"])
def test_a_figure_reads_without_colour_and_without_eyes(name):
    lines = drawn(name).axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == len(lines)
    (alt,) = (m[1] for page in PAGES for m in re.finditer(rf"!\[([^]]+)\]\({name}\)", page.read_text()))
    assert len(alt) > 80


def test_every_line_of_the_algorithm_is_the_code_that_runs():
    text = next(page for page in PAGES if page.name.startswith("09")).read_text()
    rows = re.findall(r"^\| (\d+) \| .+ \| `([^`|]+)` \|$", text, re.M)
    code = re.search(r"```python\n(.*?)^```", text, re.M | re.S)[1]
    numbered = dict(re.findall(r"^ *(.+?)  # (\d+)$", code, re.M))
    assert len(rows) == 17
    assert {line: number for number, line in rows} == numbered
