"""Whether two engines found the same."""

from nsn_ref.errors import NSNError

# of losses near 1 to 10 over five steps, each of which moves the weights by up to 1e-4 and decays them by 1e-3
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def check(name, found, expected, tolerance):
    """The largest difference between what an engine found and what it should have, relative to the latter.

    Parameters
    ----------
    name : str
        Of the engine.
    found, expected : sequence of sequences of float
        For each step.
    tolerance : float

    Returns
    -------
    float

    Raises
    ------
    NSNError
        A difference is larger than `tolerance`, or not a number.
    """
    largest = 0.0
    for step, (values, truths) in enumerate(zip(found, expected, strict=True), 1):
        for value, truth in zip(values, truths, strict=True):
            difference = abs(value - truth) / max(1.0, abs(truth))
            if not difference <= tolerance:
                raise NSNError(
                    f"bench: {name} found {value!r} at step {step}, expected {truth!r} within {tolerance:g}; "
                    "engines that compute something else are not timed"
                )
            largest = max(largest, difference)
    return largest
