"""A Python port in a process of its own: one that hangs is stopped, and one that takes its process down is survived."""

import multiprocessing
import pickle
import time
from typing import NamedTuple

from nsn_ref.errors import PortError
from nsn_ref.golden.ports import Answer, Call, load

START_LIMIT = 120.0  # seconds to import a port: frameworks are slow to load


class Loaded(NamedTuple):
    """The first thing that the process says: the port's contract, or why it has none."""

    contract: dict | None = None
    error: str | None = None


class IsolatedPort:
    """As `PythonPort`, with a limit on the time that all its calls take together.

    Raises
    ------
    PortError
        The port cannot be loaded.
    """

    def __init__(self, name, time_limit):
        self.name, self.time_limit = name, time_limit
        self._process = self._pipe = None
        self.contract = self._start().contract

    def answers(self, cases):
        """Send each case to the process and wait for its answer; once the process has failed, so have all the rest."""
        if self._process is None:
            self._start()
        deadline = time.monotonic() + self.time_limit
        ended = None
        try:
            for case in cases:
                answer = Answer(error=ended) if ended else self._ask(case, deadline)
                ended = ended or (answer.error if self._process is None else None)
                yield case, answer
        finally:
            self._stop()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.name, other), daemon=True)
        self._process.start()
        other.close()
        loaded = self._receive(START_LIMIT, f"loading it took more than {START_LIMIT:g} s")
        if loaded.error:
            self._stop()
            raise PortError(f"port {self.name}: {loaded.error}")
        return loaded

    def _ask(self, case, deadline):
        try:
            self._pipe.send((case.op, case.inputs, case.attrs, case.session))
        except OSError:
            return self._gone()
        return self._receive(max(0.0, deadline - time.monotonic()), f"the port was stopped after {self.time_limit:g} s")

    def _receive(self, seconds, late):
        """The next message, or an answer with the error `late` if there is none in time."""
        try:
            if self._pipe.poll(seconds):
                return self._pipe.recv()
        except (EOFError, OSError):
            return self._gone()
        self._stop()
        return Answer(error=late)

    def _gone(self):
        self._process.join(5)
        status = self._process.exitcode
        self._stop()
        return Answer(error=f"the port ended its process with status {status}")

    def _stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = self._pipe = None


def _serve(spec, pipe):
    """Load a port and answer call after call: what runs in the process."""
    try:
        port = load(spec)
    except PortError as error:
        pipe.send(Loaded(error=str(error).removeprefix(f"port {spec}: ")))
        return
    pipe.send(Loaded(contract=port.contract))
    sessions = {}
    while True:
        try:
            call = Call(*pipe.recv())
        except EOFError:
            return
        _send(pipe, port.answer(call, sessions))


def _send(pipe, answer):
    try:
        pipe.send(answer)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        pipe.send(Answer(error=f"the port returned what cannot be passed on: {type(error).__name__}: {error}"))
