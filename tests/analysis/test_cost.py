"""Costs against the sizes of real arrays, loops that count, and the paper's printed percentages."""

import numpy as np
import pytest
from helpers import distinct_primes
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.analysis.cost import (
    BYTES,
    PYTHIA_2_8B,
    Layer,
    break_even_rank,
    dense_cost,
    layer_cost,
    network_cost,
    transformer_share,
)
from nsn_ref.errors import OptionError, RankError


def count_multiply_adds(rows, columns):
    """One for each step of the loops of a matrix-vector product."""
    return sum(1 for _ in range(rows) for _ in range(columns))


@given(distinct_primes(4), st.sampled_from(["float32", "float64", "float16"]))
def test_layer_cost_counts_loops_and_array_elements(sizes, dtype):
    d_in, d_out, R, positions = sizes
    for rank in (1, (R + 1) // 2, R):
        cost = layer_cost(Layer(d_in, d_out, R, positions), rank, dtype=dtype)
        loops = count_multiply_adds(rank, d_in) + count_multiply_adds(d_out, rank)
        arrays = [np.zeros(shape, dtype) for shape in ((rank, d_in), (d_out, rank), (d_out,))]
        assert cost.multiply_adds == loops * positions and cost.flops == 2 * loops * positions
        assert cost.parameters == sum(a.size for a in arrays)
        assert cost.bytes == sum(a.nbytes for a in arrays)


def test_byte_counts_are_those_of_the_dtypes():
    import ml_dtypes

    for name, size in BYTES.items():
        assert np.dtype(getattr(np, name, None) or getattr(ml_dtypes, name)).itemsize == size


@given(distinct_primes(2))
def test_break_even_separates_cheaper_from_dearer(sizes):
    d_in, d_out = sizes
    R = d_in + d_out
    dense = layer_cost(Layer(d_in, d_out))
    for rank in range(1, R + 1):
        nested = layer_cost(Layer(d_in, d_out, R), rank)
        cached = layer_cost(Layer(d_in, d_out, R), rank, cached=True)
        assert (nested.multiply_adds < dense.multiply_adds) == (rank < break_even_rank(d_in, d_out))
        assert cached == min(nested, dense)


def test_known_layer():
    """784 to 256 at rank 16: 16 * 1040 multiply-adds against 200,704; break-even at 192.98."""
    cost = layer_cost(Layer(784, 256, 64), 16)
    assert (cost.multiply_adds, cost.flops, cost.parameters, cost.bytes) == (16640, 33280, 16896, 67584)
    assert abs(break_even_rank(784, 256) - 192.9846) < 1e-4


def test_network_is_the_sum_of_its_layers():
    layers = [Layer(64, 128, 32), Layer(128, 30, 8), Layer(30, 10)]
    cost = network_cost(layers, 16, dtype="float64")
    by_hand = 16 * (64 + 128) + 8 * (128 + 30) + 30 * 10
    assert cost.multiply_adds == by_hand
    assert cost.parameters == by_hand + 128 + 30 + 10
    assert cost.bytes == 8 * cost.parameters
    assert dense_cost(layers).multiply_adds == 64 * 128 + 128 * 30 + 30 * 10


@pytest.mark.parametrize("rank, percent", [(1024, 68), (512, 52), (256, 45), (1, 37)])
def test_pythia_2_8b_gives_the_papers_percentages(rank, percent):
    """Fig. 7 of the paper prints whole per cents."""
    assert round(100 * transformer_share(PYTHIA_2_8B, rank)) == percent


def test_pythia_2_8b_has_its_published_number_of_parameters():
    """2,775,208,960, with the input embedding: the denominator of the share, recovered from two ranks."""
    slope = transformer_share(PYTHIA_2_8B, 2) - transformer_share(PYTHIA_2_8B, 1)
    counted = 32 * 2 * (2560 + 10240) / slope
    assert abs(counted + 50304 * 2560 - 2_775_208_960) < 1e-6 * 2_775_208_960


def test_bad_input_is_named():
    with pytest.raises(RankError, match=r"layer_cost: rank is 0, expected an integer in 1\.\.5"):
        layer_cost(Layer(3, 7, 5), 0)
    with pytest.raises(RankError, match="layer_cost: rank is 2, expected None for a dense layer"):
        layer_cost(Layer(3, 7), 2)
    with pytest.raises(RankError, match=r"network_cost: rank is 6, expected an integer in 1\.\.5"):
        network_cost([Layer(3, 7, 5), Layer(7, 2)], 6)
    with pytest.raises(OptionError, match="dtype is 'int4', expected one of 'float64', 'float32'"):
        layer_cost(Layer(3, 7), dtype="int4")
    for layer, name in (
        (Layer(0, 7), "d_in"),
        (Layer(3, 7.0), "d_out"),
        (Layer(3, 7, 0), "R"),
        (Layer(3, 7, 2, 0), "p"),
    ):
        with pytest.raises(OptionError, match=f"layer_cost: {name}.* expected an integer of at least 1"):
            layer_cost(layer, 1)
    with pytest.raises(OptionError, match="break_even_rank: d_in is -3"):
        break_even_rank(-3, 7)
    with pytest.raises(RankError, match=r"transformer_share: rank is 2561, expected an integer in 1\.\.2560"):
        transformer_share(PYTHIA_2_8B, 2561)
