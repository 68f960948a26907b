"""Accuracies as Table 1 averages them: at the highest rank, over the trained and over the interpolated ranks."""

from nsn_ref.experiments.tables import average, difference, interval, percent, values

HEAD = ("highest", "trained", "difference", "interpolated", "difference")


def scores_of(records, **options):
    """The three averages of one cell, each by seed."""
    result = records[0]["result"]
    trained, between = (
        [values(records, kind, rank, **options) for rank in result[kind]] for kind in ("trained", "interpolated")
    )
    return {"highest": trained[-1], "trained": average(trained), "interpolated": average(between)}


def gaps_of(scores, base):
    """Paired differences of the three, in percentage points."""
    return {name: difference(scores[name], base[name], 100) for name in scores}


def cells_of(scores, gaps):
    """The cells of a table under `HEAD`; None for the row that the others are compared with."""
    highest, trained, between = map(percent, scores.values())
    to_trained, to_between = (interval(gaps[name]) if gaps else "" for name in ("trained", "interpolated"))
    return highest, trained, to_trained, between, to_between
