"""Metrics: lines of JSON, kept up to the checkpoint and no further."""

import contextlib
import json

import pytest

from nsn_ref.errors import FileError
from nsn_ref.training.metrics import MetricsLog, read_metrics

RECORDS = [{"step": i, "ranks": [7, 2], "losses": [i / 3], "seconds": i / 10} for i in range(1, 6)]


def test_lines_come_back(tmp_path):
    with contextlib.closing(MetricsLog(tmp_path)) as log:
        for record in RECORDS[:3]:
            log.append(record)
        log.sync()
        assert read_metrics(tmp_path, 3) == RECORDS[:3]  # before the file is closed
        log.append(RECORDS[3])
    assert read_metrics(tmp_path, 4) == RECORDS[:4] == log.records


def test_a_log_that_goes_on_drops_what_lies_behind_the_checkpoint(tmp_path):
    with contextlib.closing(MetricsLog(tmp_path)) as log:
        for record in RECORDS:
            log.append(record)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "los')  # a kill in the middle of a line
    with contextlib.closing(MetricsLog(tmp_path, read_metrics(tmp_path, 2))) as log:
        log.append({"step": 3, "losses": [9.0]})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [*RECORDS[:2], {"step": 3, "losses": [9.0]}]


def test_without_a_folder_records_are_kept_in_memory():
    log = MetricsLog(None)
    log.append(RECORDS[0])
    log.sync()
    log.close()
    assert log.records == RECORDS[:1]


def test_damage_is_named(tmp_path):
    with contextlib.closing(MetricsLog(tmp_path, RECORDS)):
        pass
    with pytest.raises(FileError, match=r"metrics\.jsonl: line 6 is missing or damaged"):
        read_metrics(tmp_path, 6)
    for i, key in enumerate(("ranks", "losses", "seconds")):
        lines = [json.dumps(record) for record in RECORDS]
        lines[i] = json.dumps(RECORDS[i] | {key: None})
        (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
        with pytest.raises(FileError, match=rf"line {i + 1} is missing or damaged"):
            read_metrics(tmp_path, 5)
    with pytest.raises(ValueError, match="Out of range float"):  # NaN is not JSON
        MetricsLog(tmp_path, [{"step": 1, "losses": [float("nan")]}])
