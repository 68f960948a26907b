"""A reader and a checker of the golden suite, written from golden/README.md with the standard library and NumPy only.

python standalone_checker.py FOLDER PROGRAM [ARGUMENT ...]

`test_standalone.py` runs it on a copy of golden/ that has nothing else beside it.
"""

import hashlib
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64"}


def read(path):
    """The tensors of a safetensors file: code, shape and bytes by name."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    spans = {name: [start + offset for offset in t["data_offsets"]] for name, t in header.items()}
    return {name: (t["dtype"], t["shape"], data[slice(*spans[name])]) for name, t in header.items()}


def write(path, tensors):
    """A safetensors file of such tensors."""
    header, blobs, offset = {}, [], 0
    for name, (code, shape, blob) in tensors.items():
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    path.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *blobs]))


def numbers(tensor):
    """The elements of a tensor of floats in float64."""
    code, shape, blob = tensor
    if code == "BF16":  # the upper half of a float32
        flat = (np.frombuffer(blob, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        flat = np.frombuffer(blob, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[code])
    return flat.astype(np.float64).reshape(shape)


def load(folder):
    """The manifest's cases, each with its tensors by kind; every hash is compared."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema_version"] <= 1 and manifest["cases"], "a newer or an empty suite"
    files = {name: read(folder / name) for case in manifest["cases"] for name in case["files"].values()}
    hashes = 0
    for case in manifest["cases"]:
        listed = [("inputs", t, "sha256", t["dtype"]) for t in case["inputs"]]
        listed += [("expected", t, "sha256", "float64") for t in case["outputs"]]
        listed += [("bounds", t, "bound_sha256", "float64") for t in case["outputs"]]
        for kind, t, key, dtype in listed:
            code, shape, blob = tensor = files[case["files"][kind]][f"{case['id']}/{t['name']}"]
            assert (code, shape) == (CODES[dtype], t["shape"]), f"{case['id']}: {kind} {t['name']} is {code} {shape}"
            assert hashlib.sha256(blob).hexdigest() == t[key], f"{case['id']}: {kind} {t['name']} has been altered"
            case.setdefault("tensors", {}).setdefault(kind, {})[t["name"]] = tensor
            hashes += 1
    return manifest["cases"], hashes


def run(program, cases, folder):
    """Call a program once for all cases; for each the path of its answer."""
    calls = []
    for number, case in enumerate(cases):
        path = folder / f"{number:04}.safetensors"
        write(path, case["tensors"]["inputs"])
        named = {key: case[key] for key in ("op", "attrs", "session")}
        calls.append({"id": f"{number:04}", **named, "inputs": str(path)})
    (folder / "calls.json").write_text(json.dumps({"version": 1, "calls": calls}))
    (folder / "out").mkdir()
    subprocess.run([*program, folder / "calls.json", folder / "out"], check=True)
    return [folder / "out" / f"{call['id']}.safetensors" for call in calls]


def wrong(case, answer):
    """What is wrong with an answer, or None."""
    listed = {t["name"]: t for t in case["outputs"]}
    if undeclared := answer.keys() - listed.keys():
        return f"undeclared {undeclared}"
    for name, t in listed.items():
        if name not in answer:
            if t["optional"]:
                continue
            return f"{name} is missing"
        code, shape, blob = got = answer[name]
        if (code, shape) != (CODES[t["dtype"]], t["shape"]) or not len(blob):
            return f"{name} is {code} {shape}"
        expected, bound = (numbers(case["tensors"][kind][name]) for kind in ("expected", "bounds"))
        if not (np.abs(numbers(got) - expected) <= bound).all():  # so that NaN fails
            return f"{name} is outside its bound"
    return None


def main(folder, *program):
    """Print a JSON object with what was checked."""
    cases, hashes = load(Path(folder) / "suite")
    with tempfile.TemporaryDirectory() as scratch, np.errstate(invalid="ignore", over="ignore"):
        paths = run(program, cases, Path(scratch))
        covered = [(case, path) for case, path in zip(cases, paths, strict=True) if path.exists()]
        failed = {case["id"]: why for case, path in covered if (why := wrong(case, read(path)))}
    elements = sum(math.prod(t["shape"]) for case, _ in covered for t in case["outputs"])
    counts = {"cases": len(cases), "covered": len(covered), "hashes": hashes, "elements": elements}
    print(json.dumps(counts | {"failed": failed, "modules": [name for name in sys.modules if "nsn_ref" in name]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
