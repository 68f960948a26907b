"""Texts and their windows."""

import hashlib

import numpy as np
import pytest

from nsn_ref.errors import DataError, FileError, OptionError
from nsn_ref.experiments.text import load_text, windows


def test_a_file_is_its_bytes(tmp_path):
    content = "Größe, 23 bytes of it".encode()
    path = tmp_path / "some.txt"
    path.write_bytes(content)
    text = load_text(path)
    assert bytes(text.train.astype(np.uint8)) + bytes(text.held_out.astype(np.uint8)) == content
    assert len(text.held_out) == len(content) // 10
    assert text.sha256 == hashlib.sha256(content).hexdigest()


def test_every_python_has_a_text():
    text = load_text()
    assert len(text.train) > 100_000
    assert b'The "assert" statement' in bytes(text.train.astype(np.uint8))


@pytest.mark.parametrize("length", [2, 3, 7])
def test_windows_follow_each_other(length):
    rows = windows(np.arange(23), length)
    assert [token for row in rows for token in row] == list(range(length * len(rows)))
    assert 23 - length < length * len(rows) <= 23


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: load_text(folder / "none.txt"), FileError, "none.txt"),
        (lambda folder: windows(np.arange(5), 7, "short.txt"), DataError, "short.txt: has 5 tokens"),
        (lambda folder: windows(np.arange(5), 1), OptionError, "length is 1"),
    ],
)
def test_bad_input(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)


def test_an_empty_text(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.txt: the text is empty"):
        load_text(tmp_path / "empty.txt")
