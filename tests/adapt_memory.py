"""Peak memory of `adapt` on a generated folder of 1 GB, in a fresh process.

    python tests/adapt_memory.py FOLDER [OPTIONS AS JSON]

FOLDER is for the generated model and what is written; both are removed. Prints the growth of resident memory over
what the imports took, and 1.5 times the largest factorised layer + 300 MB, the most that is allowed. Beside the options
of `adapt` there is "sequences": so many of the context's length to whiten with.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

SIZES = {"vocabulary": 50304, "hidden": 1024, "intermediate": 4096, "blocks": 12, "heads": 16, "context": 2048}
LARGEST = 4 * SIZES["hidden"] * SIZES["intermediate"]  # bytes of float32
ALLOWED = 1.5 * LARGEST + 300e6


def generate(folder):
    """A random model of 1 GB in the manner of GPT-NeoX, float32, in shards of 400 MB, written tensor by tensor."""
    from nsn_ref.hf import config as configs
    from nsn_ref.hf.families import FAMILIES
    from nsn_ref.hf.names import tensor_shapes
    from nsn_ref.hf.stream import whole, write_tensors
    from nsn_ref.nets.decoder import Decoder, DecoderConfig

    config = DecoderConfig(**SIZES, rotary=16, parallel=True)
    rng = np.random.default_rng(0)
    shapes = tensor_shapes(FAMILIES["gpt_neox"], Decoder(config).shapes())

    def tensor(shape):
        return whole(shape, np.float32, lambda: rng.standard_normal(shape, np.float32) / 32)

    folder.mkdir(parents=True)
    write_tensors(folder, {name: tensor(shape) for name, shape in shapes.items()}, shard_bytes=400_000_000)
    (folder / configs.FILE).write_text(json.dumps(configs.config_fields(config)))


def growth(folder, out, options):
    """Bytes that `adapt` added to the peak of this process."""
    from nsn_ref.surgery.adapt import adapt

    count = options.pop("sequences", None)
    shape = None if count is None else (count, SIZES["context"])
    tokens = None if shape is None else np.random.default_rng(0).integers(0, SIZES["vocabulary"], shape)
    np.linalg.svd(np.ones((2, 2)))  # loads the library
    before = resident("VmRSS")
    adapt(folder, out, tokens=tokens, **options)
    return resident("VmHWM") - before


def resident(field):
    """Resident memory of this process as Linux counts it, mapped files among it: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def measure(folder, options):
    """Generate, adapt in a process of its own, remove; the growth in bytes."""
    folder = Path(folder)
    try:
        if not (folder / "model").exists():
            generate(folder / "model")
        command = [sys.executable, __file__, "--here", str(folder), json.dumps(options)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1] == "--here":
        print(growth(Path(sys.argv[2]) / "model", Path(sys.argv[2]) / "out", json.loads(sys.argv[3])))
    else:
        found = measure(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
        print(f"{found / 1e6:.0f} MB of resident memory, of {ALLOWED / 1e6:.0f} MB allowed")
