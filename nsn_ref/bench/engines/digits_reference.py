"""Digits by `nsn_ref.train` with the reference operations."""

from nsn_ref.bench.engines.digits_ours import Digits


def make(task):
    """The training with the reference operations."""
    return Digits(task["epochs"], "reference")
