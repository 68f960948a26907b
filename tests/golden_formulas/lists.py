"""Arithmetic of nested lists."""


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), start=0 * a[0])


def add(a, b):
    return [add(p, q) for p, q in zip(a, b, strict=True)] if isinstance(a, list) else a + b


def each(function, *arrays):
    """Apply to the numbers of lists of one shape."""
    if isinstance(arrays[0], list):
        return [each(function, *parts) for parts in zip(*arrays, strict=True)]
    return function(*arrays)


def pick(x, k):
    """The k-th of the tuples in nested lists."""
    return x[k] if isinstance(x, tuple) else [pick(part, k) for part in x]


def numbers(x):
    """All numbers of nested lists, in order."""
    return [number for part in x for number in numbers(part)] if isinstance(x, list) else [x]


def flat(x):
    """Rows of an (n, d) or a (n, T, d) list."""
    return [row for part in x for row in part] if isinstance(x[0][0], list) else x


def like(flat_rows, x):
    """Flat rows in the leading axes of x."""
    if not isinstance(x[0][0], list):
        return flat_rows
    T = len(x[0])
    return [flat_rows[k : k + T] for k in range(0, len(flat_rows), T)]


def total(terms, zero):
    return sum(terms, start=zero)
