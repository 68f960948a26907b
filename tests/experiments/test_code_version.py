"""The code version: what changes it, what does not, and what it reaches."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nsn_ref
from nsn_ref.experiments import code_version

MODULE = "nsn_ref.experiments.digits"


@pytest.fixture
def version(tmp_path, monkeypatch):
    """A function: the version of a copy of the package, in which one source is changed and put back."""
    ignore = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    copy = shutil.copytree(Path(nsn_ref.__file__).parent, tmp_path / "nsn_ref", ignore=ignore)
    monkeypatch.setattr(nsn_ref, "__file__", str(copy / "__init__.py"))

    def version(name, change):
        path = copy / name
        before = path.read_text()
        after = change(before)
        path.write_text(after)
        try:
            return code_version.code_version.__wrapped__(MODULE)
        finally:
            assert name == "__init__.py" or after != before
            path.write_text(before)

    return version


def test_what_counts(version, monkeypatch):
    same = version("__init__.py", lambda text: text)
    assert same == code_version.code_version(MODULE) and same.startswith(f"{nsn_ref.__version__}+")

    def add(line):
        return lambda text: text + line

    assert version("experiments/digits.py", add("\n# a comment\n\n")) == same
    assert version("training/loop.py", lambda text: text.replace('"""The training loop', '"""A training loop')) == same
    assert version("experiments/digits_page.py", add("X = 1\n")) == same
    assert version("golden/build.py", add("X = 1\n")) == same
    assert version("ops/relu.py", add("X = 1\n")) != same
    assert version("kernels/optimizers.py", add("X = 1\n")) != same  # imported within functions only
    monkeypatch.setattr(nsn_ref, "__version__", "9.9")
    assert version("__init__.py", lambda text: text) == f"9.9+{same.partition('+')[2]}"


@pytest.mark.slow
def test_what_is_reached():
    """Against what an interpreter has loaded once the experiment has run its smallest form."""
    code = (
        "import sys; from nsn_ref.experiments import digits; digits.run(digits.QUICK);"
        "print(*sorted(name for name in sys.modules if name.startswith('nsn_ref.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    packages = {name for name in loaded if code_version._path(name).name == "__init__.py"}
    assert not set(loaded) - packages - set(code_version.reached(MODULE))
