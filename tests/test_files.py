"""Files are complete or not there, whatever fails on the way."""

import os
import stat
from pathlib import Path

import pytest

from nsn_ref import files
from nsn_ref.errors import FileError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    files.write_atomically(tmp_path / "a.txt", "one")
    files.write_atomically(tmp_path / "a.txt", b"two")
    assert (tmp_path / "a.txt").read_bytes() == b"two" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stage", ["write", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_stage_leaves_the_old_file(tmp_path, monkeypatch, stage, error):
    path = tmp_path / "a.txt"
    files.write_atomically(path, "old")

    def fail(*args, **kwargs):
        raise error

    if stage == "write":
        real = os.fdopen

        class Broken:
            def __init__(self, handle, mode):
                self.file = real(handle, mode)

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                self.file.close()

            write = fail

        monkeypatch.setattr(os, "fdopen", Broken)
    elif stage == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, stage, fail)
    with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt):
        files.write_atomically(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_the_file_and_its_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    events = []
    sync, replace = os.fsync, Path.replace

    def recorded(handle):
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Path, "replace", lambda self, target: events.append("rename") or replace(self, target))
    files.write_atomically(tmp_path / "a.txt", "new")
    assert events == ["file", "rename", "folder"]


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileError, match=r"a\.txt: cannot be written: No such file"):
        files.write_atomically(tmp_path / "no" / "a.txt", "x")
    with pytest.raises(FileError, match=r"a\.json: cannot be read: No such file"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(FileError, match=r"a\.json: is not JSON"):
        files.read_json(tmp_path / "a.json")


def test_a_new_folder_is_complete_or_not_there(tmp_path):
    with files.new_folder(tmp_path / "deep" / "out") as new:
        (new / "a.txt").write_text("one")
        assert not (tmp_path / "deep" / "out").exists()
    assert names(tmp_path / "deep") == ["out"] and names(tmp_path / "deep" / "out") == ["a.txt"]
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error), files.new_folder(tmp_path / "other") as new:
            (new / "a.txt").write_text("one")
            raise error
    assert names(tmp_path) == ["deep"]


def test_a_new_folder_replaces_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    with files.new_folder(tmp_path / "out") as new:  # empty: fine
        (new / "a.txt").write_text("one")
    with (
        pytest.raises(FileError, match="out: exists already, expected a new folder"),
        files.new_folder(tmp_path / "out"),
    ):
        pass
    with pytest.raises(FileError, match="cannot be made"), files.new_folder(tmp_path / "out" / "a.txt" / "x"):
        pass


def test_hash_of_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    assert files.sha256_of_file(tmp_path / "a.txt") == files.sha256(b"one")
    with pytest.raises(FileError, match="cannot be read"):
        files.sha256_of_file(tmp_path / "b.txt")
