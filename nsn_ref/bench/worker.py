"""One engine in a process of its own: it reads questions from standard input and answers, one line of JSON each.

``{"do": "make", "task": ...}`` makes the engine's steps; ``{"do": "read", "steps": k}`` takes k steps and gives what
each found; ``{"do": "run", "steps": k, "warm": w}`` takes w + k steps and gives the seconds of the last k.
"""

import importlib
import json
import os
import sys
import time
import traceback

from nsn_ref.errors import NSNError


class Server:
    """Answers questions about one engine."""

    def __init__(self, module):
        self.module, self.steps = importlib.import_module(module), None

    def make(self, task):
        """Make the engine's steps, instead of those before."""
        self.close()
        self.steps = self.module.make(task)
        return {}

    def read(self, steps):
        """What some steps find."""
        return {"found": [self.steps.read(self.steps.several(1)) for _ in range(steps)]}

    def run(self, steps, warm=0):
        """How long some steps take."""
        self.steps.several(warm)
        began = time.perf_counter()
        self.steps.several(steps)
        return {"seconds": time.perf_counter() - began}

    def close(self):
        """End the engine's steps."""
        if self.steps is not None:
            self.steps.close()
            self.steps = None


def serve(module, threads):
    """Answer until standard input ends."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    server = Server(module)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = getattr(server, question.pop("do"))(**question)
        except Exception as error:
            if not isinstance(error, NSNError):
                traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    server.close()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
