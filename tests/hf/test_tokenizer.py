"""Text to tokens and back."""

import pytest

from nsn_ref.errors import DataError, FileError
from nsn_ref.hf.tokenizer import encode, read_tokenizer

TEXT = "To be, or not to be: grün, 猫"


def test_bytes(tmp_path):
    tokenizer = read_tokenizer(tmp_path, 256)
    tokens = encode(tokenizer, TEXT, 256, "text")
    assert tokens.tolist() == list(TEXT.encode()) and tokenizer.decode(tokens) == TEXT
    assert tokenizer.decode(tokens[:-1]).endswith("\ufffd")


def test_a_tokenizer_file(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: i for i, word in enumerate(["[UNK]", "to", "be", "or", "not"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = read_tokenizer(tmp_path, 5)
    tokens = encode(tokenizer, "to be or not to be", 5, "text")
    assert tokens.tolist() == [1, 2, 3, 4, 1, 2]
    assert tokenizer.decode(tokens) == "to be or not to be"
    with pytest.raises(DataError, match="--prompt: has the token 4, expected tokens below the vocabulary of 4"):
        encode(tokenizer, "not", 4, "--prompt")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FileError, match=r"tokenizer\.json: is no tokenizer"):
        read_tokenizer(tmp_path, 5)


def test_refusals(tmp_path):
    with pytest.raises(FileError, match=r"tokenizer\.json: is missing, and 101 tokens are not bytes"):
        read_tokenizer(tmp_path, 101)
    with pytest.raises(DataError, match=r"a\.txt: is empty, expected at least one token"):
        encode(read_tokenizer(tmp_path, 256), "", 256, "a.txt")
