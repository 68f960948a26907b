"""GRD-6: backward passes compose; a network's gradients without rounding."""

from fractions import Fraction

import numpy as np
import pytest
from claims import exact
from helpers import distinct_primes, random_fractions, seeds
from hypothesis import assume, given
from hypothesis import strategies as st

from nsn_ref import ops
from nsn_ref.nets.mlp import MLP

CENTRAL = {1: Fraction(3, 4), 2: Fraction(-3, 20), 3: Fraction(1, 60)}  # exact for polynomials of degree at most 6
STEP = Fraction(1, 10**30)  # no ReLU changes sign on the way


@pytest.mark.claim("GRD-6")
@given(distinct_primes(4), st.integers(1, 4), st.integers(1, 6), seeds)
def test_backward_passes_compose(sizes, rank, more, seed):
    """In a network the backward passes of the stages, from the last to the first, give the joint gradient in the input
    and all parameters: here two nested layers and a ReLU, an output of degree 5 along any line.
    """
    n, *widths = sizes
    net = MLP(widths, R=rank + more, nested=(True, True))
    rng = np.random.default_rng(seed)
    x, x_step = random_fractions(rng, n, widths[0]), random_fractions(rng, n, widths[0])
    params, step = ({name: random_fractions(rng, *s) for name, s in net.shapes().items()} for _ in range(2))
    z, _ = ops.nested_linear_forward(x, *(params[f"layers.0.{name}"] for name in "ABb"), rank)
    assume(z.all())
    dlogits = random_fractions(rng, n, widths[-1])

    def loss(t):
        moved = {name: value + t * step[name] for name, value in params.items()}
        return exact.inner(dlogits, net.forward(moved, x + t * x_step, rank)[0])

    grads, dx = net.backward(dlogits, net.forward(params, x, rank)[1])
    slope = sum(w * (loss(k * STEP) - loss(-k * STEP)) for k, w in CENTRAL.items()) / STEP
    assert slope == exact.inner(dx, x_step) + sum(exact.inner(g, step[name]) for name, g in grads.items())
