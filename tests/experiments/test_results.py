"""The committed pages follow from the committed records."""

import shutil
from pathlib import Path

import pytest

from nsn_ref.experiments.report import INDEX, SUFFIX, rebuild, write_page

RESULTS = Path(__file__).parents[2] / "docs" / "results"
RECORDS = sorted(RESULTS.glob(f"*{SUFFIX}"))


@pytest.mark.parametrize("records", RECORDS, ids=lambda path: path.stem)
def test_a_page_is_what_its_records_give(records, tmp_path):
    shutil.copy(records, tmp_path)
    for path in write_page(tmp_path / records.name):
        committed = RESULTS / path.name
        if path.suffix == ".md":
            assert committed.read_text() == path.read_text()
        else:
            assert 0 < committed.stat().st_size < 300_000  # its bytes depend on the version of Matplotlib


@pytest.mark.slow
def test_the_list_is_that_of_the_pages(tmp_path):
    for path in RECORDS:
        shutil.copy(path, tmp_path)
    rebuild(tmp_path)
    assert (RESULTS / INDEX).read_text() == (tmp_path / INDEX).read_text()
