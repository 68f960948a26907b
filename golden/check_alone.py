"""A reader and a checker of the golden suite, written from README.md with the standard library and NumPy only.

    python golden/check_alone.py [--suite FOLDER] PROGRAM [ARGUMENT ...]

The program is a port, called as `PROGRAM calls.json OUTDIR`. Exit status 0: all that it covers is right, and it covers
something; 1: something is wrong; 2: usage, or a suite that cannot be read.
"""

import argparse
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
    if manifest["schema_version"] > 1 or not manifest["cases"]:
        raise ValueError(f"schema version {manifest['schema_version']}, {len(manifest['cases'])} cases")
    files = {name: read(folder / name) for case in manifest["cases"] for name in case["files"].values()}
    for case in manifest["cases"]:
        case["tensors"] = {"inputs": {}, "expected": {}, "bounds": {}}
        for kind, t, key, dtype in listed(case):
            code, shape, blob = tensor = files[case["files"][kind]][f"{case['id']}/{t['name']}"]
            if (code, shape) != (CODES[dtype], t["shape"]) or hashlib.sha256(blob).hexdigest() != t[key]:
                raise ValueError(f"{case['id']}: {kind} {t['name']} has been altered")
            case["tensors"][kind][t["name"]] = tensor
    return manifest["cases"]


def listed(case):
    """Kind of file, entry, key of its hash and dtype of each tensor of a case."""
    yield from (("inputs", t, "sha256", t["dtype"]) for t in case["inputs"])
    yield from (("expected", t, "sha256", "float64") for t in case["outputs"])
    yield from (("bounds", t, "bound_sha256", "float64") for t in case["outputs"])


def run(program, cases, folder):
    """Call a program once for all cases; its exit status, and the path of the answer to each."""
    calls = []
    for number, case in enumerate(cases):
        path = folder / f"{number:04}.safetensors"
        write(path, case["tensors"]["inputs"])
        named = {key: case[key] for key in ("op", "attrs", "session")}
        calls.append({"id": f"{number:04}", **named, "inputs": str(path)})
    (folder / "calls.json").write_text(json.dumps({"version": 1, "calls": calls}))
    (folder / "out").mkdir()
    status = subprocess.run([*program, folder / "calls.json", folder / "out"]).returncode
    return status, [folder / "out" / f"{call['id']}.safetensors" for call in calls]


def wrong(case, answer):
    """What is wrong with an answer, or None."""
    expected = {t["name"]: t for t in case["outputs"]}
    if undeclared := answer.keys() - expected.keys():
        return f"there is no output {', '.join(sorted(undeclared))}"
    for name, t in expected.items():
        if name not in answer:
            if t["optional"]:
                continue
            return f"{name} is missing"
        code, shape, _ = answer[name]
        if (code, shape) != (CODES[t["dtype"]], t["shape"]):
            return f"{name} is {code} {shape}, expected {CODES[t['dtype']]} {t['shape']}"
        truth, bound = (numbers(case["tensors"][kind][name]) for kind in ("expected", "bounds"))
        outside = ~(np.abs(numbers(answer[name]) - truth) <= bound)  # so that NaN is
        if outside.any():
            return f"{name}: {outside.sum()} of {outside.size} elements are outside their bounds"
    return None


def main():
    """Print each failure and a summary; the exit status."""
    parser = argparse.ArgumentParser(description="Check a program with the golden suite.")
    parser.add_argument("--suite", type=Path, default=Path(__file__).parent / "suite")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM [ARGUMENT ...]")
    chosen = parser.parse_args()
    if not chosen.program:
        parser.error("no program")
    try:
        cases = load(chosen.suite)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"unreadable suite {chosen.suite}: {error}")
    with tempfile.TemporaryDirectory() as scratch, np.errstate(invalid="ignore", over="ignore"):
        status, paths = run(chosen.program, cases, Path(scratch))
        answers = [(case, path) for case, path in zip(cases, paths, strict=True) if path.exists()]
        failures = [(case, why) for case, path in answers if (why := wrong(case, read(path)))]
    for case, why in failures:
        print(f"{case['id']}: {why}\n  catches: {case['why']}")
    if status:
        print(f"the program ended with status {status}")
    right = not failures and not status and answers
    elements = sum(math.prod(t["shape"]) for case, _ in answers for t in case["outputs"])
    counts = f"{len(answers) - len(failures)} of {len(cases)} cases passed, {len(cases) - len(answers)} not covered"
    print(f"{'PASSED' if right else 'FAILED'}: {counts}; {elements} expected numbers")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
