"""The file protocol: `numpy_port` as a program, which answers every call of calls.json in one run.

    nsn-ref golden check "cmd:python golden/ports/numpy_cmd_port.py"

Needs numpy and safetensors.
"""

import json
import sys
from pathlib import Path

import numpy_port
from safetensors.numpy import load_file, save_file

FLOATS = ("lr", "beta1", "beta2", "eps", "weight_decay")  # attributes that are written as hexadecimal floats


def main(calls_json, out):
    """Answer each call with a file; no file where the operation is not covered."""
    for call in json.loads(Path(calls_json).read_text())["calls"]:
        attrs = {name: float.fromhex(x) if name in FLOATS else x for name, x in call["attrs"].items()}
        try:
            outputs = numpy_port.run(call["op"], load_file(call["inputs"]), attrs)
        except NotImplementedError:
            continue
        save_file(outputs, Path(out) / f"{call['id']}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
