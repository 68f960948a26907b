"""CST: what layers and networks cost, by the formulas of `analysis.cost` and by counting the operations' products."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from claims.counting import counted, products
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import ops
from nsn_ref.analysis import cost
from nsn_ref.nets.mlp import MLP

small = st.integers(1, 11)
widths = st.one_of(small, st.sampled_from([64, 768, 4096, 1_000_003]))
forms = st.tuples(widths, widths)  # d_in, d_out, down to one row or column


def multiply_adds(d_in, d_out, rank=None, *, R=None):
    """Of one layer, for one input vector."""
    R = R or rank
    return cost.layer_cost(cost.Layer(d_in, d_out, R), rank).multiply_adds


@st.composite
def counted_layers(draw):
    """(x, A, B, b) of counting numbers, R above min(d_in, d_out) among them."""
    n, d_in, d_out, R = (draw(small) for _ in range(4))
    return counted(n, d_in), counted(R, d_in), counted(d_out, R), counted(d_out)


@st.composite
def networks(draw):
    """Layers, of which the first is nested."""
    chain = draw(st.lists(st.tuples(widths, widths, st.sampled_from([None, 1, 5, 64])), min_size=0, max_size=4))
    return [cost.Layer(*draw(forms), draw(st.integers(1, 64))), *(cost.Layer(*layer) for layer in chain)]


@pytest.mark.claim("CST-1")
@given(forms, st.data())
def test_break_even(form, data):
    """Rank r is cheaper than the dense layer exactly below the break-even rank."""
    d_in, d_out = form
    exact = Fraction(d_in * d_out, d_in + d_out)
    assert cost.break_even_rank(d_in, d_out) == float(exact)
    nearest = round(exact)
    for rank in {1, *range(max(1, nearest - 1), nearest + 2), data.draw(st.integers(1, d_in + d_out))}:
        assert (multiply_adds(d_in, d_out, rank) < multiply_adds(d_in, d_out)) == (rank < exact)


@pytest.mark.claim("CST-1")
@given(counted_layers(), st.data())
def test_break_even_by_counting(layer, data):
    """The same, counted in the operations: a nested layer against a dense one."""
    x, A, B, b = layer
    d_in, d_out = A.shape[1], len(B)
    rank = data.draw(st.integers(1, len(A)))
    nested, _ = products(ops.nested_linear_forward, x, A, B, b, rank)
    dense, _ = products(ops.dense_forward, x, counted(d_out, d_in), b)
    assert nested == len(x) * multiply_adds(d_in, d_out, rank) and dense == len(x) * multiply_adds(d_in, d_out)
    assert (nested < dense) == (rank < cost.break_even_rank(d_in, d_out))


@pytest.mark.claim("CST-2")
@given(forms, small, small)
def test_cost_grows_with_the_rank(form, rank, positions):
    """The cost grows with the rank: by d_in + d_out multiply-adds and parameters for each component."""
    layer = cost.Layer(*form, rank + 1, positions)
    less, more = cost.layer_cost(layer, rank), cost.layer_cost(layer, rank + 1)
    assert more.multiply_adds - less.multiply_adds == positions * sum(form)
    assert more.parameters - less.parameters == sum(form) and more.flops > less.flops and more.bytes > less.bytes


@pytest.mark.claim("CST-2")
@given(counted_layers())
def test_cost_grows_by_counting(layer):
    """The same, counted in the operation, forward and backward."""
    x, A, B, b = layer
    each = len(x) * (A.shape[1] + len(B))
    for rank in range(1, len(A) + 1):
        forward, (y, saved) = products(ops.nested_linear_forward, x, A, B, b, rank)
        backward, _ = products(ops.nested_linear_backward, counted(*y.shape), saved)
        assert (forward, backward) == (rank * each, 2 * rank * each)


@pytest.mark.claim("CST-3")
@given(widths, small)
def test_square_layers(width, rank):
    """A square layer breaks even at half its width."""
    assert cost.break_even_rank(width, width) == width / 2
    assert (multiply_adds(width, width, rank) < multiply_adds(width, width)) == (2 * rank < width)


@pytest.mark.claim("CST-3")
@given(forms)
def test_full_rank_never_pays(form):
    """At full rank the factors always cost more than the dense layer; its product, cached, costs as much."""
    full = cost.Layer(*form, min(form))
    dense = multiply_adds(*form)
    assert cost.layer_cost(full, min(form)).multiply_adds > dense
    assert cost.layer_cost(full, min(form), cached=True).multiply_adds == dense


@pytest.mark.claim("CST-5")
@given(counted_layers(), st.data())
def test_one_pass_costs_what_the_largest_rank_costs(layer, data):
    """K ranks in one pass cost what the largest of them costs, forward and backward."""
    x, A, B, b = layer
    ranks = data.draw(st.lists(st.integers(1, len(A)), min_size=1, max_size=5))
    forward, (ys, saved) = products(ops.multirank_linear_forward, x, A, B, b, ranks)
    backward, _ = products(ops.multirank_linear_backward, counted(*ys.shape), saved)
    largest, _ = products(ops.nested_linear_forward, x, A, B, b, max(ranks))
    assert forward == largest == len(x) * multiply_adds(A.shape[1], len(B), max(ranks))
    assert backward == 2 * largest


@pytest.mark.claim("CST-4")
@given(networks(), st.data())
def test_share_of_a_network(layers, data):
    """The whole model's share of the dense FLOPs does not fall when a rank grows, never falls below what lies outside
    the nested layers, is below 1 if every layer is below its break-even rank, and is affine in one common rank.
    """
    nested = [layer for layer in layers if layer.R is not None]
    dense = cost.dense_cost(layers).multiply_adds
    outside = sum(layer.d_in * layer.d_out for layer in layers if layer.R is None)
    costs = [cost.network_cost(layers, r).multiply_adds for r in range(1, max(layer.R for layer in nested) + 1)]
    assert all(less <= more for less, more in itertools.pairwise(costs)) and costs[0] > outside
    common = min(layer.R for layer in nested)  # up to it every nested layer runs at the rank that is asked for
    assert costs[:common] == [
        outside + r * sum(layer.d_in + layer.d_out for layer in nested) for r in range(1, common + 1)
    ]
    rank = data.draw(st.integers(1, common))
    if all(rank < cost.break_even_rank(layer.d_in, layer.d_out) for layer in nested):
        assert costs[rank - 1] < dense


@pytest.mark.claim("CST-4")
@given(st.lists(small, min_size=3, max_size=5), small, st.data())
def test_share_of_a_network_by_counting(widths, R, data):
    """The cost of a network is the number of products that its forward pass takes."""
    net = MLP(tuple(widths), R)
    rank = data.draw(st.integers(1, R))
    params = {name: counted(*shape) for name, shape in net.shapes().items()}
    taken, _ = products(net.forward, params, counted(1, widths[0]), rank)
    layers = [cost.Layer(*form, R) for form in itertools.pairwise(widths[:-1])]
    assert taken == cost.network_cost([*layers, cost.Layer(*widths[-2:])], rank).multiply_adds


def parameters_passed(hidden, intermediate, blocks, vocabulary, rank=None):
    """Those of a GPT-NeoX decoder that a token passes through, one array after another; MLPs at a rank without bias."""
    attention = [(3 * hidden, hidden), (3 * hidden,), (hidden, hidden), (hidden,)]
    mlp = [(intermediate, hidden), (intermediate,), (hidden, intermediate), (hidden,)]
    if rank is not None:
        mlp = [(rank, hidden), (intermediate, rank), (rank, intermediate), (hidden, rank)]
    norms = [(hidden,)] * 4  # two, each with a scale and a shift
    arrays = [*(attention + mlp + norms) * blocks, (hidden,), (hidden,), (vocabulary, hidden)]
    return sum(int(np.prod(shape)) for shape in arrays)


@pytest.mark.claim("CST-4")
@given(small, small, small, small, st.data())
def test_share_of_a_decoder(hidden, intermediate, blocks, vocabulary, data):
    """The same for a decoder whose MLPs are nested, counted array by array."""
    decoder = cost.Transformer(hidden, intermediate, blocks, vocabulary)
    rank = data.draw(st.integers(1, min(hidden, intermediate)))
    share = Fraction(parameters_passed(*decoder, rank), parameters_passed(*decoder))
    assert cost.transformer_share(decoder, rank) == float(share)


@pytest.mark.claim("CST-6")
def test_figure_7_prints_what_remains():
    """The "savings" of the paper's Fig. 7 are the shares of Pythia-2.8B's FLOPs that remain."""
    assert parameters_passed(*cost.PYTHIA_2_8B) + 50304 * 2560 == 2_775_208_960  # as published, the embedding included
    for rank, percent in ((1024, 68), (512, 52), (256, 45), (1, 37)):
        share = Fraction(parameters_passed(*cost.PYTHIA_2_8B, rank), parameters_passed(*cost.PYTHIA_2_8B))
        assert cost.transformer_share(cost.PYTHIA_2_8B, rank) == float(share)
        assert round(100 * share) == percent
