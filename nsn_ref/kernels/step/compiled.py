"""A compiled training step, for Python: flat buffers, a team of threads, one call a step."""

import math
import os
import struct
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.blas import chosen_blas
from nsn_ref.errors import DTypeError, LabelError, ShapeError
from nsn_ref.kernels.common import FLOATS, bound, flat, plain
from nsn_ref.kernels.step.layout import D_OUT, STOP, places, shown
from nsn_ref.kernels.step.memory import aligned, whole_lines
from nsn_ref.kernels.step.passes import Space
from nsn_ref.kernels.step.step import DONE, GIVEN, OPTIMIZER, ROW, VARIANT, K, Lead, Model, N, Order, lead, serve
from nsn_ref.kernels.step.team import Team
from nsn_ref.kernels.step.update import FOUND
from nsn_ref.ops.objective import VARIANTS

OPTIMIZERS = ("adamw", "sgd")
WORTH_A_THREAD = 5e6  # floating-point operations
RATES = struct.Struct("18d")  # two rows of them, packed in half the time that NumPy takes


class StepResult(NamedTuple):
    """What one step found."""

    total: float
    losses: np.ndarray  # (K,), in the order of the ranks
    grad_norm: float  # before clipping, s left out; infinite where its square is
    finite: bool  # whether the total is, which no loss can be without, and all parameters after the step


