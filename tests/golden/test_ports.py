"""Loading ports, sessions, and programs that answer through files."""

import sys
import time

import pytest

from nsn_ref.errors import PortError
from nsn_ref.golden import check as checker
from nsn_ref.golden import ports
from nsn_ref.golden.locate import golden_dir


@pytest.fixture
def few(cases):
    return [case for case in cases if case.op == "objective_forward" and case.dtype == "float32"]


@pytest.fixture
def program(tmp_path):
    """The specification of a port that is a small Python program."""

    def write(source, **options):
        path = tmp_path / "program.py"
        path.write_text(source)
        return ports.load(f"cmd:{sys.executable} {path}", **options)

    return write


ECHO = """
import json, pathlib, sys
sys.path.insert(0, {folder!r})
import numpy_port
from safetensors.numpy import load_file, save_file
for call in json.load(open(sys.argv[1]))["calls"]:
    outputs = numpy_port.run(call["op"], load_file(call["inputs"]), call["attrs"])
    save_file(outputs, pathlib.Path(sys.argv[2]) / (call["id"] + ".safetensors"))
    {then}
"""


def echo(then="pass"):
    return ECHO.format(folder=str(golden_dir() / "ports"), then=then)


def failures(report):
    return {result.error for result in report.results if result.status == "failed"}


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_file_is_a_port(tmp_path, few):
    path = tmp_path / "mine.py"
    path.write_text(
        "import first_neighbour\nCONTRACT = {'float32': {}}\n"
        "def run(op, inputs, attrs):\n    import late_neighbour\n    raise NotImplementedError\n"
    )
    for name in ("first_neighbour", "late_neighbour"):
        (tmp_path / f"{name}.py").write_text("")
    port = ports.load(str(path))
    assert port.contract == {"float32": {}}
    assert checker.check(port, few).count("not covered") == len(few)


def test_a_module_attribute_in_the_working_folder_is_a_port(tmp_path, monkeypatch):
    (tmp_path / "holder_of_ports.py").write_text(
        "class Port:\n    def run(self, op, inputs, attrs): return {}\nport = Port()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert ports.load("holder_of_ports:port").target.run("x", {}, {}) == {}
    assert ports.load("nsn_ref.golden.own_ports:reference")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing/here.py", "no such file"),
        ("no_such_module_at_all", "cannot be loaded: ModuleNotFoundError"),
        ("nsn_ref.golden.own_ports:nothing", "has no attribute nothing"),
        ("nsn_ref.golden.own_ports", "has no function run"),
        ("cmd:", "names no program"),
    ],
)
def test_what_cannot_be_loaded_is_named(spec, message):
    with pytest.raises(PortError, match=message):
        ports.load(spec)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no function run"),
        ("run = 3", "has no function run"),
        ("import no_such_module_at_all", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0"),
        ("def run(:", "cannot be loaded: SyntaxError"),
        ("CONTRACT = 3\ndef run(op, inputs, attrs): pass", "CONTRACT is a int, expected a dict"),
    ],
)
def test_a_file_that_is_no_port_is_refused(tmp_path, source, message):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(PortError, match=message):
        ports.load(str(path))


# --- in a process of its own, with a time limit -----------------------------------------------------------------------


@pytest.fixture
def isolated(tmp_path):
    """A port with a time limit, from a function of a Python file."""

    def write(body, time_limit=20.0):
        path = tmp_path / "isolated_port.py"
        path.write_text(f"import os, time\nCONTRACT = {{}}\n\n\ndef run(op, inputs, attrs):\n    {body}\n")
        return ports.load(str(path), time_limit=time_limit)

    return write


def test_a_python_port_with_a_time_limit_passes_as_it_does_without(few, port_of):
    port = ports.load(str(golden_dir() / "ports" / "numpy_port.py"), time_limit=60)
    for _ in range(2):  # each check starts it anew
        report = checker.check(port, few)
        assert report.passed and report.count("passed") == len(few)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("time.sleep(60)", "the port was stopped after 0.5 s"),
        ("os._exit(3)", "the port ended its process with status 3"),
        ("os.abort()", "the port ended its process with status -6"),
    ],
)
def test_a_port_that_hangs_or_takes_its_process_down_fails(body, message, isolated, few):
    start = time.monotonic()
    report = checker.check(isolated(body, time_limit=0.5), few)
    assert time.monotonic() - start < 30
    assert failures(report) == {message} and report.count("failed") == len(few)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise MemoryError('too large')", "the port raised MemoryError: too large"),
        ("return lambda: 3", "the port returned what cannot be passed on"),
        ("print('garbage' * 1000); return 3", "the port returned a int, expected a dict of arrays"),
    ],
)
def test_other_failures_are_those_of_one_call(body, message, isolated, few):
    report = checker.check(isolated(body), few)
    assert report.count("failed") == len(few) and all(message in error for error in failures(report))


