"""Text as bytes, the tokens of a byte-level decoder: to train on, and held out."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError
from nsn_ref.files import read_bytes, sha256

VOCABULARY = 256
TOPICS = "topics"  # the name of the text that every Python has
HELD_OUT = 10  # one byte in so many, the last ones


class Text(NamedTuple):
    """A text in two parts."""

    name: str
    train: np.ndarray  # (n,), int64 in 0..255
    held_out: np.ndarray  # (m,), int64 in 0..255
    sha256: str  # of the whole, before it was divided


def load_text(name=TOPICS):
    """A text; its last tenth is held out.

    Parameters
    ----------
    name : str or Path
        Of a file; "topics" is the help on Python's language that every installation has (`pydoc_data.topics`), which
        differs from version to version.

    Returns
    -------
    Text

    Raises
    ------
    FileError
    DataError
        The text is empty.
    """
    if str(name) == TOPICS:
        from pydoc_data.topics import topics

        content = "\n\n".join(topics[key] for key in sorted(topics)).encode()
    else:
        content = read_bytes(name)
    if not content:
        raise DataError(f"{name}: the text is empty, expected at least one byte")
    tokens = np.frombuffer(content, np.uint8).astype(np.int64)
    end = len(tokens) - len(tokens) // HELD_OUT
    return Text(str(name), tokens[:end], tokens[end:], sha256(content))


def windows(tokens, length, name="tokens"):
    """Cut a text into windows that follow each other.

    Parameters
    ----------
    tokens : ndarray, shape (m,)
    length : int, >= 2
        One token more than a decoder predicts of each window.
    name : str
        Of the text, for the message.

    Returns
    -------
    ndarray, shape (n, length)
        What is left at the end is not used.

    Raises
    ------
    DataError
        The text has no whole window.
    """
    checks.integer("windows", "length", length, 2)
    count = len(tokens) // length
    if count < 1:
        raise DataError(f"{name}: has {len(tokens)} tokens, expected at least {length}, the length of a window")
    return tokens[: count * length].reshape(count, length)
