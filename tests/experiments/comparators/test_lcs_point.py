"""LCS, point: the sandwich rule on labels."""

from nsn_ref.experiments.comparators import lcs_point, widths


def test_every_width_of_a_step_learns_from_the_labels(setting, rows, recorded):
    drawn, losses = recorded(widths, "gradients", 5), recorded(lcs_point, "on_labels", 1)
    lcs_point.train(rows, setting, 0)
    assert len(drawn) == len(losses) == 6
    smallest, largest = setting.widths[0], setting.widths[-1]
    assert all(w[:2] == [largest, smallest] and smallest <= min(w) and max(w) <= largest for w in drawn)
    assert all(len(w) == 4 for w in drawn)
