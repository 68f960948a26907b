"""The shipped suite, read once, and small ports made from a function."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from nsn_ref import cli
from nsn_ref.golden import ports, suite
from nsn_ref.golden.locate import golden_dir, suite_dir


@pytest.fixture(scope="session")
def cases():
    return suite.load(suite_dir())


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """A port's folder goes on the path; here only until the end of the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def nsn(monkeypatch, capsys):
    """Run the command line; its exit status, what it printed, and its error message."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["nsn-ref", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def port_of():
    """A port whose `run` is a function."""
    return lambda run, **others: ports.PythonPort("test", SimpleNamespace(run=run, **others))


@pytest.fixture
def numpy_port():
    """A fresh copy of the NumPy port: what a test changes in it concerns that test only."""
    path = golden_dir() / "ports" / "numpy_port.py"
    spec = importlib.util.spec_from_file_location("numpy_port_under_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
