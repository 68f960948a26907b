"""Each step of an NSN has the anchor and one variant; one set of weights serves all budgets."""

from nsn_ref.experiments.comparators import fit, nsn
from nsn_ref.training.loop import train as train_network


def test_a_step_has_the_anchor_and_one_variant(setting, rows, monkeypatch):
    runs = []
    monkeypatch.setattr(fit, "train", lambda *args, **options: runs.append(train_network(*args, **options)) or runs[-1])
    family = nsn.train(rows, setting, 4)
    (run,) = runs
    assert {tuple(record["ranks"]) for record in run.metrics} == {(5, 1), (5, 3)}
    assert run.config.objective.kind == "uncertainty" and (run.params["s"][[0, 2, 4]] != 0).all()
    assert all(member.params is run.params for member in family.members)
    assert [member.rank for member in family.members] == [1, 3, 5]
