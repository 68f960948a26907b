"""A suite that is not what its makers shipped is refused, with one sentence."""

import json
import shutil

import jsonschema
import pytest

from nsn_ref import claims, ops
from nsn_ref.errors import SuiteError
from nsn_ref.golden import suite
from nsn_ref.golden.locate import golden_dir, suite_dir

FILE = "objective_forward.float64.expected.safetensors"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(suite_dir(), tmp_path / "suite")


@pytest.fixture
def manifest():
    return json.loads((suite_dir() / "manifest.json").read_text())


@pytest.fixture
def validator():
    schema = json.loads((golden_dir() / "schema" / "manifest.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def edit(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_manifest_is_as_its_schema_says(manifest, validator):
    assert list(validator.iter_errors(manifest)) == []


@pytest.mark.parametrize("key", ["id", "why", "attrs", "outputs", "session"])
def test_the_schema_notices_what_is_missing(manifest, validator, key):
    del manifest["cases"][0][key]
    assert list(validator.iter_errors(manifest))


def test_the_suite_is_small(manifest):
    assert sum(path.stat().st_size for path in suite_dir().iterdir()) < 25_000_000


def test_a_flipped_bit_is_noticed_in_any_kind_of_file(copy):
    for kind in suite.KINDS:
        path = copy / f"objective_forward.float64.{kind}.safetensors"
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
        with pytest.raises(SuiteError, match=f"{kind}.safetensors: objective_forward/f64/.* has been altered"):
            suite.load(copy)
        path.write_bytes((suite_dir() / path.name).read_bytes())
    assert suite.load(copy)


def test_a_truncated_file_is_noticed(copy):
    data = (copy / FILE).read_bytes()
    (copy / FILE).write_bytes(data[:-1])
    with pytest.raises(SuiteError, match=f"{FILE}: not a safetensors file"):
        suite.load(copy)


def test_a_missing_file_is_noticed(copy):
    (copy / FILE).unlink()
    with pytest.raises(SuiteError, match=f"{FILE}: No such file"):
        suite.load(copy)


def test_a_missing_or_broken_manifest_is_noticed(copy, tmp_path):
    with pytest.raises(SuiteError, match=r"manifest\.json: No such file"):
        suite.load(tmp_path)
    text = (copy / "manifest.json").read_text()
    for broken, message in ((text[:-30], "not JSON"), ("[]", "not a golden suite"), ("{}", "not a golden suite")):
        (copy / "manifest.json").write_text(broken)
        with pytest.raises(SuiteError, match=message):
            suite.load(copy)


def first(manifest):
    return manifest["cases"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["cases"].clear(), "has no cases"),
        (lambda m: m.update(schema_version=2), "schema version 2, this program reads up to 1"),
        (lambda m: first(m).update(op="conv"), "unknown operation 'conv'"),
        (lambda m: first(m).update(lane="fast"), "unknown lane 'fast'"),
        (lambda m: first(m).update(attrs={}), "attributes of nested_linear_forward"),
        (lambda m: first(m).pop("why"), "is not as the schema says: KeyError"),
        (lambda m: first(m)["outputs"].pop(0), r"outputs are \['y'\], expected \['h', 'y'\]"),
        (lambda m: first(m)["inputs"][0].update(name="X"), r"inputs are \['X', 'A'"),
        (lambda m: first(m)["inputs"][0].update(shape=[7, 5]), r"expected float64 \[7, 5\]"),
        (lambda m: first(m)["inputs"][0].update(sha256="0" * 64), "has been altered"),
        (lambda m: first(m)["outputs"][0].update(bound_sha256="0" * 64), "has been altered"),
        (lambda m: first(m).update(id="other/f64/x-001"), "has no tensor other/f64/x-001/x"),
    ],
)
def test_a_wrong_manifest_is_refused(copy, change, message):
    edit(copy, change)
    with pytest.raises(SuiteError, match=message):
        suite.load(copy)


def test_claims_are_those_of_the_ledger(manifest):
    entries = manifest["cases"]
    ledger = {claim.id: claim for claim in claims.load()}
    for entry in entries:
        assert set(entry["claims"]) <= ledger.keys()
        assert ("FLT-3" in entry["claims"]) == (entry["lane"] == "exact")
        if hasattr(ops, entry["op"]):
            about_layers = [ledger[name] for name in entry["claims"] if not name.startswith("FLT")]
            assert all(f"nsn_ref.ops.{entry['op']}" in claim.functions for claim in about_layers)
    assert {"GRD-2", "OBJ-8", "GRD-6"} <= {name for entry in entries for name in entry["claims"]}
