"""A team of threads that go through one compiled function together, and wait for each other at barriers.

Waking a thread costs more than a small layer takes, so the threads of a team stay awake for the length of a training.
One that waits spins for a moment, then offers its core to whoever else is ready, which may be the member that it waits
for, and after some milliseconds naps. Shared counters lie a cache line apart.
"""

import ctypes
import os
import threading
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nsn_ref.errors import OptionError
from nsn_ref.kernels.common import compiled

LINE = 8  # int64 in a cache line
ARRIVED, ROUND, TICKET, CLOSED = (LINE * i for i in range(4))
SPINS, OFFERS, NAP = 200, 10_000, 50  # how often, before the next way of waiting; microseconds


class Member(NamedTuple):
    """What a thread knows of its team."""

    me: int
    threads: int
    sync: np.ndarray  # int64: the shared counters
    sched_yield: int  # addresses of functions of the C library
    usleep: int


def _element(context, builder, signature, values):
    array = context.make_array(signature.args[0])(context, builder, values[0])
    return builder.gep(array.data, [values[1]])


@intrinsic
def atomic_add(typingctx, array, index, value):
    """Add to an element; returns what it was."""

    def codegen(context, builder, signature, values):
        return builder.atomic_rmw("add", _element(context, builder, signature, values), values[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def atomic_load(typingctx, array, index):
    """Read an element, and with it everything written before it was stored."""

    def codegen(context, builder, signature, values):
        return builder.load_atomic(_element(context, builder, signature, values), "acquire", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def atomic_store(typingctx, array, index, value):
    """Write an element after everything before it."""

    def codegen(context, builder, signature, values):
        builder.store_atomic(values[2], _element(context, builder, signature, values), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@intrinsic
def _relax(typingctx):
    """Tell the processor that this thread is spinning: its other half, if it has one, gets the whole of it."""

    def codegen(context, builder, signature, values):
        if builder.module.triple.startswith("x86_64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _call_with_int(typingctx, address, argument):
    """Call a function of the C library that takes an int or nothing."""

    def codegen(context, builder, signature, values):
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
        function = builder.inttoptr(values[0], kind.as_pointer())
        builder.call(function, [builder.trunc(values[1], ir.IntType(32))])
        return context.get_dummy_value()

    return types.void(types.uintp, types.int64), codegen


@compiled
def wait_while(member, index, value):
    """Return once the counter is another than `value`."""
    tries = 0
    while atomic_load(member.sync, index) == value:
        tries += 1
        if tries < SPINS:
            _relax()
        elif tries < SPINS + OFFERS:
            _call_with_int(member.sched_yield, 0)
        else:
            _call_with_int(member.usleep, NAP)


@compiled
def barrier(member):
    """Return once every member has come here."""
    if member.threads == 1:
        return
    sync = member.sync
    now = atomic_load(sync, ROUND)
    if atomic_add(sync, ARRIVED, 1) == member.threads - 1:
        atomic_store(sync, ARRIVED, 0)
        atomic_store(sync, ROUND, now + 1)
    else:
        wait_while(member, ROUND, now)


@compiled
def cut(size, unit, me, threads):
    """(first, last + 1) of a member's part of 0..size-1, in whole units."""
    units = (size + unit - 1) // unit
    return min(unit * (units * me // threads), size), min(unit * (units * (me + 1) // threads), size)


@compiled
def share(member, size, unit):
    """(first, last + 1) of the member's own part."""
    return cut(size, unit, member.me, member.threads)


@compiled
def alone(member):
    """A team of one."""
    return Member(0, 1, member.sync, member.sched_yield, member.usleep)


@compiled
def rows_of(me, threads, batch):
    """How many rows of a batch a member takes."""
    first, last = cut(batch, 1, me, threads)
    return last - first


class Team:
    """The threads beside the calling one; they end with `close`.

    Parameters
    ----------
    threads : int, >= 1
        The calling one among them.
    """

    def __init__(self, threads):
        self.sync = np.zeros(4 * LINE, np.int64)
        self.waiting = [0, 0]
        if threads > 1:
            library = ctypes.CDLL(None)
            self.waiting = [ctypes.cast(f, ctypes.c_void_p).value for f in (library.sched_yield, library.usleep)]
        self.threads, self.process, self.others = threads, os.getpid(), []

    def member(self, me):
        """What thread `me` knows."""
        return Member(me, self.threads, self.sync, *self.waiting)

    def start(self, serve, *arguments):
        """Start ``serve(member, *arguments)`` in each of the other threads; it returns when the team is closed."""
        self.others = [
            threading.Thread(target=serve, args=(self.member(me), *arguments), daemon=True)
            for me in range(1, self.threads)
        ]
        for thread in self.others:
            thread.start()

    def check(self):
        """Check that all threads are there: a closed team has none, nor has a child process.

        Raises
        ------
        OptionError
        """
        if self.sync[CLOSED] or (self.others and self.process != os.getpid()):
            raise OptionError(
                "Team: its threads have ended, or are those of another process; expected a team of this one"
            )

    def close(self):
        """End the other threads, unless they are those of a parent process."""
        if self.sync[CLOSED] or self.process != os.getpid():
            return
        self.sync[CLOSED] = 1
        self.sync[TICKET] += 1
        for thread in self.others:
            thread.join()
