"""ENG: what a component can contribute, for one layer. Outputs and bounds are rational numbers: energies are floats."""

from fractions import Fraction

import numpy as np
import pytest
from claims import exact
from claims.balls import ball, on_balls
from claims.strategies import DYADIC, RATIONAL, floats, layers
from helpers import fractions
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.analysis import energy

U = Fraction(1, 2**53)
FRACTIONS = RATIONAL._replace(denominators=DYADIC.denominators)  # numbers that floats hold too
drawn = layers(engines=(FRACTIONS, DYADIC))


def square(x):
    """The squared norm, exactly."""
    return exact.inner(x, x)


def energies(layer):
    """Those of every component, and by how much their rounding may lower a sum of them.

    A norm of d numbers is off by at most (d / 2 + 2) u, their product by one u more, a sum of R by R u.
    """
    found = fractions(energy.component_energies(floats(layer.A), floats(layer.B)))
    return found, 1 + (layer.A.size + layer.B.size + 8) * U


def ascending(layer):
    """The same components in the order of their norms, the smallest first: what Assumption 1 excludes."""
    order = sorted(range(len(layer.A)), key=lambda i: square(layer.A[i]) * square(layer.B[:, i]))
    return layer._replace(A=layer.A[order], B=layer.B[:, order])


@pytest.mark.claim("ENG-1")
@given(drawn)
def test_lemma_1(layer):
    """Lemma 1: one more component changes the output by at most its energy times the norm of the input."""
    found, slack = energies(layer)
    before = np.broadcast_to(layer.b, (len(layer.x), len(layer.b)))  # no component: the bias
    for i, rank in enumerate(layer.ranks):
        y = layer.output(rank)
        for x, step in zip(layer.x, y - before, strict=True):
            assert square(step) <= (found[i] * slack) ** 2 * square(x)
        before = y


@pytest.mark.claim("ENG-1")
@given(drawn)
def test_lemma_1_cannot_be_improved(layer):
    """For the weights it is an equality, and for the input x = a_{r+1} too."""
    found, slack = energies(layer)
    before = 0 * layer.weight(1)
    for i, rank in enumerate(layer.ranks):
        W = layer.weight(rank)
        a, step = layer.A[i], W - before
        assert square(step) == square(a) * square(layer.B[:, i])
        assert square(step @ a) == square(a) ** 2 * square(layer.B[:, i])
        assert found[i] ** 2 <= square(step) * slack**2 and square(step) <= found[i] ** 2 * slack**2
        before = W


@pytest.mark.claim("ENG-2")
@given(drawn, st.booleans())
def test_change_between_two_ranks(layer, is_ascending):
    """Between any two ranks the output changes by at most the energies between them, and without Assumption 1."""
    layer = ascending(layer) if is_ascending else layer
    found, slack = energies(layer)
    outputs = [layer.output(rank) for rank in layer.ranks]
    for low in layer.ranks:
        for high in range(low, len(outputs) + 1):
            bound = sum(found[low:high], Fraction(0)) * slack
            for x, change in zip(layer.x, outputs[high - 1] - outputs[low - 1], strict=True):
                assert square(change) <= bound**2 * square(x)


@pytest.mark.claim("ENG-2")
@given(drawn)
def test_tails_bound_the_change_to_the_full_rank(layer):
    """`tail_energies` are these sums up to R."""
    _, slack = energies(layer)
    tails = fractions(energy.tail_energies(floats(layer.A), floats(layer.B)))
    full = layer.output(len(layer.A))
    for rank in layer.ranks:
        for x, change in zip(layer.x, full - layer.output(rank), strict=True):
            assert square(change) <= (tails[rank - 1] * slack) ** 2 * square(x)
    assert tails[-1] == 0


