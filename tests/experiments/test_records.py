"""Records: their address, what altering them does, and who may run a cell."""

import json
import multiprocessing
import threading

import pytest

from nsn_ref.errors import FileError, OptionError
from nsn_ref.experiments.records import Cell, Store, canonical, checked, new_record
from nsn_ref.files import sha256

CELL = Cell("toy", {"rank": 2, "widths": [3, 5]}, 7, "d" * 64, "0.1.0+abc")
MADE = {"wall_seconds": 1.5, "environment": {"versions": {}}}


def test_the_address_is_that_of_the_canonical_text():
    text = (
        '{"code":"0.1.0+abc","data":"' + "d" * 64 + '","experiment":"toy","options":{"rank":2,"widths":[3,5]},"seed":7}'
    )
    assert CELL.key == sha256(text.encode())
    assert CELL._replace(options={"widths": (3, 5), "rank": 2}).key == CELL.key
    others = [("experiment", "toys"), ("options", {"rank": 3}), ("seed", 8), ("data", None), ("code", "0.1.0+abd")]
    assert len({CELL.key, *(CELL._replace(**{name: value}).key for name, value in others)}) == 6


def test_a_record_comes_back_whole(tmp_path):
    store = Store(tmp_path / "records")
    assert store.read(CELL) is None
    record = new_record(CELL, {"ranks": (1, 2), "accuracy": 0.1 + 0.2}, MADE)
    store.write(record)
    assert store.read(CELL) == record and record["result"] == {"accuracy": 0.1 + 0.2, "ranks": [1, 2]}
    assert list(store.read(CELL)["result"]) == ["ranks", "accuracy"]  # as the experiment gave them
    assert [path.name for path in (tmp_path / "records" / "toy").iterdir()] == [f"{CELL.key}.json"]


def test_the_result_has_one_text_whatever_it_was_made_with():
    first, again = (new_record(CELL, {"b": 1.0, "a": [2]}, {"wall_seconds": w}) for w in (1, 2))
    assert canonical(first["result"]) == canonical(again["result"]) and first["sha256"] != again["sha256"]


@pytest.mark.parametrize("result", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}, {"a": b"bytes"}])
def test_what_json_cannot_hold_is_refused(result):
    with pytest.raises(OptionError, match="toy: the result of a cell is not what JSON can hold"):
        new_record(CELL, result, MADE)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["result"].update(accuracy=0.9),
        lambda r: r["result"].update(more=1),
        lambda r: r["made"].update(wall_seconds=0.1),
        lambda r: r["cell"].update(seed=8),
        lambda r: r.update(sha256="0" * 64),
        lambda r: r.pop("made"),
        lambda r: r.update(more=1),
    ],
)
def test_an_altered_record_is_named_and_left(tmp_path, change):
    store = Store(tmp_path)
    store.write(new_record(CELL, {"accuracy": 0.5}, MADE))
    record = json.loads(store.path(CELL).read_text())
    change(record)
    altered = json.dumps(record)
    store.path(CELL).write_text(altered)
    with pytest.raises(FileError, match=f"{CELL.key}.json: "):
        store.read(CELL)
    assert store.path(CELL).read_text() == altered


def test_damaged_files(tmp_path):
    store = Store(tmp_path)
    store.write(new_record(CELL, {"accuracy": 0.5}, MADE))
    whole = store.path(CELL).read_bytes()
    for content in (b"", whole[:-20], b"[1]", b"\xff\xfe"):
        store.path(CELL).write_bytes(content)
        with pytest.raises(FileError, match=CELL.key):
            store.read(CELL)


def test_a_record_under_the_name_of_another_is_refused(tmp_path):
    store, other = Store(tmp_path), CELL._replace(seed=8)
    store.write(new_record(CELL, {"accuracy": 0.5}, MADE))
    store.path(CELL).rename(store.path(other))
    with pytest.raises(FileError, match="is the record of another cell"):
        store.read(other)


def test_checked_takes_what_was_made():
    record = new_record(CELL, {"accuracy": 0.5}, MADE)
    assert checked("here", record, CELL) is record
    for other in (None, 3, [], {}):
        with pytest.raises(FileError, match="here: is not the record of a cell"):
            checked("here", other)


def test_a_cell_is_held_by_one_at_a_time(tmp_path):
    store, order = Store(tmp_path), []
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with store.claimed(CELL):
            inside.set()
            leave.wait(10)
            order.append("first")
            store.write(new_record(CELL, {}, MADE))

    def wait():
        with store.claimed(CELL):
            order.append("second" if store.read(CELL) else "too early")

    threads = [threading.Thread(target=hold), threading.Thread(target=wait)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    with store.claimed(CELL._replace(seed=8)):  # another cell is free
        leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]
    assert not list(tmp_path.glob(f"toy/{CELL.key}.lock"))


def test_a_process_that_is_killed_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold_for_ever, args=(tmp_path, theirs))
    process.start()
    assert ours.poll(30) and ours.recv() == "held"
    process.kill()
    process.join()
    with Store(tmp_path).claimed(CELL):
        pass


def _hold_for_ever(folder, pipe):
    with Store(folder).claimed(CELL):
        pipe.send("held")
        pipe.recv()
