"""From a form to cells, and what is refused before any of them runs."""

import pytest
from toy_experiment import TROUBLES

from nsn_ref.errors import DataError, OptionError
from nsn_ref.experiments.code_version import code_version
from nsn_ref.experiments.data import load
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.registry import EXPERIMENTS, experiment


def test_cells_and_seeds(toy):
    tasks = plan(toy)
    cells = [task.cell for task in tasks]
    assert [(cell.options["rank"], cell.seed) for cell in cells] == [(r, s) for r in (1, 2, 3) for s in (0, 1)]
    assert {cell.data for cell in cells} == {load("iris").sha256} and {t.data.name for t in tasks} == {"iris"}
    assert {cell.code for cell in cells} == {code_version("toy_experiment")}
    assert len({cell.key for cell in cells}) == len(cells)
    assert [task.cell.seed for task in plan(toy, "smoke", seeds=3)] == [0, 1, 2, 0, 1, 2]
    assert [task.cell.seed for task in plan(toy, "smoke", seeds=[7, 2])] == [7, 2, 7, 2]


def test_options_replace_those_of_every_cell(toy):
    tasks = plan(toy, "full", seeds=1, options={"pause": 0.5})
    assert [task.cell.options["pause"] for task in tasks] == [0.5] * 4
    (only,) = plan(toy, "full", seeds=1, options={"rank": 2, "pause": 0.5})  # four cells have become one
    assert only.cell.options == {"rank": 2, "pause": 0.5} | dict.fromkeys(TROUBLES, False)


def test_data(toy):
    assert {task.data.name for task in plan(toy, data="wine")} == {"wine"}
    wine = load("wine")
    assert plan(toy, data=wine)[0].data is wine
    assert plan(toy, data="wine")[0].cell.key != plan(toy)[0].cell.key
    with pytest.raises(DataError, match="data is 'mnist'"):
        plan(toy, data="mnist")


def test_an_experiment_without_data(toy, monkeypatch):
    import dataclasses

    import toy_experiment

    monkeypatch.setattr(toy_experiment, "EXPERIMENT", dataclasses.replace(toy_experiment.EXPERIMENT, data=None))
    assert plan(toy)[0].data is None and plan(toy)[0].cell.data is None
    with pytest.raises(OptionError, match="toy: data is 'iris', expected none"):
        plan(toy, data="iris")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "tiny"}, "toy: form is 'tiny', expected one of 'smoke', 'quick', 'full'"),
        ({"seeds": 0}, "toy: seeds is 0, expected an integer of at least 1"),
        ({"seeds": 1.5}, "toy: seeds is 1.5"),
        ({"seeds": []}, "toy: seeds is "),
        ({"seeds": [1, 1]}, r"toy: seeds is \[1, 1\], expected different integers"),
        ({"seeds": [-1]}, "toy: seed is -1"),
        ({"seeds": ["1"]}, "toy: seed is '1'"),
        ({"options": {"ranks": 3}}, "toy: option is 'ranks', expected one of 'exit', 'nan', 'pause', 'raise', 'rank'"),
        ({"options": {"rank": "3"}}, "toy: rank is '3', expected a value as 1"),
        ({"options": {"rank": True}}, "toy: rank is True"),
        ({"options": {"rank": 0}}, "toy: rank is 0, expected a value as 1"),
        ({"options": {"rank": 2.0}}, "toy: rank is 2.0, expected a value as 1"),
        ({"options": {"pause": [1.0]}}, r"toy: pause is \[1.0\]"),
        ({"options": {"pause": -0.1}}, "toy: pause is -0.1, expected a value as 0.0"),
        ({"options": {"pause": float("nan")}}, "toy: pause is nan"),
    ],
)
def test_refusals(toy, options, message):
    with pytest.raises(OptionError, match=message):
        plan(toy, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("truncation", {"model": "nset"}, "truncation: model is 'nset', expected one of 'nested', 'specialist'"),
        ("ablation", {"row": 3}, "ablation: row is 3, expected one of 'one cross-entropy', "),
        ("cost", {"hidden": [16, "16"]}, r"cost: hidden is \[16, '16'\], expected a value as \[16, 16\]"),
        ("cost", {"hidden": [16, 0]}, r"cost: hidden is \[16, 0\]"),
        ("decoder", {"sizes": {"hidden": 16}}, "decoder: sizes is {'hidden': 16}, expected a value as {'hidden': 16, "),
    ],
)
def test_values_that_no_cell_could_have(name, options, message):
    with pytest.raises(OptionError, match=message):
        plan(name, "smoke", options=options)


def test_unknown_experiments():
    with pytest.raises(OptionError, match="experiment: name is 'nothing', expected one of"):
        experiment("nothing")


def test_every_registered_experiment_is_of_the_name_that_it_is_registered_under():
    assert all(experiment(name).name == name for name in EXPERIMENTS)
