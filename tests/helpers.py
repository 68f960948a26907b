"""What the tests share: exact arrays, drawn shapes, gradient assertions."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from nsn_ref import scalars
from nsn_ref.certify import balls, rounding
from nsn_ref.certify.complex_step import check_gradient

PRIMES = (2, 3, 5, 7, 11, 13)


def fractions(array):
    """The same numbers as exact rationals."""
    out = np.empty(np.shape(array), dtype=object)
    for index, value in np.ndenumerate(array):
        out[index] = Fraction(float(value))
    return out


def random_fractions(rng, *shape):
    """Small rationals with denominators 1..6, zero among them."""
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = Fraction(int(rng.integers(-9, 10)), int(rng.integers(1, 7)))
    return out


def constants(array, like):
    """A float array that a forward is closed over, exactly, in the number system that it is being run on."""
    kind = scalars.number_type(like)
    if kind is rounding.Rounded:
        return rounding.rounded(array)
    return balls.to_balls(array) if scalars.is_object(like) else array.astype(kind)


def normal(rng, *shapes):
    """Standard normal float64 arrays."""
    return [rng.standard_normal(shape) for shape in shapes]


def distinct_primes(count):
    """Strategy: `count` different prime sizes, so that no transpose or swapped axis can pass unnoticed."""
    return st.permutations(PRIMES).map(lambda primes: tuple(primes[:count]))


def ranks_of(R):
    """Ranks 1, interior and R."""
    return sorted({1, (R + 1) // 2, R})


seeds = st.integers(0, 2**32 - 1)


def leading_axes(n, T=2):
    """Strategy: the leading axes of an activation, (n,) or (n, T)."""
    return st.sampled_from([(n,), (n, T)])


def adversarial(rng, x, huge=1e100):
    """Copies of `x` with what breaks careless code: huge, tiny, graded, constant, duplicated, zero."""
    graded = x * np.logspace(-8, 8, x.shape[-1])
    duplicated = np.repeat(x[..., :1], x.shape[-1], axis=-1)
    return [
        x * huge,
        x / huge,
        graded,
        np.ones_like(x),
        duplicated,
        np.zeros_like(x),
        x * (rng.random(x.shape) < 0.5),
    ]


def assert_gradient(forward, backward, inputs, rng):
    """The hand-written backward agrees with the complex step within the derived tolerance."""
    check = check_gradient(forward, backward, inputs, rng)
    assert check.passed, f"error {check.error:.3g} > tolerance {check.tolerance:.3g}: {check}"


def outputs_and_gradients(forward, backward, inputs, dy):
    """Output of the forward and gradients of all inputs, in one list."""
    y, saved = forward(*inputs)
    grads = backward(dy if np.ndim(y) else dy[()], saved)
    return [y, *(grads if isinstance(grads, tuple) else (grads,))]


def assert_certified(forward, backward, inputs, rng):
    """In float64 and float32, output and gradients lie within their rounding bounds of the correctly rounded ones."""
    shape = np.shape(forward(*inputs)[0])
    for dtype in (np.float64, np.float32):
        arrays = [np.asarray(x, dtype) for x in (*inputs, rng.standard_normal(shape))]
        found = outputs_and_gradients(forward, backward, arrays[:-1], arrays[-1])
        assert_number_type(dtype, *found)
        with rounding.precision(np.dtype(dtype).name):
            *exact, dy = map(rounding.rounded, arrays)
            bounds = [rounding.errors(x) for x in outputs_and_gradients(forward, backward, exact, dy)]
        truth = balls.certified(
            lambda *a: dict(enumerate(outputs_and_gradients(forward, backward, a[:-1], a[-1]))), *arrays
        )
        for k, (value, bound) in enumerate(zip(found, bounds, strict=True)):
            slack = 2.0**-53 * np.abs(truth[k])  # the certified value is itself rounded
            assert (np.abs(value - truth[k]) <= bound + slack).all(), f"{dtype.__name__}: output or gradient {k}"


def assert_number_type(kind, *arrays):
    """Every element of every array is of one type: no silent rounding to float on the way."""
    for array in arrays:
        array = np.asarray(array)
        kinds = {array.dtype.type} if array.dtype != object else set(map(type, array.flat))
        assert kinds == {kind}, f"expected only {kind.__name__}, found {kinds}"


def random_params(rng, net):
    """Standard normal parameters of a network: biases and log-variances too, which start at zero."""
    return {name: rng.standard_normal(shape) for name, shape in net.shapes().items()}


def network_at(net, rank):
    """A network at one rank as a function of x and its parameters, in the form that `assert_gradient` takes.

    Returns the names of the parameters in the order of the arguments, the forward and the backward.
    """
    names = [name for name in net.shapes() if name != "s"]

    def forward(x, *values):
        s = constants(np.zeros(net.R), like=x)
        return net.forward(dict(zip(names, values, strict=True)) | {"s": s}, x, rank)

    def backward(dlogits, saved):
        grads, dx = net.backward(dlogits, saved)
        assert grads.keys() == set(names)
        return dx, *(grads[name] for name in names)

    return names, forward, backward
