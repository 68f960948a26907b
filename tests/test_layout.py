"""The house keeps its promises: one stem leads to an operation's forward, backward, test and page."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nsn_ref.ops

ROOT = Path(__file__).parents[1]
STEMS = sorted(p.stem for p in (ROOT / "nsn_ref" / "ops").glob("*.py") if p.stem != "__init__")
HEAVY = ("numba", "matplotlib", "flint", "scipy", "torch", "jax", "sklearn", "safetensors", "rich")


@pytest.mark.parametrize("stem", STEMS)
def test_a_stem_leads_to_code_test_and_page(stem):
    assert (ROOT / "tests" / "ops" / f"test_{stem}.py").is_file()
    assert (ROOT / "docs" / "ops" / f"{stem}.md").is_file()
    assert f"ops/{stem}.md" in (ROOT / "docs" / "index.md").read_text()


@pytest.mark.parametrize("stem", STEMS)
def test_forward_has_its_backward_beneath(stem):
    module = importlib.import_module(f"nsn_ref.ops.{stem}")
    functions = {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    forwards = [name for name in functions if name.endswith("_forward")]
    for name in forwards:
        backward = name.removesuffix("_forward") + "_backward"
        assert backward in functions, f"{stem}: {name} has no {backward}"
        line = {key: inspect.getsourcelines(functions[key])[1] for key in (name, backward)}
        assert line[name] < line[backward]


@pytest.mark.parametrize("stem", STEMS)
def test_public_functions_are_exported_and_documented(stem):
    module = importlib.import_module(f"nsn_ref.ops.{stem}")
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            assert getattr(nsn_ref.ops, name) is function
            for section in ("Parameters", "Returns", "Source:"):
                assert section in function.__doc__ or name.endswith("_backward"), f"{name}: docstring has no {section}"


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, nsn_ref; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_reference_imports_no_framework():
    """Only the engines of the benchmarks, one file each, import what they are compared with."""
    engines = ROOT / "nsn_ref" / "bench" / "engines"
    for path in (path for path in (ROOT / "nsn_ref").rglob("*.py") if path.parent != engines):
        text = path.read_text()
        assert "import torch" not in text and "import jax" not in text, path