class CompiledStep(ABC):
    """Parameters, gradients and moments of a network in flat buffers, and the step that changes them in place.

    The loss is the cross-entropy of labels. The threads beside the calling one stay awake between steps; `close` ends
    them. A subclass says where intermediates lie.

    Parameters
    ----------
    net : Chain
    dtype : {float32, float64}
    rows, ranks : int, >= 1
        The most rows of a batch, the most ranks of a step.
    optimizer : {"adamw", "sgd"}
    decays : sequence of str
        The parameters that decay, by the last part of their names.
    threads : int, >= 1, optional
        Default: as many as NumPy's BLAS may use, and no more than one for five million operations of a step.

    Raises
    ------
    OptionError, NSNError

    Attributes
    ----------
    params, grads, m, v : dict of str to ndarray
        Views into the buffers, zero at the start; `load` changes them, for each thread may have its own copy.
    threads : int
    """

    def __init__(self, net, dtype, *, rows, ranks=2, optimizer="adamw", decays=("A", "B", "W"), threads=None):
        self._name = type(self).__name__
        checks.choice(self._name, "dtype", str(np.dtype(dtype)), tuple(map(str, FLOATS)))
        checks.choice(self._name, "optimizer", optimizer, OPTIMIZERS)
        for name, value in (("rows", rows), ("ranks", ranks), *([] if threads is None else [("threads", threads)])):
            checks.integer(self._name, name, value, 1)
        dtype, blas = np.dtype(dtype), chosen_blas()
        self.net, self.rows, self._blas = net, rows, blas.threads
        work = self._multiply_adds() * ranks * rows
        self.threads = team_size(work, self._blas.get_num_threads()) if threads is None else threads
        names, parameters = places(net, decays)
        tables, size = self._lay_out(ranks, -(-rows // self.threads), names, dtype), whole_lines(parameters[-1, STOP])
        own_gradients = self.threads > 1 and (tables.in_pieces or size < tables.size)
        copies = (self.threads if own_gradients else 1, size)
        p, g, m, v = aligned(copies, dtype), aligned(copies, dtype), aligned(size, dtype), aligned(size, dtype)
        self.params, self.grads, self.m, self.v = (shown(buffer, names) for buffer in (p[0], g[0], m, v))
        space = Space(p, g, aligned((self.threads, tables.size), dtype), blas.gemm[dtype])
        self._model = Model(tables.layers, parameters, space, tables.piece, m, v)
        self._order = Order(
            sizes=np.zeros(7, np.int64),
            labels=np.zeros(rows, np.int64),
            ranks=np.zeros(ranks, np.int64),
            weights=np.zeros(ranks, dtype),
            rates=np.zeros((2, 9)),
            limit=np.zeros(1),
            losses=aligned((self.threads, whole_lines(ranks)), np.float64),
            mean_losses=np.zeros(ranks, dtype),
            dlosses=np.zeros(ranks, dtype),
            found=aligned((self.threads, FOUND), np.float64),
            results=np.zeros(3),
        )
        self._order.sizes[OPTIMIZER], self._order.sizes[ROW] = OPTIMIZERS.index(optimizer), math.prod(self._row_shape)
        self._places = None  # of the ranks of the last step, the largest first, if they were not in that order
        self._team = Team(self.threads)
        self._team.start(serve, self._model, self._order)
        self._held = Lead(self._team.member(0), self._model, self._order)
        batch = np.empty(rows * math.prod(self._row_shape), dtype)  # one axis, so that all nets share the compiled code
        self._lead = bound(lead, self._held, batch, self._order.labels)

    @abstractmethod
    def _multiply_adds(self):
        """Those of one row on its way to the logits at the full rank, roughly."""

    @abstractmethod
    def _lay_out(self, ranks, rows, names, dtype):
        """The `Layout` for members of so many rows."""

    def load(self, params, m, v, steps=0):
        """Copy parameters and moments in (`v` may be empty), and say how many steps they have seen."""
        for views, arrays in ((self.params, params), (self.m, m), (self.v, v)):
            for name, array in arrays.items():
                views[name][...] = array
        self._model.space.p[1:] = self._model.space.p[0]
        self._order.sizes[DONE] = steps

    @property
    def steps(self):
        """Steps done: counted where the buffers are changed, so it always says what they hold."""
        return int(self._order.sizes[DONE])

    def step(self, x, labels, ranks, rates, *, objective="uncertainty", weights=None, clip=None):
        """One step on one batch.

        Parameters
        ----------
        x : ndarray, shape (n, d_in)
        labels : ndarray of int, shape (n,)
        ranks : sequence of K int
        rates : pair
            Rows from `adamw_rates` or `sgd_rates`: of the parameters, and of s.
        objective : str
            A variant of `ops.objective`.
        weights : sequence of K numbers, optional
            Of the losses, instead of the objective; the gradient of s is then zero.
        clip : float, > 0, optional
            Largest norm of the gradients, those of s left out.

        Returns
        -------
        StepResult

        Raises
        ------
        ShapeError, DTypeError, RankError, LabelError, OptionError
            Nothing is changed then.
        """
        order, n, count = self._order, len(x), len(ranks)
        self._check(x, labels, ranks)
        ordered = sorted(ranks, reverse=True)
        self._places = None if ordered == [*ranks] else sorted(range(count), key=lambda k: -ranks[k])
        if weights is None:
            checks.choice(f"{self._name}.step", "objective", objective, VARIANTS)
            order.sizes[VARIANT] = VARIANTS.index(objective)
        else:
            order.sizes[VARIANT] = GIVEN
            order.weights[:count] = weights if self._places is None else [weights[k] for k in self._places]
        order.sizes[N], order.sizes[K] = n, count
        order.ranks[:count] = ordered
        RATES.pack_into(order.rates, 0, *rates[0], *rates[1])
        order.limit[0] = math.inf if clip is None else clip
        labels = plain(labels.astype(np.int64, copy=False))
        threads = self._blas.get_num_threads()
        self._blas.set_num_threads(1)  # the team goes in parallel, each member through products of its own
        try:
            bad = self._lead(self._held, flat(x), labels)
        finally:
            self._blas.set_num_threads(threads)
        if bad >= 0:
            expected = f"integers in 0..{self._model.layers[-1, D_OUT] - 1}"
            raise LabelError(f"{self._name}.step: labels has the label {labels[bad]}, expected {expected}")
        return self.result()

    def result(self):
        """The `StepResult` of the last step."""
        order = self._order
        descending = order.mean_losses[: order.sizes[K]]
        losses = descending.copy()
        if self._places is not None:
            losses[self._places] = descending
        total, norm, non_finite = order.results.tolist()
        return StepResult(total, losses, norm, non_finite == 0 and math.isfinite(total))

    def close(self):
        """End the threads; a further step is refused."""
        self._team.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _check(self, x, labels, ranks):
        self._team.check()
        rows, shape, dtype = self.rows, self._row_shape, self._model.space.p.dtype
        if not isinstance(x, np.ndarray) or x.dtype != dtype:
            raise DTypeError(f"{self._name}.step: x is {describe(x)}, expected an array of {dtype}")
        if not x.ndim or not 1 <= len(x) <= rows or x.shape[1:] != shape:
            expected = f"(1..{rows}, {', '.join(map(str, shape))})"
            raise ShapeError(f"{self._name}.step: x has shape {x.shape}, expected {expected}")
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            raise DTypeError(f"{self._name}.step: labels is {describe(labels)}, expected an array of integers")
        if labels.shape != x.shape[:1]:
            raise ShapeError(f"{self._name}.step: labels has shape {labels.shape}, expected {x.shape[:1]}")
        checks.ranks(f"{self._name}.step", ranks, self.net.R)
        if len(ranks) > len(self._order.ranks):
            raise ShapeError(
                f"{self._name}.step: ranks has {len(ranks)} ranks, expected at most {len(self._order.ranks)}"
            )


def describe(value):
    """The kind of a value, for messages."""
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def team_size(multiply_adds, threads):
    """Threads worth waking for a step, whose operations are about six for each multiply-add on the way forward."""
    if os.name != "posix":  # waiting asks for functions of its C library
        return 1
    return max(1, min(threads, int(6 * multiply_adds / WORTH_A_THREAD)))


def adamw_rates(t, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """A row of the rates of step t (from 1) of AdamW."""
    return lr, beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta1**t, 1 - beta2**t, eps, lr * weight_decay


def sgd_rates(*, lr, momentum=0.0, weight_decay=0.0):
    """A row of the rates of gradient descent with momentum."""
    return lr, momentum, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, weight_decay
