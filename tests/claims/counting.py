"""Numbers that count the products they take part in: what an operation costs is read off the operation itself."""

import numpy as np


class Counted:
    """An integer; products are counted in `Counted.products`."""

    products = 0

    def __init__(self, value):
        self.value = value

    from_number = classmethod(lambda cls, value: cls(int(value)))

    def __mul__(self, other):
        Counted.products += 1
        return Counted(self.value * other.value)

    def __add__(self, other):
        return Counted(self.value + _value(other))

    __radd__ = __add__

    def __sub__(self, other):
        return Counted(self.value - _value(other))

    def __gt__(self, other):
        return self.value > _value(other)

    def __le__(self, other):
        return self.value <= _value(other)

    def is_finite(self):
        """Always."""
        return True

    def exp(self):
        """No operation that is counted asks for it; it marks a number type of the reference's."""
        raise NotImplementedError


def _value(x):
    return x.value if isinstance(x, Counted) else x


def counted(*shape):
    """An array of numbers, none of them zero."""
    out = np.empty(shape, dtype=object)
    for position, index in enumerate(np.ndindex(shape)):
        out[index] = Counted(position % 7 - 3 or 1)
    return out


def products(function, *args, **options):
    """How many products a call takes, and what it returns."""
    before = Counted.products
    result = function(*args, **options)
    return Counted.products - before, result
