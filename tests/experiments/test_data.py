"""Data sets: what is read, how it is split, and what is refused."""

import numpy as np
import pytest

from nsn_ref.errors import DataError, FileError, OptionError
from nsn_ref.experiments import digits_data
from nsn_ref.experiments.data import BUNDLED, FOLDS, TEST_TO_TRAIN, load, made, split

SIZES = {"digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3), "breast_cancer": (569, 30, 2)}


@pytest.fixture
def rows(rng):
    return rng.standard_normal((29, 3)), np.arange(29) % 3


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets(name):
    data = load(name)
    assert (*data.x.shape, data.classes) == SIZES[name] and data.name == name
    assert data.y.shape == data.x.shape[:1] and set(data.y.tolist()) == set(range(data.classes))
    assert not data.x.flags.writeable and not data.y.flags.writeable
    assert data.sha256 == load(name).sha256


def test_five_seeds_hold_out_every_row_once():
    data = load("wine")
    numbered = made("rows", np.arange(178.0)[:, None], data.y, one_unit=True)
    held_out = [split(numbered, seed) for seed in range(FOLDS)]
    steps = [np.diff(np.sort(np.concatenate([s.x_train[:, 0], s.x_test[:, 0]]))) for s in held_out]
    assert all(np.allclose(step, step[0], rtol=1e-3) for step in steps)  # each fold and its rest are all rows
    counts = np.array([np.bincount(s.y_test, minlength=3) for s in held_out])
    assert counts.sum(axis=0).tolist() == np.bincount(data.y).tolist()
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert pytest.approx(1 / 4) == TEST_TO_TRAIN
    first, again = (split(data, seed).x_test for seed in (0, 0))
    assert (first == again).all()
    assert not np.array_equal(split(data, 5).x_test, split(data, 0).x_test)


def test_the_digits_are_split_as_in_the_digits_experiment():
    data = load("digits")
    x, y = digits_data.load_scans()
    held_out = digits_data.stratified_folds(y, FOLDS, np.random.default_rng([0, 1]))[2]
    ours, theirs = split(data, 7), digits_data.split(x, y, held_out)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_columns_with_units_of_their_own_have_scales_of_their_own(rng, rows):
    x, y = rows
    x = np.column_stack([x * [1, 1000, 1e-3], np.full(29, 7.0)])
    parts = split(made("table", x, y, one_unit=False), 1)
    np.testing.assert_allclose(parts.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.x_train.std(axis=0), [1, 1, 1, 0], atol=1e-6)
    assert parts.x_train.dtype == parts.x_test.dtype == np.float32
    one = split(made("pixels", x, y, one_unit=True), 1)
    assert one.x_train.std(axis=0)[1] > 100 * one.x_train.std(axis=0)[0]


def test_the_sha256_is_that_of_all_but_the_name(rows):
    x, y = rows
    first = made("a", x, y, one_unit=True)
    assert first.sha256 == made("b", x, y, one_unit=True).sha256
    moved = x.copy()
    moved[11, 2] = np.nextafter(moved[11, 2], 9)
    others = [
        made("a", moved, y, one_unit=True),
        made("a", x, (y + 1) % 3, one_unit=True),
        made("a", x, y, one_unit=False),
        made("a", x.astype(np.float32), y, one_unit=True),
    ]
    assert len({first.sha256, *(other.sha256 for other in others)}) == 5


def test_npz(tmp_path, rows):
    x, y = rows
    np.savez(tmp_path / "mine.npz", x=x.astype(np.float32), y=np.array(["cat", "dog", "ant"])[y])
    data = load(tmp_path / "mine.npz")
    assert data.x.dtype == np.float32 and (data.x == x.astype(np.float32)).all() and data.one_unit
    assert data.classes == 3 and data.y[:3].tolist() == [1, 2, 0]  # ant, cat, dog
    for name, arrays, message in [
        ("one", {"x": x}, "y"),
        ("objects", {"x": x, "y": np.array([None] * 29)}, "Object arrays"),
    ]:
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(DataError, match=message):
            load(tmp_path / f"{name}.npz")
    (tmp_path / "text.npz").write_text("x y")
    with pytest.raises(DataError, match=r"text.npz: cannot be read"):
        load(tmp_path / "text.npz")


def csv(folder, rows, head=""):
    path = folder / "mine.csv"
    path.write_text(head + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("head", ["", "a,b,c,label\n", "\n"])
def test_csv(tmp_path, rows, head):
    x, y = rows
    data = load(csv(tmp_path, [(*row, label + 9) for row, label in zip(x.tolist(), y, strict=True)], head))
    assert (data.x == x).all() and (data.y == y).all() and not data.one_unit  # 9 comes before 10, as a number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((3, 1, ""), "line 4, column 2: the value is missing"),
        ((3, 1, "NA"), "line 4, column 2: the value is missing"),
        ((5, 3, ""), "line 6, column 4: the value is missing"),
        ((3, 1, "two"), "line 4, column 2: 'two', expected a number"),
        ((3, 1, "1,2"), "line 4: 5 values, expected 4"),
        ((3, 1, "inf"), "x has inf in row 3, column 1"),
    ],
)
def test_bad_csv(tmp_path, rows, change, message):
    x, y = rows
    values = [[*row, label] for row, label in zip(x.tolist(), y, strict=True)]
    line, column, value = change
    values[line][column] = value
    with pytest.raises(DataError, match=f"mine.csv.*{message}"):
        load(csv(tmp_path, values))


def test_csv_without_rows(tmp_path):
    for content in ("", "a,b,label\n", "1\n2\n"):
        (tmp_path / "mine.csv").write_text(content)
        with pytest.raises(DataError, match="has no row of numbers"):
            load(tmp_path / "mine.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[0], y), "x has shape"),
        (lambda x, y: (x[:0], y[:0]), "x has shape"),
        (lambda x, y: (x, y[1:]), r"y has shape \(28,\), expected \(29,\)"),
        (lambda x, y: (x, y[:, None]), "y has shape"),
        (lambda x, y: (x.astype(complex), y), "x has dtype complex128"),
        (lambda x, y: (x, y.astype(float)), "y has dtype float64"),
        (lambda x, y: (np.where(np.arange(3) == 1, np.nan, x), y), "x has nan in row 0, column 1"),
        (lambda x, y: (x, y * 0 + 4), "y has the class 4 only"),
        (lambda x, y: (x, np.where(np.arange(29) == 7, " ", "ab")), "y has ' ' in row 7, expected a label"),
        (lambda x, y: (x, np.where(np.arange(29) == 7, "NaN", "ab")), "y has 'NaN' in row 7, expected a label"),
        (lambda x, y: (x, np.minimum(np.arange(29), 25)), "class 0 has 1 rows, expected at least 5"),
    ],
)
def test_bad_arrays(rows, change, message):
    with pytest.raises(DataError, match=f"mine: {message}"):
        made("mine", *change(*rows), one_unit=True)


def test_bad_names(tmp_path):
    with pytest.raises(DataError, match=r"data is 'mnist', expected FILE.npz, FILE.csv or one of digits, iris"):
        load("mnist")
    for suffix in ("csv", "npz"):
        with pytest.raises(FileError, match="cannot be read"):
            load(tmp_path / f"nowhere.{suffix}")
    with pytest.raises(OptionError, match="seed is -1"):
        split(load("iris"), -1)
