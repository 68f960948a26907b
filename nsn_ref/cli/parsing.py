"""Reading the values of options."""

from nsn_ref.errors import FileError, OptionError


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


def check_folders(files):
    """Refuse files that could not be written, before minutes of work rather than after.

    Parameters
    ----------
    files : dict of str to Path
        By option; None where it is not given.

    Raises
    ------
    FileError
    """
    for option, path in files.items():
        if path is not None and not path.parent.is_dir():
            raise FileError(f"{option} is {path}, expected a file in a folder that exists")


def _listed(option, text, kind, what):
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"{option} is {text!r}, expected {what} separated by commas") from None
