"""Slimmable encoder for split computing: the first hidden layer is a bottleneck, and its width is what is sent."""

from nsn_ref.experiments.comparators.widths import on_labels, train_widths


def train(split, setting, seed):
    """One training; the losses of all widths of the bottleneck summed.

    Source: Assine et al., arXiv:2306.12691.
    """
    widths = bottlenecks(setting)
    return train_widths(split, setting, seed, lambda rng, progress: widths, on_labels, widths)


def bottlenecks(setting):
    """For each budget the hidden widths: of the first layer as many units as the FLOPs allow; the others whole."""
    whole = setting.hidden[1:]
    return [(width, *whole) for width in setting.matched(lambda width: setting.dense((width, *whole)))]
