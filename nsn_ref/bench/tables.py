"""A table as every benchmark gives it: for the terminal and for Markdown."""

from typing import NamedTuple


class Table(NamedTuple):
    """What is shown of a benchmark."""

    title: str
    columns: tuple
    rows: list  # of tuples of str
    notes: tuple = ()  # sentences below it


def markdown(table):
    """A table under its title."""
    lines = [table.columns, ["---"] + ["---:"] * (len(table.columns) - 1), *table.rows]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return "\n\n".join([f"## {table.title}", body, *table.notes])


def milliseconds(values):
    """Median and range: "1.23 (1.20-1.31)"."""
    from nsn_ref.bench.statistics import spread

    middle, low, high = spread(values)
    digits = 3 if middle < 1 else 2 if middle < 10 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
