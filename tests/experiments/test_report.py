"""Pages follow from the records beside them."""

import json

import pytest

from nsn_ref.errors import FileError
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.processes import execute
from nsn_ref.experiments.records import Store
from nsn_ref.experiments.report import read_results, rebuild, write_results
from nsn_ref.experiments.runner import complete

FACTS = {"experiment": "toy", "command": "nsn-ref experiment toy --seeds 3", "data": "iris"}


@pytest.fixture
def records(toy, tmp_path):
    return complete(plan(toy, seeds=3), Store(tmp_path / "records"), execute)


def test_what_is_written(records, tmp_path):
    paths = write_results(tmp_path / "out", FACTS, records)
    assert sorted(path.name for path in paths) == ["toy.jsonl", "toy.md", "toy.png"] and all(p.exists() for p in paths)
    page = (tmp_path / "out" / "toy.md").read_text()
    assert page.startswith("# A toy\n") and "\n    nsn-ref experiment toy --seeds 3\n" in page
    accuracies = ", ".join(f"{100 * record['result']['accuracy']:.1f}" for record in records)
    assert f"Accuracies: {accuracies}." in page and "![Accuracy by rank](toy.png)" in page
    made = records[0]["made"]["environment"]
    assert made["processor"] in page and made["versions"]["numpy"] in page and records[0]["cell"]["code"] in page
    assert "9 cells, seeds 0 to 2: in" in page and "{" not in page and page.endswith(".\n")
    assert read_results(tmp_path / "out" / "toy.jsonl") == (FACTS, records)


def test_pages_are_written_again_from_the_records(records, tmp_path):
    paths = write_results(tmp_path / "out", FACTS, records)
    before = {path.name: path.read_bytes() for path in paths}
    for path in paths[1:]:
        path.unlink()
    written = rebuild(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in paths} == before
    assert sorted(path.name for path in written) == ["experiments.md", "toy.md", "toy.png"]
    assert "| [A toy](toy.md) | ours | iris | 9 | 0.0 | 0.0 |" in (tmp_path / "out" / "experiments.md").read_text()


def altered(line):
    return line.replace('"accuracy": 0.', '"accuracy": 0.1')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "not complete"),
        (lambda lines: lines[:1], "not complete"),
        (lambda lines: [lines[0], *lines[:0:-1]], "not complete"),
        (lambda lines: [lines[0].replace("--seeds 3", "--seeds 9"), *lines[1:]], "altered"),
        (lambda lines: [*lines[:4], altered(lines[4]), *lines[5:]], "line 5: the record was altered"),
        (lambda lines: [*lines[:4], lines[4][:-9], *lines[5:]], "are not the records"),
        (lambda lines: [], "are not the records"),
        (lambda lines: ["[1]", *lines[1:]], "are not the records"),
    ],
)
def test_altered_results_are_named(records, tmp_path, change, message):
    path, *_ = write_results(tmp_path / "out", FACTS, records)
    page = (tmp_path / "out" / "toy.md").read_bytes()
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(FileError, match=f"toy.jsonl.*{message}"):
        rebuild(tmp_path / "out")
    assert (tmp_path / "out" / "toy.md").read_bytes() == page


def test_a_folder_without_records(tmp_path):
    with pytest.raises(FileError, match="has no records"):
        rebuild(tmp_path)


def test_records_are_lines_of_json(records, tmp_path):
    path, *_ = write_results(tmp_path, FACTS, records)
    head, *rest = map(json.loads, path.read_text().splitlines())
    assert head["records"] == [record["sha256"] for record in rest] and len(rest) == 9
