"""The PyTorch port on a GPU: every format, eager and compiled, judged by the golden suite; writes docs/results/gpu.md.

    python golden/ports/gpu_check.py

With `--device cpu` it is a dry run of the same steps, which writes nothing unless told where. Exit status 0: everything
is as it must be; 1: something is not; 2: there is no such device.
"""

import argparse
import datetime
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import torch
import torch_port

from nsn_ref.golden import check as checker
from nsn_ref.golden import ports, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

RESULTS = golden_dir().parent / "docs" / "results" / "gpu.md"


class Configuration(NamedTuple):
    """One way to run the port, and what the suite must say about it."""

    name: str
    dtype: str  # the cases that it is judged by
    tf32: bool = False  # whether products of float32 matrices may use TF32
    passes: bool = True


CONFIGURATIONS = (
    Configuration("float64", "float64"),
    Configuration("float32", "float32"),
    Configuration("TF32, claimed to be float32", "float32", tf32=True, passes=False),
    Configuration("TF32", "tf32", tf32=True),
    Configuration("bfloat16", "bfloat16"),
    Configuration("bfloat16 with float32 master weights", "bfloat16_master"),
    Configuration("float16", "float16"),
)
MODES = ("eager", "compiled")


def pin(tf32):
    """Settings of PyTorch that change the arithmetic and are not the same everywhere."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32  # of convolutions; on by default
    matmul = torch.backends.cuda.matmul
    matmul.allow_bf16_reduced_precision_reduction = False  # on by default: partial sums are added up in bfloat16
    matmul.allow_fp16_reduced_precision_reduction = False  # on by default
    if hasattr(matmul, "allow_fp16_accumulation"):  # PyTorch 2.7
        matmul.allow_fp16_accumulation = False


class CompiledPort:
    """The port with every operation through torch.compile."""

    @staticmethod
    def run(op, inputs, attrs):
        """As `torch_port.run`."""
        if op not in torch_port.OPERATIONS:
            raise NotImplementedError(op)
        torch.compiler.reset()  # after 8 recompilations of a function PyTorch would fall back to eager
        eager = torch_port.OPERATIONS
        torch_port.OPERATIONS = eager | {op: torch.compile(eager[op], dynamic=False)}
        try:
            return torch_port.run(op, inputs, attrs)
        finally:
            torch_port.OPERATIONS = eager


class Row(NamedTuple):
    """What came out for one configuration."""

    configuration: Configuration
    mode: str
    report: object  # nsn_ref.golden.check.Report, or None where the suite has no such cases
    verdict: str
    as_it_must: bool


def judge(configuration, mode, report, device):
    """Whether a report is what it must be."""
    if report is None:
        return Row(configuration, mode, None, "no cases in this suite", True)
    failed = report.count("failed")
    raised = sum(result.error is not None for result in report.results)  # says nothing about the arithmetic
    if configuration.passes or raised:
        return Row(configuration, mode, report, "passed" if report.passed else f"FAILED {failed}", report.passed)
    if failed:
        return Row(configuration, mode, report, "not float32, as it must be", True)
    if device == "cpu":
        return Row(configuration, mode, report, "passed: no TF32 on this device", True)
    return Row(configuration, mode, report, "NOT NOTICED: passed as float32", False)


def rows(device, cases, modes):
    """Run every configuration in every mode; a generator of Row."""
    torch_port.DEVICE = device
    for mode in modes:
        port = ports.PythonPort("golden/ports/torch_port.py", CompiledPort if mode == "compiled" else torch_port)
        for configuration in CONFIGURATIONS:
            chosen = [case for case in cases if case.dtype == configuration.dtype]
            pin(configuration.tf32)
            report = checker.check(port, chosen) if chosen else None
            yield judge(configuration, mode, report, device)


def device_facts(device):
    """Name and version of what computes."""
    facts = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "PyTorch": torch.__version__}
    if device == "cpu":
        return {"device": f"{platform.processor() or platform.machine()} (CPU)"} | facts
    major, minor = torch.cuda.get_device_capability()
    name = f"{torch.cuda.get_device_name()}, compute capability {major}.{minor}"
    return {"device": name} | facts | {"CUDA": torch.version.cuda or torch.version.hip}


def page(device, found):
    """The results as Markdown."""
    dry = (
        "" if device != "cpu" else "A dry run on the CPU: it shows that the script works, and nothing about a GPU.\n\n"
    )
    lines = ["# The PyTorch port on a GPU", "", dry + "Written by `python golden/ports/gpu_check.py`.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in device_facts(device).items()]
    lines += ["", "| format | mode | cases | passed | failed | not covered | worst rho | verdict |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(cells(row))} |" for row in found]
    if failures := [line for row in found for line in first_failures(row)]:
        lines += ["", "First failures of what had to pass:", "", *failures]
    return "\n".join(lines) + "\n"


def cells(row):
    """A row of the table."""
    report = row.report
    counts = ["0"] * 4 + ["-"]
    if report is not None:
        rho = max((r.rho for r in report.results if r.tensors), default=None)
        counts = [str(len(report.results)), *(str(report.count(s)) for s in ("passed", "failed", "not covered"))]
        counts.append("-" if rho is None else f"{rho:.3g}")
    return [row.configuration.name, row.mode, *counts, row.verdict]


def first_failures(row, shown=5):
    """Cases that failed though they had to pass, or that did not run."""
    if row.report is None or row.as_it_must:
        return []
    failed = [r for r in row.report.results if r.status == "failed"][:shown]
    return [f"- {row.mode}, {r.case.id}: {r.error or f'rho {r.rho:.3g}'}" for r in failed]


def main(arguments=None):
    """Run, print, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="default: docs/results/gpu.md; of a dry run: nowhere")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--suite", type=Path, help="folder of the suite; default: the one that ships")
    parser.add_argument("--op", default="*", help="only operations that match this glob")
    parser.add_argument("--mode", choices=MODES, help="default: both")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print(f"gpu_check: PyTorch {torch.__version__} finds no CUDA device", file=sys.stderr)
        return 2
    cases = checker.select(suite.load(chosen.suite or suite_dir()), op=chosen.op)
    found = []
    for row in rows(chosen.device, cases, [chosen.mode] if chosen.mode else MODES):
        found.append(row)
        print("  ".join(cells(row)), flush=True)
    out = chosen.out or (RESULTS if chosen.device == "cuda" else None)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(chosen.device, found))
        print(f"wrote {out}")
    return 0 if all(row.as_it_must for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
