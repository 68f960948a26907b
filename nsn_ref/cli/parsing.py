"""Reading the values of options."""

from nsn_ref.errors import OptionError


def integers(option, text):
    """A list of integers separated by commas.

    Raises
    ------
    OptionError
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"{option} is {text!r}, expected integers separated by commas") from None
