"""Reading the values of options."""

from nsn_ref.errors import OptionError


def integers(option, text):
    """A list of integers separated by commas.

    Raises
    ------
    OptionError
    """
    return _listed(option, text, int, "integers")


def numbers(option, text):
    """A list of numbers separated by commas.

    Raises
    ------
    OptionError
    """
    return _listed(option, text, float, "numbers")


def variants(option, text, R):
    """Ranks below R: integers, "powers" of two, or None for "all" of them.

    Raises
    ------
    OptionError
    """
    if text == "all":
        return None
    if text == "powers":
        return tuple(2**i for i in range(max(R - 1, 0).bit_length())) or None
    return tuple(integers(option, text))


def _listed(option, text, kind, what):
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"{option} is {text!r}, expected {what} separated by commas") from None