def test_an_isolated_port_keeps_its_contract_and_what_it_does_not_cover(isolated, few):
    port = isolated("raise NotImplementedError")
    assert port.contract == {} and checker.check(port, few).count("not covered") == len(few)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def run(:", "cannot be loaded: SyntaxError"),
        ("x = 3", "has no function run"),
        ("import os; os._exit(1)", "1$"),
    ],
)
def test_an_isolated_port_that_cannot_be_loaded_is_refused(source, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(PortError, match=message):
        ports.load(str(path), time_limit=20)


# --- sessions ---------------------------------------------------------------------------------------------------------


class Session:
    """Counts its calls."""

    opened = ()

    def __init__(self, attrs):
        self.calls = 0
        Session.opened += (attrs,)

    def call(self, op, inputs, attrs):
        self.calls += 1
        return {"calls": self.calls}


def test_the_calls_of_a_session_share_one_object(few, port_of, monkeypatch):
    monkeypatch.setattr(Session, "opened", ())
    calls = [case._replace(session=name) for case, name in zip(few, ("a", "b", "a", "a"), strict=False)]
    port = port_of(lambda op, inputs, attrs: {}, open=Session)
    assert [answer.outputs["calls"] for _, answer in port.answers(calls)] == [1, 1, 2, 3]
    assert Session.opened == (calls[0].attrs, calls[1].attrs)
    assert not any(answer.covered for _, answer in port_of(lambda *args: {}).answers(calls)), (
        "without open: not covered"
    )


def test_a_port_may_write_into_its_inputs(few, port_of):
    def run(op, inputs, attrs):
        inputs["s"][:] = 0
        attrs.clear()

    before = [case.inputs["s"].copy() for case in few]
    list(port_of(run).answers(few))
    assert all((case.inputs["s"] == s).all() and case.attrs for case, s in zip(few, before, strict=True))


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_answers_all_calls_in_one_run(program, few):
    report = checker.check(program(echo()), few)
    assert report.passed and report.count("passed") == len(few)


def test_the_example_program_passes(cases):
    chosen = [case for case in cases if case.dtype == "float64"]
    port = ports.load(f"cmd:{sys.executable} {golden_dir() / 'ports' / 'numpy_cmd_port.py'}")
    assert checker.check(port, chosen, require=["*"]).passed


def test_a_program_that_writes_nothing_covers_nothing(program, few):
    report = checker.check(program("print('nothing to say')"), few)
    assert report.count("not covered") == len(few) and not report.passed


def test_a_program_that_stops_half_way_fails_what_is_missing(program, few):
    report = checker.check(program(echo("raise SystemExit('out of memory')")), few)
    assert report.count("passed") == 1 and report.count("failed") == len(few) - 1
    assert failures(report) == {"the program ended with status 1: out of memory"}


def test_a_program_that_hangs_is_stopped(program, few):
    start = time.monotonic()
    report = checker.check(program("import time; time.sleep(60)", time_limit=0.5), few)
    assert time.monotonic() - start < 30
    assert failures(report) == {"the program was stopped after 0.5 s"} and report.count("failed") == len(few)


def test_a_program_that_writes_garbage_fails(program, few):
    source = echo("(pathlib.Path(sys.argv[2]) / (call['id'] + '.safetensors')).write_bytes(b'Segmentation fault')")
    report = checker.check(program(source), few)
    assert report.count("failed") == len(few)
    assert all("the program wrote a bad file" in error for error in failures(report))


def test_a_program_that_does_not_exist_cannot_be_started(few):
    with pytest.raises(PortError, match="cannot be started: No such file or directory: /no/such/program"):
        checker.check(ports.load("cmd:/no/such/program --fast"), few)
