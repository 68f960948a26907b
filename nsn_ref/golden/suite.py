"""Reading a suite: the manifest and the tensors, every one checked against its hash."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import FileError, SuiteError
from nsn_ref.golden import schema, tensors

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
KINDS = ("inputs", "expected", "bounds")
LANES = ("exact", "certified", "staged", "sequence")


class Output(NamedTuple):
    """What is expected of one output."""

    dtype: str  # the port's; the truth is float64
    optional: bool
    expected: np.ndarray
    bound: np.ndarray  # the shape of expected


class SuiteCase(NamedTuple):
    """One case, complete."""

    id: str
    op: str
    lane: str
    dtype: str
    session: str | None
    attrs: dict
    flag: str
    why: str
    inputs: dict  # str to ndarray
    outputs: dict  # str to Output


def file_name(group, kind):
    """The file of one kind ("inputs", "expected", "bounds") for the cases of a group."""
    return f"{group}.{kind}.safetensors"


def load(folder):
    """Read a suite.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of SuiteCase
        At least one.

    Raises
    ------
    SuiteError
        A file is missing, truncated or altered; the suite is empty, or newer than this program; an operation, a lane
        or a tensor that does not exist.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    files = {}
    try:
        cases = [_case(folder, entry, files) for entry in manifest["cases"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise SuiteError(f"{folder / MANIFEST}: a case is not as the schema says: {error!r}") from None
    except FileError as error:
        raise SuiteError(str(error)) from None
    if not cases:
        raise SuiteError(f"{folder / MANIFEST}: has no cases, expected at least one")
    return cases


def _manifest(folder):
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SuiteError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise SuiteError(f"{path}: not JSON: {error}") from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or not isinstance(manifest.get("cases"), list):
        raise SuiteError(f"{path}: not a golden suite: expected an object with schema_version and cases")
    if version > SCHEMA_VERSION:
        raise SuiteError(f"{path}: schema version {version}, this program reads up to {SCHEMA_VERSION}")
    return manifest


def _case(folder, entry, files):
    operation = schema.operation(entry["op"])
    if entry["lane"] not in LANES:
        raise SuiteError(f"{folder / MANIFEST}: {entry['id']}: unknown lane {entry['lane']!r}")
    attrs = schema.decode_attrs(entry["op"], entry["attrs"])
    for which in ("inputs", "outputs"):
        names, known = [t["name"] for t in entry[which]], operation.tensors(which, attrs)
        if names != list(known):
            raise SuiteError(f"{folder / MANIFEST}: {entry['id']}: {which} are {names}, expected {list(known)}")

    def tensor(kind, item, dtype, key="sha256"):
        name = entry["files"][kind]
        if name not in files:
            files[name] = tensors.read(folder / name)
        return _checked(folder / name, files[name], f"{entry['id']}/{item['name']}", dtype, item["shape"], item[key])

    return SuiteCase(
        *(entry[key] for key in ("id", "op", "lane", "dtype", "session")),
        attrs,
        *(entry[key] for key in ("flag", "why")),
        {item["name"]: tensor("inputs", item, item["dtype"]) for item in entry["inputs"]},
        {
            item["name"]: Output(
                item["dtype"],
                item["optional"],
                tensor("expected", item, "float64"),
                tensor("bounds", item, "float64", "bound_sha256"),
            )
            for item in entry["outputs"]
        },
    )


def _checked(path, named, key, dtype, shape, sha256):
    """A tensor of a file, if it is the one that the manifest describes."""
    if key not in named:
        raise SuiteError(f"{path}: has no tensor {key}")
    x = named[key]
    if x.dtype.name != dtype or list(x.shape) != shape:
        raise SuiteError(f"{path}: {key} is {x.dtype} {list(x.shape)}, expected {dtype} {shape}")
    if tensors.sha256(x) != sha256:
        raise SuiteError(f"{path}: {key} has been altered: its sha256 is not the manifest's")
    return x
