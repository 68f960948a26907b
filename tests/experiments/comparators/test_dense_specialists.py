"""A dense specialist has no factors, and the FLOPs of its rank as nearly as a width allows."""

from nsn_ref.experiments.comparators.dense_specialists import train


def test_networks_are_dense_and_of_the_budgets_widths(setting, rows):
    family = train(rows, setting, 4)
    for width, member in zip(setting.widths, family.members, strict=True):
        shapes = {name: p.shape for name, p in member.params.items() if name.endswith(".W")}
        assert shapes == {"layers.0.W": (width, 7), "layers.1.W": (width, width), "layers.2.W": (3, width)}
        assert not any(name.endswith(".A") for name in member.params)


def test_all_are_trained_and_kept(setting, rows):
    family = train(rows, setting, 4)
    assert family.training == 3 * 80 * 3 * sum(7 * w + w * w + 3 * w for w in setting.widths)
    assert family.stored == sum(7 * w + w + w * w + w + 3 * w + 3 for w in setting.widths)
