"""Numbers and names that pages repeat are those of the records and of the code."""

import json
import re
from pathlib import Path

import pytest

from nsn_ref.bench import names, targets
from nsn_ref.bench.engines import ALIASES, ENGINES
from nsn_ref.cli.bench import bench

ROOT = Path(__file__).parents[1]


def page(name):
    """A page as one line, so that a sentence may be broken anywhere."""
    return " ".join((ROOT / name).read_text().split())


def record(name):
    return json.loads((ROOT / "docs" / name).read_text())


def test_the_readme_says_of_how_many_mistakes_the_kills_are():
    mistakes = record("kill-matrix.json")["sets"]["hand"]["mutants"]
    assert f"Kills are of {mistakes} mistakes planted by hand" in page("README.md")


def test_the_readme_says_how_often_the_fuzz_evaluates():
    trials = re.search(r"of at least ([\d,]+) trials", page("docs/results/fuzz.md"))[1]
    assert f"runs {trials} evaluations of each operation in each format" in page("README.md")


def test_a_step_takes_less_time_than_that_of_its_peers():
    """What README.md says, in the committed times of every network."""
    says = "a training step of a perceptron or a convolutional net takes less time than PyTorch's and JAX's"
    assert says in page("README.md")
    measured = record("results/speed.json")["benchmarks"]
    cells = measured["step"]["cells"] + measured["conv"]["cells"]
    assert len(cells) == 6 and all(targets.ratio(cell, targets.PEERS, "ours") > 1 for cell in cells)


@pytest.mark.parametrize("name", [*names.NAMES, *ENGINES, *ALIASES])
def test_every_benchmark_and_engine_is_on_its_page(name):
    assert f"`{name}`" in page("docs/benchmarks.md")


def test_the_help_names_every_benchmark_and_engine():
    about = bench.__annotations__
    benchmarks, engines = (about[argument].__metadata__[0].help for argument in ("name", "against"))
    assert benchmarks == f"Of {', '.join(names.NAMES)}; or {names.ALL}."
    assert set(re.findall(r"[\w-]+", engines)) >= (ENGINES.keys() | ALIASES.keys()) - {"ours"}  # always there


def test_the_proofs_say_how_many_theorems_there_are():
    theorems = json.loads((ROOT / "proofs" / "claims.json").read_text())["theorems"]
    claims = {claim for theorem in theorems for claim in theorem["claims"]}
    assert f"{len(theorems)} theorems prove {len(claims)} claims" in page("proofs/README.md")
