"""Members run as their networks do."""

import numpy as np

from nsn_ref.experiments.comparators.family import Member, at_ranks, size


def test_members_predict_and_are_scored(setting, rows, rng):
    net = setting.nested(5)
    params = net.init(rng)
    for member in at_ranks(net, params, setting.ranks):
        z, _ = net.forward(params, rows.x_test, member.rank)
        assert np.allclose(member.predictor()(rows.x_test), z, rtol=1e-5, atol=1e-5)
        assert member.accuracy(rows.x_test, z.argmax(axis=1)) == 1
        assert member.accuracy(rows.x_test, (z.argmax(axis=1) + 1) % 3) == 0
        assert member.multiply_adds == min(member.rank * 20, 7 * 13) + min(member.rank * 24, 13 * 11) + 11 * 3


def test_what_must_be_kept_is_counted_by_hand(setting):
    nested = 5 * (7 + 13) + 13 + 5 * (13 + 11) + 11 + 11 * 3 + 3
    dense = 7 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    assert size(setting.nested(5)) == nested
    assert size(setting.nested(5), setting.dense(8)) == nested + dense
    assert Member(setting.dense(8), {}, 1).multiply_adds == 7 * 8 + 8 * 8 + 8 * 3
