"""A slimmable network: every width at every step, on the labels."""

from nsn_ref.experiments.comparators import slimmable, widths


def test_every_step_trains_every_width_on_the_labels(setting, rows, recorded):
    drawn, losses = recorded(widths, "gradients", 5), recorded(slimmable, "on_labels", 1)
    family = slimmable.train(rows, setting, 0)
    assert drawn == [setting.widths] * 6
    assert [labels.tolist() for labels in losses] == [rows.y_train[b].tolist() for b in setting.batches(rows, 0)]
    assert family.training == 3 * 80 * 3 * sum(7 * w + w * w + 3 * w for w in setting.widths)
