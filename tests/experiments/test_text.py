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


@pytest.mark.parametrize("length", [1, 3, 7])
def test_windows_follow_each_other(length):
    tokens = np.arange(23)
    x, labels = windows(tokens, length)
    for i, (row, after) in enumerate(zip(x, labels, strict=True)):
        for t in range(length):
            assert row[t] == i * length + t
            assert after[t] == i * length + t + 1
    assert 22 - length < len(x) * length <= 22


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: load_text(folder / "none.txt"), FileError, "none.txt"),
        (lambda folder: windows(np.arange(5), 5, "short.txt"), DataError, "short.txt: has 5 tokens"),
        (lambda folder: windows(np.arange(5), 0), OptionError, "length is 0"),
    ],
)
def test_bad_input(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)


def test_an_empty_text(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.txt: the text is empty"):
        load_text(tmp_path / "empty.txt")
