"""Ports: what implements the operations and is to be checked. Loading them, and calling them one case after another."""

import importlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import FileError, PortError
from nsn_ref.golden import schema, tensors
from nsn_ref.golden.declared import check_contract

TIME_LIMIT = 300.0  # seconds, for a program


class Answer(NamedTuple):
    """What a port made of one call: outputs (whatever it returned, even None), or an error, or nothing."""

    outputs: object = None
    error: str | None = None
    covered: bool = True  # False where the port does not implement the operation


class Call(NamedTuple):
    """What a port is asked: the part of a case that it may see."""

    op: str
    inputs: dict
    attrs: dict
    session: str | None = None


def load(spec, *, time_limit=None, contract=None):
    """The port that a word on the command line names.

    Parameters
    ----------
    spec : str
        A Python file; ``package.module`` or ``package.module:name``; or ``cmd:PROGRAM``, a program and its arguments.
    time_limit : float, optional
        Seconds that all calls may take together. A Python port then runs in a process of its own, which is stopped when
        they are over; without a limit it runs in this one. Default for a program: 300.
    contract : dict, optional
        Of a program; a Python port has its own.

    Returns
    -------
    PythonPort, IsolatedPort or ProgramPort

    Raises
    ------
    PortError
    """
    if spec.startswith("cmd:"):
        return ProgramPort(spec, shlex.split(spec.removeprefix("cmd:")), time_limit or TIME_LIMIT, contract)
    if contract is not None:
        raise PortError(f"port {spec}: a contract in a file is for programs; a Python port has CONTRACT")
    if time_limit is not None:
        from nsn_ref.golden.isolated import IsolatedPort  # which imports this module

        return IsolatedPort(spec, time_limit)
    target = _file(Path(spec)) if spec.endswith(".py") else _attribute(spec)
    if not callable(getattr(target, "run", None)):
        raise PortError(f"port {spec}: has no function run(op, inputs, attrs)")
    return PythonPort(spec, target)


def _file(path):
    if not path.is_file():
        raise PortError(f"port {path}: no such file")
    module_spec = importlib.util.spec_from_file_location(f"nsn_port_{path.stem}", path)
    module = importlib.util.module_from_spec(module_spec)
    _import(path, path.resolve().parent, lambda: module_spec.loader.exec_module(module))
    return module


def _attribute(spec):
    module_name, _, name = spec.partition(":")
    target = _import(spec, Path.cwd(), lambda: importlib.import_module(module_name))
    for part in name.split(".") if name else ():
        if not hasattr(target, part):
            raise PortError(f"port {spec}: {module_name} has no attribute {name}")
        target = getattr(target, part)
    return target


def _import(spec, folder, run):
    """Run an import with a folder on the path, where it stays, as Python does for the folder of a script."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return run()
    except (Exception, SystemExit) as error:
        raise PortError(f"port {spec}: cannot be loaded: {_sentence(error)}") from error


def _sentence(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class PythonPort:
    """A module or object with `run(op, inputs, attrs)`, perhaps `open(attrs)` and `CONTRACT`."""

    def __init__(self, name, target):
        self.name, self.target = name, target
        self.contract = getattr(target, "CONTRACT", None)
        check_contract(name, self.contract)

    def answers(self, cases):
        """Call the port for each case, when its answer is asked for."""
        sessions = {}
        for case in cases:
            yield case, self.answer(case, sessions)

    def answer(self, call, sessions):
        """The answer to one call; `sessions` holds the open sessions by name."""
        inputs = {name: x.copy() for name, x in call.inputs.items()}  # a port may write into them
        try:
            return Answer(self._function(call, sessions)(call.op, inputs, dict(call.attrs)))
        except NotImplementedError:
            return Answer(covered=False)
        except (Exception, SystemExit) as error:
            return Answer(error=f"the port raised {_sentence(error)}")

    def _function(self, call, sessions):
        if call.session is None:
            return self.target.run
        if call.session not in sessions:
            if not hasattr(self.target, "open"):
                raise NotImplementedError
            sessions[call.session] = self.target.open(dict(call.attrs))
        return sessions[call.session].call


class ProgramPort:
    """A program that answers all calls in one run, through files."""

    def __init__(self, name, command, time_limit, contract=None):
        if not command:
            raise PortError(f"port {name}: names no program")
        check_contract(name, contract)
        self.name, self.command, self.time_limit, self.contract = name, command, time_limit, contract

    def answers(self, cases):
        """Write every call, run the program, read what it wrote."""
        with tempfile.TemporaryDirectory(prefix="nsn-port-") as folder:
            folder = Path(folder)
            out = folder / "out"
            out.mkdir()
            calls = [_write_call(folder, f"{k:04}", case) for k, case in enumerate(cases)]
            path = folder / "calls.json"
            path.write_text(json.dumps({"version": 1, "calls": calls}, indent=1))
            ended = self._run([*self.command, str(path), str(out)], folder / "stderr")
            for case, call in zip(cases, calls, strict=True):
                yield case, _read_answer(out / f"{call['id']}.safetensors", ended)

    def _run(self, command, stderr):
        """Run to the end or to the time limit; a sentence about what went wrong, or None."""
        with stderr.open("wb") as errors:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
                )
            except OSError as error:
                raise PortError(f"port {self.name}: cannot be started: {error.strerror}: {command[0]}") from None
            try:
                status = process.wait(self.time_limit)
            except subprocess.TimeoutExpired:
                return f"the program was stopped after {self.time_limit:g} s"
            finally:
                _end(process)
        lines = stderr.read_text(errors="replace").strip().splitlines()
        return f"the program ended with status {status}{f': {lines[-1]}' if lines else ''}" if status else None


def _end(process):
    """Stop a program that still runs, and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _write_call(folder, call_id, case):
    path = folder / f"{call_id}.safetensors"
    path.write_bytes(tensors.encode(case.inputs))
    attrs = schema.encode_attrs(case.op, case.attrs)
    return {"id": call_id, "op": case.op, "attrs": attrs, "session": case.session, "inputs": str(path)}


def _read_answer(path, ended):
    if not path.exists():
        return Answer(error=ended, covered=ended is not None)
    try:
        return Answer(tensors.read(path))
    except FileError as error:
        return Answer(error=f"the program wrote a bad file: {error}")


def is_array(x):
    """An array, or a NumPy scalar, which is one of shape ()."""
    return isinstance(x, (np.ndarray, np.generic))
