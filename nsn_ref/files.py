"""Files that are either complete or not there."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from nsn_ref.errors import FileError

PART = ".part"  # how a temporary file's name ends


def write_atomically(path, content):
    """Replace a file in one step: a temporary one beside it, fsynced, then renamed.

    Whatever fails on the way leaves the old file as it was, and no temporary one.

    Parameters
    ----------
    path : str or Path
    content : bytes or str

    Raises
    ------
    FileError
    """
    path = Path(path)
    content = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # a temporary file is readable by its owner only
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(f"{path}: cannot be written: {error.strerror}") from error
        raise
    _sync_folder(path.parent)


def remove_leftovers(folder):
    """Remove the temporary files that a kill left in a folder that nobody else writes to."""
    for path in Path(folder).glob(f".*{PART}"):
        path.unlink(missing_ok=True)


def made_folder(path):
    """A folder that exists now, as a Path.

    Raises
    ------
    FileError
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: cannot be made: {error.strerror}") from error
    return Path(path)


def check_new(path):
    """Check that a folder can be a new one: it does not exist, or is empty.

    Raises
    ------
    FileError
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileError(f"{path}: exists already, expected a new folder")


@contextlib.contextmanager
def new_folder(path):
    """A folder that is either complete or not there: filled under a temporary name beside it, then renamed.

    Parameters
    ----------
    path : str or Path
        It must not exist, or be empty.

    Yields
    ------
    Path
        The folder to fill.

    Raises
    ------
    FileError
    """
    path = Path(path)
    check_new(path)
    try:
        temporary = Path(tempfile.mkdtemp(dir=made_folder(path.parent), prefix=f".{path.name}.", suffix=PART))
    except OSError as error:
        raise FileError(f"{path}: cannot be made: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())  # a temporary folder is readable by its owner only
        temporary.rename(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FileError):
            raise FileError(f"{path}: cannot be written: {error.strerror}") from error
        raise
    _sync_folder(path.parent)


def read_bytes(path):
    """The content of a file.

    Raises
    ------
    FileError
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path):
    """The content of a JSON file.

    Raises
    ------
    FileError
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise FileError(f"{path}: is not JSON: {error}") from error


def sha256(content):
    """Hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path):
    """Hexadecimal SHA-256 of a file, read piece by piece.

    Raises
    ------
    FileError
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder):
    """Make a rename outlast a power cut; not every system can open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
