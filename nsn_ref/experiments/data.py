"""Data sets: the real ones that scikit-learn bundles, and files of the user's own."""

import csv
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError
from nsn_ref.experiments.digits_data import Split, stratified_folds
from nsn_ref.experiments.digits_data import split as standardised_by_one_scale
from nsn_ref.files import read_bytes, sha256

FOLDS = 5  # a seed holds out one fold
TEST_TO_TRAIN = 1 / (FOLDS - 1)  # rows held out relative to rows trained on, for `paired.corrected_interval`

# name to whether all columns have one unit, as pixels have
BUNDLED = {"digits": True, "iris": False, "wine": False, "breast_cancer": False}
MISSING = ("", "na", "nan", "null", "none", "?")


class Data(NamedTuple):
    """Rows with labels."""

    name: str
    x: np.ndarray  # (n, d), float32 or float64, read-only
    y: np.ndarray  # (n,), int64 in 0..classes-1, read-only
    classes: int
    one_unit: bool  # columns share a unit (pixels, embeddings): one scale for all of them; else one for each
    sha256: str  # of all but the name


def load(name):
    """A bundled set by its name, or a file by its path.

    Parameters
    ----------
    name : str
        One of `BUNDLED`; or FILE.npz with x (n, d) and y (n,), whose columns share a unit, as those of embeddings do;
        or FILE.csv with the label in the last column, each column in a unit of its own.

    Returns
    -------
    Data

    Raises
    ------
    DataError, FileError
    """
    name = str(name)
    if name in BUNDLED:
        return made(name, *_bundled(name), one_unit=BUNDLED[name])
    suffix = Path(name).suffix.lower()
    if suffix == ".npz":
        return made(name, *_read_npz(name), one_unit=True)
    if suffix == ".csv":
        return made(name, *_read_csv(name), one_unit=False)
    raise DataError(f"data is {name!r}, expected FILE.npz, FILE.csv or one of {', '.join(BUNDLED)}")


def made(name, x, y, *, one_unit):
    """Data from arrays.

    Parameters
    ----------
    name : str
    x : ndarray, shape (n, d)
        Real numbers; float32 stays float32.
    y : ndarray, shape (n,)
        Integers or strings; classes are numbered in their order.
    one_unit : bool

    Returns
    -------
    Data

    Raises
    ------
    DataError
        Shapes that disagree, values that are missing or not finite, labels that are none, one class only, or a class
        too small to have a row in every fold.
    """
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(f"{name}: x has shape {x.shape}, expected (n, d), neither of them 0")
    if y.shape != x.shape[:1]:
        raise DataError(f"{name}: y has shape {y.shape}, expected ({len(x)},): one label for each row of x")
    if x.dtype.kind not in "iuf":
        raise DataError(f"{name}: x has dtype {x.dtype}, expected real numbers")
    if y.dtype.kind not in "iuU":
        raise DataError(f"{name}: y has dtype {y.dtype}, expected integers or strings")
    x = np.array(x, dtype=np.float32 if x.dtype in (np.float16, np.float32) else np.float64, order="C")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(f"{name}: x has {x[row, column]} in row {row}, column {column}, expected finite numbers")
    if y.dtype.kind == "U" and (missing := np.isin(np.char.lower(np.char.strip(y)), MISSING)).any():
        raise DataError(f"{name}: y has {str(y[missing][0])!r} in row {missing.argmax()}, expected a label")
    values, numbered, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(values) < 2:
        raise DataError(f"{name}: y has the class {values[0]!s} only, expected at least two")
    if counts.min() < FOLDS:
        got = f"class {values[counts.argmin()]!s} has {counts.min()} rows"
        raise DataError(f"{name}: {got}, expected at least {FOLDS}, one for each fold")
    y = numbered.astype(np.int64)
    x.setflags(write=False)
    y.setflags(write=False)
    described = f"{x.dtype.str} {x.shape} {one_unit} ".encode()
    return Data(name, x, y, len(values), one_unit, sha256(described + x.tobytes() + y.tobytes()))


def split(data, seed):
    """Hold out a fold of a repeated stratified 5-fold cross-validation, and standardise by the other rows alone.

    Parameters
    ----------
    data : Data
    seed : int, >= 0
        Fold ``seed % 5`` of repeat ``seed // 5``; each repeat has folds of its own.

    Returns
    -------
    Split
        x_train (n, d), y_train (n,), x_test (m, d), y_test (m,); float32 rows.
    """
    checks.integer("split", "seed", seed, 0)
    repeat, fold = divmod(seed, FOLDS)
    held_out = stratified_folds(data.y, FOLDS, np.random.default_rng([0, repeat]))[fold]
    if data.one_unit:
        return standardised_by_one_scale(data.x, data.y, held_out)
    test = np.zeros(len(data.x), dtype=bool)
    test[held_out] = True
    scale = data.x[~test].std(axis=0)
    standard = ((data.x - data.x[~test].mean(axis=0)) / np.where(scale > 0, scale, 1)).astype(np.float32)
    return Split(standard[~test], data.y[~test], standard[test], data.y[test])


def _bundled(name):
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(
            f"{name}: scikit-learn, which ships it, cannot be imported ({error}); "
            "expected the extra 'experiments': python -m pip install 'nsn_ref[experiments]'"
        ) from error
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def _read_npz(path):
    read_bytes(path)  # its error says why a file cannot be read
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["x"], file["y"]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected an .npz file with the arrays x and y") from error


def _read_csv(path):
    """Features and labels; a first line without numbers is a heading."""
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").splitlines()
    rows = [(i, [field.strip() for field in row]) for i, row in enumerate(csv.reader(lines), 1) if row]
    if rows and not any(map(_is_number, rows[0][1][:-1])):
        rows = rows[1:]
    if not rows or len(rows[0][1]) < 2:
        raise DataError(f"{path}: has no row of numbers with a label behind them")
    width = len(rows[0][1])
    for i, row in rows:
        if len(row) != width:
            raise DataError(f"{path}, line {i}: {len(row)} values, expected {width}")
        for column, field in enumerate(row, 1):
            if field.lower() in MISSING:
                raise DataError(f"{path}, line {i}, column {column}: the value is missing")
            if column < width and not _is_number(field):
                raise DataError(f"{path}, line {i}, column {column}: {field!r}, expected a number")
    labels = [row[-1] for _, row in rows]
    whole = all(label.removeprefix("-").isdecimal() for label in labels)
    return np.array([[float(f) for f in row[:-1]] for _, row in rows]), np.array(
        labels, dtype=np.int64 if whole else str
    )


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True
