"""MatFormer: one of the budgets' widths for each batch, drawn uniformly."""

from collections import Counter

from nsn_ref.experiments.comparators import matformer, widths
from nsn_ref.experiments.comparators.setting import Setting


def test_each_batch_trains_one_width_drawn_uniformly(rows, recorded):
    setting = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 3, 5), epochs=150)
    drawn = recorded(widths, "gradients", 5)
    family = matformer.train(rows, setting, 0)
    assert len(drawn) == 300 and all(len(each) == 1 for each in drawn)
    counts = Counter(each[0] for each in drawn)
    assert counts.keys() == set(setting.widths)
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 13.8  # once in a thousand seeds
    per_step = [3 * (7 * w + w * w + 3 * w) for (w,) in drawn]
    assert family.training == sum(n * cost for n, cost in zip([64, 16] * 150, per_step, strict=True))
