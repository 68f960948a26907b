"""A specialist is a network of its rank, trained as if there were no other."""

from nsn_ref.experiments.comparators.specialists import train
from nsn_ref.experiments.digits import ALONE
from nsn_ref.training.loop import train as train_network


def test_each_is_the_training_of_one_network(setting, rows):
    family = train(rows, setting, 4)
    for rank, member in zip(setting.ranks, family.members, strict=True):
        assert member.params["layers.0.A"].shape == (rank, 7) and member.rank == rank
        config = setting.config(rows, 4, **ALONE)
        run = train_network(setting.nested(rank), (rows.x_train, rows.y_train), config, progress=False)
        assert all((member.params[name] == p).all() for name, p in run.params.items())
        assert {tuple(record["ranks"]) for record in run.metrics} == {(rank,)}


def test_all_are_trained_and_kept(setting, rows):
    family = train(rows, setting, 4)
    assert family.stored == sum(r * (7 + 13) + 13 + r * (13 + 11) + 11 + 11 * 3 + 3 for r in setting.ranks)
    assert family.training == 3 * 80 * 3 * sum(r * (7 + 13) + r * (13 + 11) + 11 * 3 for r in setting.ranks)
