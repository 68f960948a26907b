"""The training step of the four networks in float64."""

from dataclasses import replace

from nsn_ref.bench import engines, step, targets


def run(plan):
    """As `step`, in float64; without the products, which have no target there."""
    return step.contests(replace(plan, dtype="float64"), engines.QUICK_TO_START)


def tables(record):
    """Times, and how many times as long as ours."""
    return [step.times(record), *targets.tables(record)]
