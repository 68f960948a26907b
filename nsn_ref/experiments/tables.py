"""What pages are written from: values by seed, paired intervals, and text."""

from nsn_ref.experiments.data import TEST_TO_TRAIN
from nsn_ref.experiments.paired import corrected_interval


def values(records, *path, **options):
    """What the cell with these options gave, by seed.

    Parameters
    ----------
    records : list of dict
        Of one experiment.
    *path : str
        Where the value lies in a result.
    **options
        Those that tell the cell from the others.

    Returns
    -------
    dict of int to object
    """
    found = {}
    for record in records:
        if all(record["options"].get(name) == value for name, value in options.items()):
            value = record["result"]
            for key in path:
                value = value[key]
            found[record["seed"]] = value
    return found


def choices(records, name):
    """The values of an option among the cells, in the order of the records."""
    return list(dict.fromkeys(record["options"][name] for record in records if name in record["options"]))


def mean(by_seed):
    """Mean over the seeds."""
    return sum(by_seed.values()) / len(by_seed)


def average(each):
    """The average of several values by seed, seed by seed."""
    return {seed: sum(by_seed[seed] for by_seed in each) / len(each) for seed in each[0]}


def difference(ours, rival, scale=1):
    """Interval of the mean of ours - rival, paired by seed, times `scale`."""
    return corrected_interval([scale * (value - rival[seed]) for seed, value in ours.items()], TEST_TO_TRAIN)


def percent(by_seed):
    """Mean of shares, as text."""
    return f"{100 * mean(by_seed):.1f}"


def interval(difference, digits=1):
    """A difference with its interval, as text."""
    mean, low, high = (f"{value:+.{digits}f}" for value in difference)
    return f"{mean} ({low} to {high})"


def printed_at(by_rank, rank):
    """A number of the paper, or nothing."""
    return f"{by_rank[rank]:.1f}" if rank in by_rank else ""


def extremes(numbers):
    """The smallest and the largest number of percentage points, as text."""
    numbers = list(numbers)
    return f"{min(numbers):+.1f} to {max(numbers):+.1f} points"


def at_ranks(ranks):
    """Where something holds, as text."""
    ranks = list(map(str, ranks))
    return f"at {'rank' if len(ranks) == 1 else 'ranks'} {', '.join(ranks)}" if ranks else "at no rank"


def listed(names):
    """Names in quotation marks, as text."""
    return "; ".join(f'"{name}"' for name in names) or "none"


def table(head, rows):
    """A table of Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)
