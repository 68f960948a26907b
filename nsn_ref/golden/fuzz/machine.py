"""Correct floating-point arithmetic of many kinds at once: numbers are arrays with a leading axis of trials.

Each trial has habits of its own (does it flush, fuse, cut bits off, round every step or only what it stores) and
draws the rest anew at every operation: the order of a sum, the direction in which an elementary function is wrong. All
are drawn from what the contract allows; nothing here knows the bounds.

Numbers are float64 arrays whose values are those of the format that they were rounded to. A result in float32 or
shorter is computed in float64 and then rounded: for +, -, x, / and the square root that is the correctly rounded one.
"""

import contextlib

import numpy as np
from scipy import special

from nsn_ref.certify.formats import named

BLOCK = 4  # products that are added at once by an accumulator that works in blocks
_FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "erf": special.erf,
    "erfc": special.erfc,
    "logistic": special.expit,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cos": np.cos,
    "sin": np.sin,
}


class Machine:
    """`trials` machines that keep a contract.

    Parameters
    ----------
    contract : Contract
    trials : int
    rng : numpy.random.Generator
    """

    def __init__(self, contract, trials, rng):
        self.contract, self.trials, self.rng = contract, trials, rng
        for kind in ("storage", "master", "operand", "accumulator", "elementwise", "batch_sum", "optimizer"):
            setattr(self, kind, named(getattr(contract, kind)))
        self.current = self.elementwise
        self._flushes = self._habit(contract.flush_to_zero)
        self._truncates = self._habit(contract.truncating)
        self._fuses = self._habit()
        self._holds = np.zeros(trials, bool)
        self._composes = rng.choice([0.0, 0.5, 1.0], trials)  # share of steps that are rounded to the short format

    def _habit(self, allowed=True):
        return (self.rng.random(self.trials) < 0.5) & allowed

    def _chosen(self, habit, x):
        return habit.reshape(-1, *[1] * (x.ndim - 1))

    def either(self, *makes):
        """One of several formulas, chosen anew."""
        return makes[self.rng.integers(len(makes))]()

    # --- rounding ---------------------------------------------------------------------------------------------------

    def round(self, x, f, truncates=None):
        """To the nearest number of a format, or where `truncates` to the next one towards zero."""
        y = x if f.name == "float64" else _to(x, f, np.rint)
        if truncates is not None and f.name != "float64":
            y = np.where(self._chosen(truncates, x), _to(x, f, np.trunc), y)
        small = np.abs(y) < f.smallest_normal
        return np.where(self._chosen(self._flushes, y) & small, 0.0, y)

    def step(self, x):
        """After one elementwise operation: rounded to the elementwise format, or the accumulator's if longer."""
        short = self.round(x, self.current)
        if self.accumulator.bits <= self.current.bits:
            return short
        composed = self._chosen(self.rng.random(self.trials) < self._composes, x)
        return np.where(composed, short, self.round(x, self.accumulator))

    def stored(self, x, f=None):
        """Between operations: always, but for what a machine holds in a wider register."""
        f = f or self.storage
        out = self.round(x, f)
        if f.bits >= self.accumulator.bits or not self._holds.any():
            return out
        held = self._holds & (self.rng.random(self.trials) < 0.5)
        return np.where(self._chosen(held, x), self.round(x, self.accumulator), out)

    @contextlib.contextmanager
    def holding(self):
        """Inside the block some machines hold some tensors in the accumulator's format."""
        self._holds = self._habit()
        try:
            yield
        finally:
            self._holds = np.zeros(self.trials, bool)

    def maybe_stored(self, x):
        """Where a port may store, or not."""
        return np.where(self._chosen(self._habit(), x), self.stored(x), x)

    @contextlib.contextmanager
    def inside(self, f):
        """Elementwise arithmetic in another format."""
        before, self.current = self.current, f
        try:
            yield
        finally:
            self.current = before

    def constant(self, value):
        """A constant in the format of the moment, or as exact as a machine has it."""
        x = np.full((self.trials,), float(value))
        return self.step(x) if self.current.name != "float64" else x

    # --- elementwise ------------------------------------------------------------------------------------------------

    def add(self, x, y):
        """A sum, rounded."""
        return self.step(x + y)

    def subtract(self, x, y):
        """A difference, rounded."""
        return self.step(x - y)

    def multiply(self, x, y):
        """A product, rounded."""
        return self.step(x * y)

    def divide(self, x, y):
        """A quotient, or a product with the reciprocal."""
        direct, reciprocal = self.step(x / y), self.step(1 / y)
        by_product = self.step(x * reciprocal)
        normal = np.abs(reciprocal) >= self.current.smallest_normal
        return np.where(self._chosen(self._habit(), direct) & normal, by_product, direct)

    def sqrt(self, x):
        """A square root, rounded."""
        return self.step(np.sqrt(x))

    def function(self, name, x):
        """An elementary function, wrong by most of what is allowed, always in one direction or at random."""
        y = _FUNCTIONS[name](x)
        f = self.current if self.current.bits >= self.accumulator.bits else self.accumulator
        room = self.contract.ulps - (4 if f.name == "float64" else 1)  # for SciPy's own errors, and for the rounding
        wrong = np.where(self._chosen(self._habit(), y), self.rng.uniform(-1, 1, y.shape), self.rng.choice([-1, 1]))
        return self.step(self.round(y * (1 + room * f.unit_roundoff * wrong), f))

    # --- sums -------------------------------------------------------------------------------------------------------

    def matmul(self, x, y, bias=None):
        """x @ y (+ bias) of matrices with a leading axis of trials, stored."""
        x, y = (self._operand(factor) for factor in (x, y))
        terms = [(x[:, :, k, None], y[:, None, k, :]) for k in self.rng.permutation(x.shape[2])]
        if bias is None:
            return self.stored(self._dot(terms))
        bias = self.maybe_stored(bias)
        if self.rng.random() < 0.5:
            return self.stored(self.step(self.stored(self._dot(terms)) + bias[:, None]))
        return self.stored(self._dot(terms, bias[:, None]))

    def _operand(self, x):
        if self.operand.truncates:
            return self.round(x, self.operand, self._habit())
        return self.round(x, self.operand)

    def _dot(self, pairs, start=None):
        """A sum of products in the accumulator: one after another, or by halves, or in blocks that are aligned."""
        f, cuts = self.accumulator, self._truncates
        how = self.rng.integers(3)
        if how == 2 and self.contract.truncating:
            return self._in_blocks([a * b for a, b in pairs], start)
        if how == 1:
            products = [self.round(a * b, f, cuts) for a, b in pairs] + ([] if start is None else [start])
            return self._tree(products, f, cuts)
        first = self.rng.random() < 0.5  # the bias first or last
        out = start if start is not None and first else None
        for a, b in pairs:
            if out is None:
                out = self.round(a * b, f, cuts)
                continue
            apart = self.round(out + self.round(a * b, f, cuts), f, cuts)
            fused = apart if f.name == "float64" else self.round(out + a * b, f, cuts)
            out = np.where(self._chosen(self._fuses, apart), fused, apart)
        return out if start is None or first else self.round(out + start, f, cuts)

    def _tree(self, terms, f, cuts=None):
        while len(terms) > 1:
            i, j = sorted(self.rng.choice(len(terms), 2, replace=False))
            last = terms.pop(j)
            terms[i] = self.round(terms[i] + last, f, cuts)
        return terms[0]

    def _in_blocks(self, products, start):
        """As tensor cores do it: the products of a block and the sum so far are aligned to the largest, cut, added."""
        f = self.accumulator
        out = np.zeros_like(products[0]) if start is None else start + np.zeros_like(products[0])
        for k in range(0, len(products), BLOCK):
            block = [*products[k : k + BLOCK], out]
            top = np.frexp(np.max(np.abs(block), axis=0))[1]
            quantum = np.ldexp(1.0, top - f.bits)
            out = _to(sum(np.trunc(term / quantum) * quantum for term in block), f, np.trunc)
        return out

    def sum(self, x, axis, f=None):
        """A sum over one axis (not that of the trials) in a format, by default that of batch sums, in any order."""
        f = f or self.batch_sum
        terms = [np.take(x, k, axis=axis) for k in self.rng.permutation(x.shape[axis])]
        if self.rng.random() < 0.5:
            out = self._tree(terms, f)
        else:
            out = terms[0]
            for term in terms[1:]:
                out = self.round(out + term, f)
        return self.step(out)

    def accumulate(self, parts):
        """The sum of stored arrays, each partial sum stored, or all of them in the accumulator and stored once."""
        parts = [parts[k] for k in self.rng.permutation(len(parts))]
        f = self.storage if self.rng.random() < 0.5 else self.accumulator
        out = self.stored(parts[0])
        for part in parts[1:]:
            out = self.round(out + self.stored(part), f)
        return self.stored(out)


def _to(x, f, whole):
    """Rounded to a format by rounding the significand to a whole number."""
    if f.name == "float32" and whole is np.rint:
        return x.astype(np.float32).astype(np.float64)
    exponent = np.maximum(np.frexp(x)[1], f.lowest + 1) - f.bits
    return np.ldexp(whole(np.ldexp(x, -exponent)), exponent)
