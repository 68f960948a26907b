"""Writing the suite: committed inputs in; correctly rounded truth, bounds and manifest out.

The result depends on the inputs and the table of cases only, so a second build gives the same bytes.
"""

import json
import math

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.errors import FileError, NeedMorePrecision, SuiteError
from nsn_ref.files import write_atomically
from nsn_ref.golden import contracts, schema, tensors, truth
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.claimed import claims
from nsn_ref.golden.suite import KINDS, MANIFEST, SCHEMA_VERSION, file_name

SUITE_VERSION = "1"
SCHEMA_FILE = "../schema/manifest.schema.json"
LARGE = 1000  # elements of x
SUMS = "any order, fused or not"


def build(inputs_dir, cases=CASES, *, progress=lambda cases: cases, new_inputs=False):
    """The files of a suite.

    Parameters
    ----------
    inputs_dir : Path
        Where the committed inputs lie.
    cases : sequence of Case
    progress : callable
        Wraps the iterable of cases.
    new_inputs : bool
        Draw the inputs of cases that have none. Those that are there are never drawn again.

    Returns
    -------
    dict of str to bytes
        By file name.

    Raises
    ------
    SuiteError, FileError, NeedMorePrecision
    """
    committed = _committed(inputs_dir, cases)

    def computed(case):
        inputs = committed.get(case.id)
        if inputs is None:
            if not new_inputs:
                raise SuiteError(f"golden build: {case.id} has no committed inputs in {inputs_dir}")
            inputs = case.new_inputs()
        try:
            return case, *_truth(case, inputs)
        except NeedMorePrecision as undecided:
            raise NeedMorePrecision(f"golden build: {case.id} cannot be built: {undecided}") from None

    return assemble(map(computed, progress(cases)))


def assemble(computed):
    """The files of a suite, from cases whose truth is known.

    Parameters
    ----------
    computed : iterable of (Case, inputs, expected, bounds)
        The last three are dicts of str to ndarray, in the order of the schema.

    Returns
    -------
    dict of str to bytes
        By file name; the manifest is the last.
    """
    files, entries = {}, []
    for case, *parts in computed:
        entries.append(_entry(case, *parts))
        for kind, named in zip(KINDS, parts, strict=True):
            file = files.setdefault(file_name(case.group, kind), {})
            file.update((f"{case.id}/{name}", x) for name, x in named.items())
    contents = {name: tensors.encode(named) for name, named in files.items()}
    return contents | {MANIFEST: _manifest(entries)}


def _committed(inputs_dir, cases):
    """Inputs by case id, from the files that are there."""
    by_id = {}
    for path in sorted({inputs_dir / file_name(case.group, "inputs") for case in cases}):
        for key, x in (tensors.read(path) if path.exists() else {}).items():
            case_id, _, name = key.rpartition("/")
            by_id.setdefault(case_id, {})[name] = x
    return by_id


def _truth(case, inputs):
    """Inputs, expected outputs and bounds of a case, in the order of the schema."""
    design = case.design
    operation = schema.operation(design.op)
    inputs = {name: inputs[name] for name in operation.tensors("inputs", design.attrs)}
    expected = truth.expected(design.op, inputs, design.attrs)
    expected = {name: expected[name] for name in operation.tensors("outputs", design.attrs)}
    bounds = _bounds(design, case.dtype, inputs, expected)
    return inputs, expected, {name: bounds[name] for name in expected}


def _bounds(design, dtype, inputs, expected):
    """Of a large linear layer in the exact lane by products of magnitudes, which are as good and much faster."""
    from nsn_ref.golden.custom import certificate, linear  # which import this module

    large = design.lane == "exact" and design.op in linear.OPERATIONS and inputs["x"].size > LARGE
    if not large:
        return truth.bounds(design.op, design.lane, dtype, inputs, design.attrs, expected)
    proved = certificate.exact_outputs(design.op, dtype, inputs, design.attrs)
    if any((proved[name] != x).any() for name, x in expected.items()):
        raise NeedMorePrecision("the exact result is not the truth")
    return {name: np.zeros(x.shape) for name, x in expected.items()}


def _entry(case, inputs, expected, bounds):
    """The manifest's entry for a case."""
    design = case.design
    declared = schema.operation(design.op).tensors("outputs", design.attrs)
    return {
        "id": case.id,
        "op": design.op,
        "lane": design.lane,
        "dtype": case.dtype,
        "contract": case.dtype,
        "session": case.session,
        "attrs": schema.encode_attrs(design.op, design.attrs),
        "flag": design.flag,
        "why": design.why,
        "claims": claims(design.op, design.lane, case.dtype),
        "files": {kind: file_name(case.group, kind) for kind in KINDS},
        "inputs": [_described(name, x, x.dtype.name) | {"sha256": tensors.sha256(x)} for name, x in inputs.items()],
        "outputs": [
            _described(name, x, schema.stored_as(declared[name], case.dtype))
            | {"optional": declared[name].optional}
            | {"sha256": tensors.sha256(x), "bound_sha256": tensors.sha256(bounds[name])}
            for name, x in expected.items()
        ],
    }


def _described(name, x, dtype):
    return {"name": name, "dtype": dtype, "shape": list(x.shape)}


def _manifest(entries):
    """One case a line: a change shows as the lines of the cases that changed."""
    head = {
        "$schema": SCHEMA_FILE,
        "schema_version": SCHEMA_VERSION,
        "suite": "nsn",
        "suite_version": SUITE_VERSION,
        "contracts": {name: _contract(name) for name in sorted({entry["contract"] for entry in entries})},
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    cases = ",\n".join(f"  {json.dumps(entry)}" for entry in entries)
    return "\n".join(["{", *lines, ' "cases": [', cases, " ]", "}", ""]).encode()


def _contract(name):
    """What the bounds of a format were derived for."""
    contract = contracts.default(name)
    storage = formats.named(contract.storage)
    promises = contract.to_json()
    elementary = {"elementary_ulps": promises.pop("ulps")}
    del promises["name"]
    numbers = {"unit_roundoff": storage.unit_roundoff, "smallest_normal": storage.smallest_normal}
    return {key: f"0x1p{int(math.log2(x))}" for key, x in numbers.items()} | {"sums": SUMS} | promises | elementary


def differences(contents, suite_dir):
    """Names of files in a folder that are missing or differ from `contents`, or do not belong there."""
    there = {path.name for path in suite_dir.iterdir() if path.is_file()} if suite_dir.is_dir() else set()
    wrong = [name for name, data in contents.items() if name not in there or (suite_dir / name).read_bytes() != data]
    return sorted([*wrong, *(there - contents.keys())])


def write(contents, suite_dir):
    """Write the files of a suite, the manifest last.

    Raises
    ------
    FileError
    """
    try:
        suite_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{suite_dir}: cannot be made: {error.strerror}") from None
    for name, data in contents.items():
        write_atomically(suite_dir / name, data)
