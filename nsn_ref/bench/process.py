"""The other end of a `worker`: start it, ask it, and keep it from running while another has its turn."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile

from nsn_ref.errors import NSNError

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Worker:
    """An engine in a process that runs only while it is asked.

    Parameters
    ----------
    name : str
        For messages.
    module : str
        Of the engine.
    threads : int
    """

    def __init__(self, name, module, threads):
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nsn_ref.bench.worker", module, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment(threads),
        )  # fmt: skip

    def ask(self, do, **question):
        """The answer to a question; see `worker`.

        Between two questions the process is stopped: threads that wait by spinning would take a core from the others.

        Raises
        ------
        NSNError
            The engine failed, or its process ended.
        """
        self._signal(signal.SIGCONT)
        try:
            print(json.dumps({"do": do, **question}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": f"the process ended: {self._last_words()}"}
        if "error" in answer:
            raise NSNError(f"bench: {self.name}: {answer['error']}")
        self._signal(signal.SIGSTOP)
        return answer

    def close(self):
        """End the process."""
        self._signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _signal(self, number):
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _last_words(self):
        self._process.wait(10)
        self._errors.seek(0)
        return self._errors.read()[-1000:].strip() or f"status {self._process.returncode}"


def environment(threads):
    """The environment of a worker: every pool has as many threads, and PyTorch compiles in its own process."""
    return os.environ | dict.fromkeys(POOLS, str(threads)) | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
