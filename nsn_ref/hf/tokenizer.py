"""Text to tokens and back: tokenizer.json, or bytes."""

from pathlib import Path

import numpy as np

from nsn_ref.errors import DataError, FileError, OptionError

FILE = "tokenizer.json"
BYTES = 256


class ByteTokenizer:
    """A token for each byte of UTF-8."""

    def encode(self, text):
        """Tokens, (T,)."""
        return np.frombuffer(text.encode(), np.uint8).astype(np.int64)

    def decode(self, tokens):
        """Text; bytes that are no UTF-8 become U+FFFD."""
        return bytes(int(token) for token in tokens).decode(errors="replace")


class FileTokenizer:
    """The tokenizer of a tokenizer.json, run by the package `tokenizers`."""

    def __init__(self, path):
        try:
            import tokenizers
        except ImportError:
            raise OptionError(f'{path}: needs the package tokenizers: pip install "nsn_ref[decoder]"') from None
        try:
            self.tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises bare Exception
            raise FileError(f"{path}: is no tokenizer: {error}") from error

    def encode(self, text):
        """Tokens, (T,), without special ones."""
        return np.array(self.tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def decode(self, tokens):
        """Text."""
        return self.tokenizer.decode([int(token) for token in tokens])


def read_tokenizer(folder, vocabulary):
    """The tokenizer of a model folder: tokenizer.json; without it, bytes if the vocabulary has 256 tokens.

    Parameters
    ----------
    folder : str or Path
    vocabulary : int
        Of the model.

    Returns
    -------
    FileTokenizer or ByteTokenizer
        With `encode` and `decode`.

    Raises
    ------
    FileError, OptionError
    """
    path = Path(folder) / FILE
    if path.is_file():
        return FileTokenizer(path)
    if vocabulary != BYTES:
        raise FileError(f"{path}: is missing, and {vocabulary} tokens are not bytes; expected it or {BYTES} tokens")
    return ByteTokenizer()


def encode(tokenizer, text, vocabulary, what):
    """Tokens of a text, checked against a model's vocabulary; `what` is named in messages.

    Raises
    ------
    DataError
        The text is empty, or has a token that the model has not.
    """
    tokens = tokenizer.encode(text)
    if not len(tokens):
        raise DataError(f"{what}: is empty, expected at least one token")
    if tokens.max() >= vocabulary:
        raise DataError(f"{what}: has the token {tokens.max()}, expected tokens below the vocabulary of {vocabulary}")
    return tokens