@pytest.mark.claim("ENG-2")
@given(drawn, st.integers(0, 9), st.data())
@on_balls
def test_proposition_1(layer, lipschitz, data):
    """Proposition 1 holds for one linear layer under a Lipschitz loss: here L times the largest absolute error, which
    depends on a label, averaged with any weights.
    """
    found, slack = energies(layer)
    n, d_out = len(layer.x), len(layer.b)
    shares = data.draw(st.lists(st.integers(0, 5).map(Fraction), min_size=n, max_size=n))
    labels = data.draw(st.lists(st.integers(-9, 9).map(Fraction), min_size=d_out, max_size=d_out))
    low, high = sorted(data.draw(st.tuples(*[st.sampled_from(layer.ranks)] * 2)))

    def mean_loss(rank):
        largest = [max(abs(y - label) for y, label in zip(row, labels, strict=True)) for row in layer.output(rank)]
        return lipschitz * sum(share * error for share, error in zip(shares, largest, strict=True))

    mean_norm = sum(ball(share) * ball(square(x)).sqrt() for share, x in zip(shares, layer.x, strict=True))
    change = abs(mean_loss(high) - mean_loss(low))
    assert ball(change) <= lipschitz * mean_norm * ball(sum(found[low:high], Fraction(0)) * slack)


TRIPLES = [(3, 4, 5), (5, 12, 13), (8, 15, 17), (0, 1, 1), (20, 21, 29)]  # rows whose norm is rational


@pytest.mark.claim("ENG-3")
@given(layers(engines=(RATIONAL,), sizes=(5, 2, 3)), st.data())
def test_any_row_norms_are_reached(layer, data):
    """Assumption 1 (norms that do not increase) is not gauge invariant: any positive row norms can be reached without
    changing a single W_r.
    """
    R = len(layer.A)
    rows = [data.draw(st.sampled_from(TRIPLES)) for _ in range(R)]
    norms = data.draw(st.lists(st.fractions(Fraction(1, 99), 99, max_denominator=99), min_size=R, max_size=R))
    A = exact.matrix(R, 2, lambda i, j: rows[i][j])
    d = np.array([norm / row[2] for norm, row in zip(norms, rows, strict=True)], dtype=object)
    before, after = layer._replace(A=A), layer._replace(A=A * d[:, None], B=layer.B / d)
    assert [square(a) for a in after.A] == [norm**2 for norm in norms]
    assert all((before.weight(rank) == after.weight(rank)).all() for rank in layer.ranks)


@pytest.mark.claim("ENG-3")
@given(layers(engines=(DYADIC,)))
def test_assumption_1_by_choice_of_gauge(layer):
    """One layer, two gauges: in one the row norms fall, in the other they rise; the outputs are the same bits."""
    A = layer.A + (layer.A == 0).all(axis=1, keepdims=True)  # no zero row
    _, sizes = np.frexp(energy.factor_norms(floats(A), floats(layer.B))[0])
    for sign, share in ((-1, 1.0), (1, 0.0)):
        c = np.array([Fraction(2) ** int(2 * sign * i - size) for i, size in enumerate(sizes)], dtype=object)
        moved = layer._replace(A=A * c[:, None], B=layer.B / c)
        norms, _ = energy.factor_norms(floats(moved.A), floats(moved.B))
        assert len(norms) == 1 or energy.non_increasing_share(norms) == share
        for rank in layer.ranks:
            assert (moved.output(rank) == layer._replace(A=A).output(rank)).all()


@pytest.mark.claim("ENG-4")
@given(drawn, st.data())
def test_energy_does_not_depend_on_the_gauge(layer, data):
    """The energy of a component, the product of its norms, does not depend on the gauge: for powers of two, as far as
    float64 reaches, not in a single bit.
    """
    A, B = floats(layer.A), floats(layer.B)
    c = np.ldexp(1.0, [data.draw(st.integers(-600, 600)) for _ in layer.ranks])
    assert (energy.component_energies(A * c[:, None], B / c) == energy.component_energies(A, B)).all()


@pytest.mark.claim("ENG-4")
@given(drawn, st.data())
def test_energy_in_any_gauge(layer, data):
    """In any other gauge it is the same up to rounding."""
    d = np.array([data.draw(st.sampled_from([-3.0, 0.1, 1 / 3, 7.5])) for _ in layer.ranks])
    found, slack = energies(layer)
    moved = fractions(energy.component_energies(floats(layer.A) * d[:, None], floats(layer.B) / d))
    for one, other in zip(found, moved, strict=True):
        assert one <= other * slack**2 and other <= one * slack**2
