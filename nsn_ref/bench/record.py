"""What is kept of benchmarks: the machine, and by name the command that ran each and what it found."""

import json

from nsn_ref.bench import machine
from nsn_ref.errors import FileError, OptionError


def begin(path=None):
    """A record without benchmarks, or, to add to, the one in a file.

    Parameters
    ----------
    path : Path, optional
        A file that `nsn-ref bench --json` has written, on this machine and with these versions.

    Returns
    -------
    dict

    Raises
    ------
    FileError, OptionError
    """
    here = machine.info()
    if path is None or not path.exists():
        return {"machine": here, "commands": {}, "benchmarks": {}}
    try:
        record = json.loads(path.read_text())
        there, _, _ = record["machine"], record["commands"], record["benchmarks"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FileError(f"{path}: cannot be added to: it is no record of benchmarks") from error
    for key, value in here.items():
        if there.get(key) != value:
            raise OptionError(f"bench: {key} is {value}, expected {there.get(key)} as in {path}, to add to it")
    return record


def commands(record):
    """The commands that made a record, each once, in the order of its benchmarks."""
    return tuple(dict.fromkeys(record["commands"][name] for name in record["benchmarks"]))
