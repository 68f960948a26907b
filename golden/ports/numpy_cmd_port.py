"""The file protocol: `numpy_port` as a program, which answers every call of calls.json in one run.

    nsn-ref golden check "cmd:python golden/ports/numpy_cmd_port.py"

Needs numpy and safetensors, and ml_dtypes for bfloat16.
"""

import json
import sys
from pathlib import Path

import ml_dtypes  # noqa: F401  teaches NumPy the name bfloat16, which load_file looks up
import numpy as np
import numpy_port
from safetensors.numpy import load_file, save_file


def main(calls_json, out):
    """Answer each call with a file; no file where the operation is not covered."""
    for call in json.loads(Path(calls_json).read_text())["calls"]:
        attrs = {name: value(x) for name, x in call["attrs"].items()}
        try:
            outputs = numpy_port.run(call["op"], load_file(call["inputs"]), attrs)  # in a session too: it keeps nothing
        except NotImplementedError:
            continue
        rows_first = {name: np.array(x, order="C") for name, x in outputs.items()}  # save_file takes memory as it lies
        save_file(rows_first, Path(out) / f"{call['id']}.safetensors")


def value(x):
    """An attribute: numbers that are not integers are written as hexadecimal floats, which no name looks like."""
    return float.fromhex(x) if isinstance(x, str) and x.lstrip("-").startswith("0x") else x


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: numpy_cmd_port.py calls.json OUTDIR")
    main(*sys.argv[1:])
