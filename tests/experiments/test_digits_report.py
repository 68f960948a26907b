"""The page and the table follow from the record alone."""

import copy
import json
from pathlib import Path

import pytest

from nsn_ref.errors import FileError
from nsn_ref.experiments import digits, digits_report
from nsn_ref.experiments.paired import corrected_interval

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def record():
    """A made-up record: three splits, trained at 2 and 16, untrained at 8."""
    splits = [
        {
            "nested": {"2": 0.70 + d, "8": 0.80, "16": 0.98},
            "specialist": {"2": 0.75, "8": 0.95 + d, "16": 0.975 + d},
            "truncated": {"2": 0.20 + d, "8": 0.60, "16": 0.975 + d},
            "dense": {"2": 0.95 - d, "16": 0.985},
        }
        for d in (0.0, 0.01, 0.03)
    ]
    return {
        "command": "the command",
        "plan": {"hidden": [32, 32], "R": 16, "trained": [2, 16], "untrained": [8]},
        "settings": digits.SETTINGS,
        "nested": digits.NESTED,
        "environment": {"versions": {"python": "3", "numpy": "2", "nsn_ref": "0"}, "processor": "a CPU",
                        "blas": [{"num_threads": 1}]},
        "rows": 1797,
        "flops": {"2": 1280, "8": 3200, "16": 5760},
        "dense_flops": {"2": 1312, "16": 5712},
        "dense_widths": {"2": 8, "16": 28},
        "splits": splits,
    }  # fmt: skip


def test_summary_is_paired_by_split(record):
    two, eight, sixteen = digits_report.summary(record)
    assert (two.rank, two.trained, eight.trained) == (2, True, False)
    expected = {"nested": 71.3333, "specialist": 75, "truncated": 21.3333, "dense": 93.6667}
    assert two.accuracy == pytest.approx(expected, abs=1e-3)
    assert two.difference["truncated"] == pytest.approx((50, 50, 50), abs=1e-9)  # the same in every split
    assert two.difference["dense"] == pytest.approx(corrected_interval([-25, -23, -19], 1 / 4))
    assert "dense" not in eight.accuracy and "dense" not in eight.difference
    assert sixteen.difference["specialist"].mean == pytest.approx(-0.8333, abs=1e-4)


def test_the_page_says_what_the_record_says(record):
    page = digits_report.page(record, digits_report.summary(record))
    assert "    the command\n" in page
    assert "| 2 | 1,280 | 8 | 1,312 | 71.3 | 93.7 | -22.33 |" in page
    assert "Of the ranks from 4 on (16)" in page and "on average at 16; the interval excludes" in page
    assert "excludes a larger deficit at none." in page
    assert "| 2 | 62.1 | 65.2 | -3.1 | -3.67 |" in page and "| 4 | 80.7 | 80.7 | +0.0 |  |" in page
    assert "Ours are 85 % and 80 %" in page
    assert "-3.7 at rank 2" in page
    assert "for the nested network, at ranks 2." in page
    assert "{" not in page and "BLAS threads: 1" in page
    worse = copy.deepcopy(record)
    for split in worse["splits"]:
        split["nested"]["16"] = 0.9
    assert "on average at none;" in digits_report.page(worse, digits_report.summary(worse))


def test_files_are_written(record, tmp_path):
    paths = digits_report.write(tmp_path / "new", record)
    assert {path.name for path in paths} == {"digits.md", "digits.json", "digits.png"}
    assert json.loads((tmp_path / "new" / "digits.json").read_text()) == record
    image = (tmp_path / "new" / "digits.png").read_bytes()
    assert image[:4] == b"\x89PNG" and len(image) < 150_000
    assert image == digits_report.figure(digits_report.summary(record))
    with pytest.raises(FileError, match="cannot be made"):
        digits_report.write(paths[0], record)


def test_the_committed_page_follows_from_the_committed_record():
    record = json.loads((RESULTS / "digits.json").read_text())
    assert (RESULTS / "digits.md").read_text() == digits_report.page(record, digits_report.summary(record))
    assert len(record["splits"]) == 5 * record["plan"]["repeats"] and record["plan"] == json.loads(
        json.dumps(digits.asdict(digits.FULL))
    )
    assert (RESULTS / "digits.png").stat().st_size < 150_000
