"""Inputs that are generated: real ones for the certified lane, small integers for the exact lane."""

import math

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts, schema
from nsn_ref.golden.cases.objective import distinct
from nsn_ref.golden.custom.certificate import exact_numbers, exact_outputs

_POSITIVE = ("losses", "norms", "first_losses", "weights")
_SOFT = 16  # target probabilities are multiples of 1 / 16, so that they sum to 1 in every format


def real(request, rng):
    """Random inputs of a request: full mantissas, rising components, biases that are not zero."""
    drawn = {}
    for name, tensor in request.tensors("inputs").items():
        values = _values(request, name, tensor, request.shape(tensor), rng)
        drawn[name] = _as_stored(values, tensor, request.dtype)
    return drawn


def _as_stored(values, tensor, dtype):
    return np.asarray(values).astype(np.dtype(schema.stored_as(tensor, dtype)))


def _values(request, name, tensor, shape, rng):
    prefix, _, key = name.rpartition(".")
    if name == "mask":
        return np.ones(shape)
    if tensor.kind != "float":
        return rng.integers(0, request.classes(name), shape)
    if not shape:
        return 1 + rng.random()
    if prefix == "v" or prefix.startswith("v.") or key == "v":
        return (0.1 * rng.uniform(0.1, 1, shape)) ** 2
    if prefix == "m" or prefix.startswith("m."):
        return 0.05 * rng.standard_normal(shape)
    if name in _POSITIVE or request.op.startswith("gradnorm"):
        return np.exp(rng.standard_normal(shape))
    if key == "s":
        return distinct(rng, shape[0], 2.0)
    if name == "targets" and request.attrs.get("targets") == "soft":
        return rng.multinomial(_SOFT, np.full(shape[-1], 1 / shape[-1]), shape[:-1]) / _SOFT
    drawn = rng.standard_normal(shape)
    if key in ("A", "B", "E"):
        axis = 0 if key == "A" else 1
        rising = np.linspace(0.5, 1.5, shape[axis])
        drawn = drawn * (rising.reshape(-1, *[1] * (drawn.ndim - 1)) if axis == 0 else rising)
    return drawn / math.sqrt(math.prod(shape[1:])) if key in ("A", "B", "W") else drawn


def integers(request, rng):
    """Random integers for a linear operation, none of whose sums any correct port rounds, and the outputs.

    Their signs are random, so that sums cancel and the partial ones are larger than the results. They are as large as
    the format allows, by an estimate first; the certificate decides, and after a refusal they are made smaller.

    Raises
    ------
    NeedMorePrecision
        No integers will do.
    """
    largest = _largest_variance(request)
    for halvings, cancelling in [(k, True) for k in range(4)] + [(k, False) for k in range(12)]:
        declared = request.tensors("inputs")
        drawn = {name: _integers(request.shape(t), largest / 2**halvings, rng) for name, t in declared.items()}
        if cancelling:
            _add_cancelling_terms(drawn, contracts.default(request.dtype))
        drawn = {name: _as_stored(drawn[name], t, request.dtype) for name, t in declared.items()}
        try:
            return drawn, exact_outputs(request.op, request.dtype, drawn, request.attrs)
        except NeedMorePrecision:
            continue
    raise NeedMorePrecision(f"golden build: {request.op} has no exact case of this shape in {request.dtype}")


def small_integers(request, rng):
    """Integers of -2..2 without zero for any other operation, or else only signs; and the outputs.

    Rotations are by quarter turns.

    Raises
    ------
    NeedMorePrecision
        No correct port is exact on them, as where a mean is over a number that is no power of two.
    """
    for largest in (2, 1):
        drawn = {}
        turns = rng.integers(0, 4, request.shape(request.tensors("inputs")["cos"])) if "tables" in request.attrs else 0
        for name, tensor in request.tensors("inputs").items():
            shape = request.shape(tensor)
            if name in ("cos", "sin"):
                values = np.array([1, 0, -1, 0] if name == "cos" else [0, 1, 0, -1])[turns]
            elif tensor.kind != "float":
                values = rng.integers(0, request.classes(name), shape)
            else:
                values = rng.choice([-1.0, 1.0], shape) * rng.integers(1, largest + 1, shape)
            drawn[name] = _as_stored(values, tensor, request.dtype)
        try:
            return drawn, exact_numbers(request.op, request.dtype, drawn, request.attrs)
        except NeedMorePrecision as error:
            why = error
    raise NeedMorePrecision(f"golden build: {request.op} has no exact case of this shape in {request.dtype}: {why}")


def _integers(shape, variance, rng):
    """Of that variance: uniform up to a limit, or -2..2 among zeros."""
    limit = int(math.sqrt(3 * variance))
    if limit >= 2:
        return rng.integers(1, limit + 1, shape) * rng.choice([-1.0, 1.0], shape)
    return rng.choice([-2.0, -1.0, 1.0, 2.0], shape) * (rng.random(shape) < variance / 2.5)


def _add_cancelling_terms(drawn, contract):
    """Where partial sums may be longer than what is stored: a large first and last term that cancel.

    They are powers of two, so that what is multiplied by them alone still fits.
    """
    short = min((formats.named(name) for name in (contract.storage, contract.operand)), key=lambda f: f.bits)
    if formats.named(contract.accumulator).bits <= short.bits:
        return
    large = 2.0 ** (short.bits - 1)
    for factor, weight, first in (("x", "A", 0), ("x", "W", 0), ("dy", "B", 1), ("dys", "B", 1)):
        if factor in drawn and weight in drawn and drawn[factor].shape[-1] > 2:
            x = drawn[factor].reshape(len(drawn[factor]) if factor == "dys" else 1, -1, drawn[factor].shape[-1])
            x[..., 0] = x[..., -1] = 0
            x[:, first::2, 0], x[:, first::2, -1] = large, -large  # in no row both of x and of dy: dW would overflow
            weights = drawn[weight].T if factor == "x" else drawn[weight]
            weights[-1] = weights[0]


def _largest_variance(request):
    """Of the elements of every input, such that six standard deviations of any sum are within the format.

    With variance s, sums of k terms that are products of two elements have variance k s^2, and those of the second
    product of a chain k l s^3; the partial sums of the latter are bounded by k sqrt(l) s^1.5.
    """
    contract = contracts.default(request.dtype)
    short = min(formats.named(contract.storage).bits, formats.named(contract.operand).bits)
    sums = min(formats.named(contract.accumulator).bits, formats.named(contract.batch_sum).bits) - 1
    sizes, K = request.sizes, request.sizes.get("K", 1)
    n, r, d_in, d_out = K * math.prod(sizes["..."]), sizes.get("top", 1), sizes["d_in"], sizes["d_out"]
    longest, chain = max(n, r, d_in, d_out), max(r, n) * max(d_in, d_out)
    return min(
        (4.0**short / 36 / longest) ** (1 / 2),
        (4.0**short / 36 / chain) ** (1 / 3),
        (2.0**sums / math.sqrt(longest * chain)) ** (2 / 3),
    )
