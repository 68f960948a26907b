"""Records of finished cells: content-addressed files that are complete, unaltered, or an error."""

import contextlib
import json
import uuid
from pathlib import Path
from typing import NamedTuple

from nsn_ref.errors import FileError, OptionError
from nsn_ref.files import made_folder, read_json, sha256, write_atomically

try:
    import fcntl
except ImportError:  # Windows: two processes that share a folder may both run a cell
    fcntl = None

MARK = "folder.json"


class Cell(NamedTuple):
    """What determines a result."""

    experiment: str
    options: dict
    seed: int
    data: str | None  # sha256
    code: str  # see `code_version`

    @property
    def key(self):
        """The cell's address: sha256 of its canonical JSON."""
        return sha256(canonical(self._asdict()))


class Store:
    """A folder of records, one file for each cell; any number of processes may share it.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    """

    def __init__(self, folder):
        self.folder = made_folder(folder)

    def path(self, cell):
        """Where the record of a cell is, or would be."""
        return self.folder / cell.experiment / f"{cell.key}.json"

    def read(self, cell):
        """The record of a cell; None if it has none.

        Raises
        ------
        FileError
            It was altered.
        """
        path = self.path(cell)
        return checked(path, read_json(path), cell) if path.exists() else None

    def write(self, record):
        """Keep a record.

        Raises
        ------
        FileError
        """
        path = self.path(Cell(**record["cell"]))
        made_folder(path.parent)
        write_atomically(path, json.dumps(record, indent=1) + "\n")

    def mark(self):
        """What tells this folder from any other, wherever it is seen from."""
        path = self.folder / MARK
        if not path.exists():
            write_atomically(path, json.dumps({"folder": uuid.uuid4().hex}) + "\n")
        return read_json(path)["folder"]

    @contextlib.contextmanager
    def claimed(self, cell):
        """Hold a cell for oneself; waits while another process does. A process that is killed lets go."""
        if fcntl is None:
            yield
            return
        path = self.path(cell).with_suffix(".lock")
        made_folder(path.parent)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
            if self.path(cell).exists():  # whoever waits finds the record; else the file must stay theirs and ours
                path.unlink(missing_ok=True)


def shared_store(folder, mark):
    """The store in a folder, if this machine sees that very one; else None."""
    path = Path(folder) / MARK
    return Store(folder) if path.exists() and read_json(path) == {"folder": mark} else None


def new_record(cell, result, made):
    """The record of a finished cell.

    Parameters
    ----------
    cell : Cell
    result : dict
        What must come out again.
    made : dict
        When and with what it was made, and how long that took.

    Returns
    -------
    dict

    Raises
    ------
    OptionError
        JSON cannot hold the result: it has NaN, or an array.
    """
    record = {"cell": cell._asdict(), "result": result, "made": made}
    try:
        record = json.loads(json.dumps(record, allow_nan=False))  # in the order of the result, for pages
    except (TypeError, ValueError) as error:
        raise OptionError(f"{cell.experiment}: the result of a cell is not what JSON can hold: {error}") from error
    return record | {"sha256": digest(record)}


def checked(where, record, cell=None):
    """A record as it was written.

    Parameters
    ----------
    where : str or Path
        For the message.
    record : object
        What was read.
    cell : Cell, optional
        Whose record it should be.

    Returns
    -------
    dict

    Raises
    ------
    FileError
    """
    if not isinstance(record, dict) or record.keys() != {"cell", "result", "made", "sha256"}:
        raise FileError(f"{where}: is not the record of a cell")
    if record["sha256"] != digest(record):
        raise FileError(f"{where}: the record was altered; remove it to run its cell again")
    if cell is not None and record["cell"] != json.loads(canonical(cell._asdict())):
        raise FileError(f"{where}: is the record of another cell; remove it to run this one")
    return record


def digest(record):
    """sha256 of all of a record but that entry."""
    return sha256(canonical({name: value for name, value in record.items() if name != "sha256"}))


def canonical(value):
    """JSON of which there is one for each value: sorted, without spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
