"""What is timed: cells, their arithmetic, what a step must store."""

import json

import numpy as np
import pytest

from nsn_ref.bench import memory
from nsn_ref.bench.cells import BATCHES, CONV_NETS, NETS, Cell, multiply_adds, pair
from nsn_ref.nets.convnet import ConvNet

CELL = Cell((7, 5, 11, 3), 13, (13, 2), 17)


def test_a_cell_survives_json():
    assert Cell.from_json(json.loads(json.dumps(CELL.to_json()))) == CELL


def test_the_networks_of_the_targets():
    assert [pair(*net).name for net in NETS] == [
        "64-128-128-10 (32, 64)",
        "784-256-256-10 (64, 128)",
        "784-1024-1024-10 (256, 128)",
        "1024-2048-2048-1000 (512, 256)",
    ]
    assert [pair(*net).ranks for net in NETS] == [(32, 8), (64, 16), (256, 64), (512, 128)]


def test_a_cell_with_images_is_a_convolutional_net():
    cell = pair(*CONV_NETS[0])
    assert cell.name == "1-16-32-10 (16, 64), 8 x 8" and Cell.from_json(cell.to_json()) == cell
    assert cell.net() == ConvNet((1, 16, 32), 10, R=16)
    assert cell.data()[1][0][0].shape == (64, 1, 8, 8)


def test_data_is_the_same_every_time_and_each_batch_another():
    (params, batches), (again, others) = CELL.data(), CELL.data()
    assert all(np.array_equal(params[name], again[name]) and params[name].dtype == np.float32 for name in params)
    assert all(np.array_equal(a, b) for pairs in zip(batches, others, strict=True) for a, b in zip(*pairs, strict=True))
    assert len(batches) == BATCHES and batches[0][0].shape == (17, 7)
    assert not any(np.array_equal(batches[0][0], x) for x, _ in batches[1:])
    assert all(labels.min() >= 0 and labels.max() < 3 for _, labels in batches)


def test_a_check_moves_the_weights_and_a_timing_does_not():
    assert CELL.lr < 1e-6 < CELL.check().lr


def test_multiply_adds_counts_every_product():
    """Each product (m, k) (k, n) of a step written out; the first layer once for both ranks."""
    n, R, r = 17, 13, 2
    first = [(n, 7, R), (n, R, 5), (n, 5, R), (5, n, R), (R, n, 7)]  # z, y, dz, dB, dA
    second = [p for k in (R, r) for p in [(n, 5, k), (n, k, 11), (n, 11, k), (11, n, k), (k, n, 5), (n, k, 5)]]
    head = [p for _ in range(2) for p in [(n, 11, 3), (3, n, 11), (n, 3, 11)]]
    assert multiply_adds(CELL) == sum(a * b * c for a, b, c in first + second + head)


def test_formula_of_memory():
    """Inputs of the layers and of their factors B, and the logits, written out."""
    n, R, r = 17, 13, 2
    saved = n * (7 + R) + n * 2 * 5 + n * (R + r) + n * 2 * 11 + n * 2 * 3
    count = 13 * 7 + 5 * 13 + 5 + 13 * 5 + 11 * 13 + 11 + 3 * 11 + 3 + 13
    assert memory.formula(CELL) == 4 * (4 * count + saved)


@pytest.mark.parametrize("growth, met", [(20.0e6, "yes"), (20.1e6, "no")])
def test_memory_is_held_against_the_formula(growth, met):
    (table,) = memory.tables({"runs": [{"cell": CELL.to_json(), "growth": growth}], "steps": 20, "dtype": "float32"})
    assert table.rows[0][-1] == met
