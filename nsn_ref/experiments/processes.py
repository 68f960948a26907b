"""Cells on the processes of this machine."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import queue
import signal

from nsn_ref import checks
from nsn_ref.experiments.runner import Failure, Job, run_job


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor(workers=None):
    """`execute` with a number of workers; default: one for each core.

    Raises
    ------
    OptionError
    """
    workers = cores() if workers is None else workers
    checks.integer("executor", "workers", workers, 1)
    return functools.partial(execute, workers=workers)


def execute(tasks, store, workers=1):
    """Run tasks, `workers` at once; one worker is this process itself.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
    workers : int, >= 1

    Yields
    ------
    dict or Failure
        As they come. Where it is closed early, or interrupted, cells that run are finished and recorded, and no
        further ones begin.
    """
    if workers == 1:
        for task in tasks:
            yield run_job(Job(task.cell, task.module, store), task.data)
        return
    idle, processes = queue.SimpleQueue(), [_Process() for _ in range(min(workers, len(tasks)))]
    for process in processes:
        idle.put(process)

    def run(task):
        process = idle.get()
        try:
            return process.run(Job(task.cell, task.module, store), task.data)
        finally:
            idle.put(process)

    threads = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        for future in concurrent.futures.as_completed([threads.submit(run, task) for task in tasks]):
            yield future.result()
    finally:
        threads.shutdown(cancel_futures=True)
        for process in processes:
            process.close()


class _Process:
    """A process that runs one job after another; it is replaced if it ends, and the job that it ran is then known."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")  # a fork of a process that has threads may hang
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()

    def run(self, job, data):
        try:
            self._pipe.send((job, data))
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            self.close()
            self.__init__()
            return Failure(job.cell, "the process that ran it was killed, for want of memory perhaps", "")

    def close(self):
        self._pipe.close()
        self._process.join()


def _serve(pipe):
    """Run what comes until the other end is closed, by its death perhaps: then the cell that runs is still recorded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to every process of a terminal; the parent decides
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            pipe.send(run_job(*pipe.recv()))
