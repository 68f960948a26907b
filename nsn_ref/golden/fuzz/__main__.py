"""The published figure: `python -m nsn_ref.golden.fuzz --trials 10000 --markdown docs/results/fuzz.md`.

With `--stages` the nets return their intermediates and are judged stage by stage, which takes far longer for a trial.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from nsn_ref.errors import NSNError, OptionError
from nsn_ref.files import write_atomically
from nsn_ref.golden import contracts
from nsn_ref.golden.fuzz.formulas import FORMATS, OPERATIONS
from nsn_ref.golden.fuzz.run import fuzz, fuzz_stages, markdown, summary
from nsn_ref.golden.stages import NETS


def main(arguments=None):
    """Fuzz every operation in every format; exit status 1 where a trial was rejected."""
    parser = argparse.ArgumentParser(prog="python -m nsn_ref.golden.fuzz", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="for each operation and format")
    parser.add_argument("--op", default="*", help="a glob")
    parser.add_argument("--stages", action="store_true", help="nets only, judged stage by stage")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--dtype", default="*", help="a glob")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    chosen = parser.parse_args(arguments)
    try:
        outcomes = list(_outcomes(chosen))
        if chosen.markdown:
            write_atomically(chosen.markdown, markdown(outcomes, chosen.seed).encode())
    except NSNError as error:
        print(error, file=sys.stderr)
        return 2
    print(summary(outcomes))
    return 1 if any(o.rejected for o in outcomes) else 0


def _outcomes(chosen):
    ops = [op for op in (NETS if chosen.stages else OPERATIONS) if fnmatchcase(op, chosen.op)]
    dtypes = [dtype for dtype in contracts.DEFAULTS if fnmatchcase(dtype, chosen.dtype)]
    if not ops or not dtypes or chosen.trials < 1:
        raise OptionError(f"fuzz: nothing to do for op {chosen.op}, dtype {chosen.dtype}, {chosen.trials} trials")
    tasks = [
        (chosen.stages, op, dtype, chosen.trials, chosen.seed)
        for op in ops
        for dtype in dtypes
        if dtype in FORMATS.get(op, dtypes)
    ]
    with ProcessPoolExecutor(chosen.jobs) as processes:
        for outcome in map(_one, tasks) if chosen.jobs == 1 else processes.map(_one, tasks):
            print(
                f"{outcome.op} {outcome.dtype}: {outcome.rejected} of {outcome.trials} rejected, rho {outcome.rho:.3f}",
                flush=True,
            )
            yield outcome


def _one(task):
    stages, op, dtype, trials, seed = task
    rng = np.random.default_rng([seed, *f"{op}/{dtype}".encode()])
    return (fuzz_stages if stages else fuzz)(op, dtype, trials, rng)


if __name__ == "__main__":
    sys.exit(main())
