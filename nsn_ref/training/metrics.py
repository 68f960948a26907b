"""Metrics of a run as JSON lines: one object for each step."""

import contextlib
import json
import os
from pathlib import Path

from nsn_ref.errors import FileError
from nsn_ref.files import read_bytes, write_atomically

FILE = "metrics.jsonl"
FIELDS = {"ranks": list, "losses": list, "seconds": float}  # those that resuming and the frontier read


class MetricsLog:
    """Appends records to a file; without a folder it only keeps them.

    Lines reach the disk at `sync`, which comes before each checkpoint; a line that a kill cut short lies behind the
    last checkpoint and is dropped when the run resumes.
    """

    def __init__(self, folder, records=()):
        self.records = list(records)
        self._file = None
        if folder is not None:
            path = Path(folder) / FILE
            write_atomically(path, "".join(map(_line, self.records)))
            self._file = path.open("a", encoding="utf-8")

    def append(self, record):
        """Add the record of one step."""
        if self._file is not None:
            self._file.write(_line(record))
        self.records.append(record)

    def sync(self):
        """Bring every line to the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self):
        """Write what is left and close the file."""
        if self._file is not None:
            self._file.close()


def read_metrics(folder, steps):
    """The records of the first `steps` steps.

    Raises
    ------
    FileError
        The file is missing, a line of those steps is not JSON, or there are fewer.
    """
    path = Path(folder) / FILE
    lines = read_bytes(path).splitlines()[:steps]
    records = []
    with contextlib.suppress(ValueError):
        for i, line in enumerate(lines):
            record = json.loads(line)
            if not isinstance(record, dict) or record.get("step") != i + 1 or not _has_what_is_read(record):
                break
            records.append(record)
    if len(records) < steps:
        raise FileError(f"{path}: line {len(records) + 1} is missing or damaged, expected the record of that step")
    return records


def _has_what_is_read(record):
    return all(isinstance(record.get(key), kind) for key, kind in FIELDS.items())


def _line(record):
    return json.dumps(record, allow_nan=False) + "\n"
