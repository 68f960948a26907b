"""Batches and seeds."""

import numpy as np

from nsn_ref.training.samplers import STREAMS, batch, generator, steps_per_epoch


def test_an_epoch_visits_every_row_once():
    assert steps_per_epoch(23, 5) == 5 and steps_per_epoch(25, 5) == 5 and steps_per_epoch(3, 5) == 1
    orders = []
    for epoch in range(3):
        batches = [batch(7, 5 * epoch + i, 23, 5) for i in range(5)]
        assert [len(rows) for rows in batches] == [5, 5, 5, 5, 3]
        orders.append(np.concatenate(batches).tolist())
        assert sorted(orders[-1]) == list(range(23))
    assert orders[0] != orders[1] != orders[2]


def test_a_step_depends_on_nothing_before_it():
    late_first = batch(7, 13, 23, 5)
    for step in range(13):
        batch(7, step, 23, 5)
    assert (batch(7, 13, 23, 5) == late_first).all()


def test_seeds_streams_and_steps_draw_differently():
    first = {generator(seed, stream, index).random() for seed in range(3) for stream in STREAMS for index in range(5)}
    assert len(first) == 3 * 3 * 5
    assert generator(1, "ranks", 4).random() == generator(1, "ranks", 4).random()
