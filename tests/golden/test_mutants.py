"""Mutants: the committed list is what the generator makes; a mutant is told from a right port."""

import ast
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nsn_ref.cli import golden
from nsn_ref.errors import OptionError, SuiteError
from nsn_ref.golden import check, schema
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference
from nsn_ref.golden.locate import golden_dir, suite_dir
from nsn_ref.golden.mutants import equivalent, false_alarms, hand, inputs, matrix, mechanical, planted, policies, run
from nsn_ref.golden.ports import Answer, PythonPort

ROOT = Path(__file__).parents[2]


def test_the_committed_list_is_what_the_generator_makes():
    committed = (golden_dir() / "mutants" / mechanical.LIST).read_text()
    assert mechanical.listing(mechanical.base()) == committed


def test_every_mechanical_mutant_is_python_and_unlike_every_other():
    text, seen = mechanical.base(), set()
    for mutant in mechanical.committed()[::9]:
        dump = ast.dump(ast.parse(mutant.apply(text)))
        assert dump not in seen
        seen.add(dump)
    assert len(seen) > 70 and len(mechanical.committed()) > 500 and ast.dump(ast.parse(text)) not in seen


def test_rules_on_a_small_text():
    text = "def f(a, b, r):\n    return a[:r] - b / 2\n"
    news = {(m.kind, m.new) for m in mechanical.generate(text)}
    assert {
        ("operator", "(a[:r] + (b / 2))"),
        ("omit term", "a[:r]"),
        ("swap", "((b / 2) - a[:r])"),
        ("slice", "a[:r - 1]"),
        ("slice", "a[-r:]"),
        ("constant", "3"),
        ("omit statement", "pass"),
        ("name", "b"),
        ("transpose", "a[:r].mT"),
    } <= news


def test_another_seed_draws_others():
    text = mechanical.base()
    first, second = ({m.sha256 for m in mechanical.generate(text, seed)} for seed in (1, 2))
    assert first != second and len(first & second) > 300


def test_a_mutant_of_another_text_is_refused():
    mutant = mechanical.committed()[0]
    with pytest.raises(SuiteError, match="m001 does not belong to this text"):
        mutant.apply(mechanical.base() + "\n")


def test_an_altered_list_is_refused(monkeypatch):
    monkeypatch.setattr(mechanical, "base", lambda: "x = 1\n")
    with pytest.raises(SuiteError, match="has been altered"):
        mechanical.committed()


# --- made by hand -----------------------------------------------------------------------------------------------------


def test_hand_made_mutants_are_many_and_each_changes_the_text():
    text = hand.victim_text()
    assert len(hand.MUTANTS) > 250 and len({m.id for m in hand.MUTANTS}) == len(hand.MUTANTS)
    mutated = set()
    for mutant in hand.MUTANTS:
        changed = mutant.apply(text)
        assert changed != text and mutant.what.endswith(".") and mutant.formats
        mutated.add(changed)
    assert len(mutated) == len(hand.MUTANTS)


def test_a_text_that_does_not_match_once_is_refused():
    mutant = hand.MUTANTS[0]
    for text in ("", hand.victim_text() * 2):
        with pytest.raises(SuiteError, match=f"{mutant.id}: .* expected once"):
            mutant.apply(text)


@pytest.mark.parametrize("op", schema.OPERATIONS)
def test_the_victim_agrees_with_the_reference_in_float64(op):
    port = planted.Stored(hand.victim_text(), "right", "float64")
    for seed in range(12):
        tensors, attrs = inputs.draw(op, np.random.default_rng(seed))
        want = as_arrays(evaluate(reference(), op, tensors, attrs))
        got = port.run(op, tensors, attrs)
        required = {t for t, about in schema.operation(op).tensors("outputs", attrs).items() if not about.optional}
        assert required <= got.keys() <= want.keys()
        for name, x in got.items():
            assert x.shape == want[name].shape
            np.testing.assert_allclose(x, want[name], rtol=0, atol=1e-11 * max(1.0, np.abs(want[name]).max(initial=0)))


def test_the_victim_passes_every_case_of_every_format(cases):
    for dtype in dict.fromkeys(case.dtype for case in cases):
        port = PythonPort("right", planted.Stored(hand.victim_text(), "right", dtype))
        result = check.check(port, check.select(cases, dtype=dtype), require=["*"], staged=False)
        assert result.passed, [r.case.id for r in result.results if r.status != "passed"]


# --- running ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_suite(tmp_path_factory):
    """The float32 cases of two operations of the shipped suite, as a suite."""
    folder = tmp_path_factory.mktemp("suite")
    manifest = json.loads((suite_dir() / "manifest.json").read_text())
    manifest["cases"] = [
        case
        for case in manifest["cases"]
        if case["op"] in ("nested_linear_forward", "nested_linear_backward") and case["dtype"] == "float32"
    ]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in {file for case in manifest["cases"] for file in case["files"].values()}:
        (folder / name).symlink_to(suite_dir() / name)
    return folder


def test_each_mutant_meets_its_fate(small_suite):
    todo = run.tasks("mutant_samples:samples", ["float32"], compared=True)
    outcomes = {o.mutant: o for o in run.survey(todo, small_suite, jobs=2, time_limit=2.0)}
    fates = {key: (o.status, o.how) for key, o in outcomes.items()}
    assert fates == {
        "same": ("survived", ""),
        "rank-off-by-one": ("killed", "value"),
        "nearly-right": ("killed", "value"),
        "raises": ("dead", "error"),
        "covers-nothing": ("dead", "coverage"),
        "covers-too-much": ("killed", "error"),
        "hangs": ("killed", "time limit"),
        "ends": ("killed", "crash"),
        "cannot-be-made": ("dead", "error"),
    }
    first = outcomes["rank-off-by-one"]
    assert first.case.startswith("nested_linear_forward/f32/") and first.detail.startswith("y, rho ")
    assert first.caught == tuple(policies.FIXED)
    assert outcomes["nearly-right"].caught == ()  # 1e-6 is inside every fixed tolerance, and outside every bound
    assert outcomes["same"].caught == ()


def test_full_lists_every_case_that_fails(small_suite):
    todo = [t for t in run.tasks("mutant_samples:samples", ["float32"], full=True) if t.mutant == "rank-off-by-one"]
    (outcome,) = run.survey(todo, small_suite)
    assert len(outcome.kills) > 3 and outcome.kills[0][0] == outcome.case
    assert {lane for _, lane in outcome.kills} == {"exact", "certified"}


def test_a_right_port_that_fails_is_an_error(small_suite):
    todo = run.tasks("mutant_samples:wrong", ["float32"])
    with pytest.raises(SuiteError, match=r"the right port .* fails \d+ cases, the first nested_linear_forward/f32/"):
        list(run.survey(todo, small_suite))


def test_only_formats_where_it_is_a_mistake_and_a_seeded_sample():
    all_of_them = run.tasks("hand", ["float64", "float32"])
    assert ("tf32-operands", "float32") in {(t.mutant, t.dtype) for t in all_of_them}
    assert ("f32-products", "float32") not in {(t.mutant, t.dtype) for t in all_of_them}
    drawn = [[t.mutant for t in run.tasks("hand", ["float32"], sample=9, seed=seed)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_sessions_stay_in_order(cases):
    right = PythonPort("right", planted.Stored(hand.victim_text(), "right", "float32"))
    results = check.check(right, check.select(cases, dtype="float32"), staged=False).results
    spread = run._spread(results)
    assert {r.case.id for r in spread} == {r.case.id for r in results}
    in_sessions = [r.case.id for r in spread if r.case.session is not None]
    assert in_sessions == [r.case.id for r in results if r.case.session is not None]
    first = [r.case.op for r in spread[: len({r.case.op for r in results if r.case.session is None})]]
    assert len(set(first)) == len(first)


# --- fixed tolerances, equivalence, the page --------------------------------------------------------------------------


def test_fixed_tolerances(cases):
    case = next(c for c in cases if c.id == "nested_linear_forward/f32/interior-rank-001")
    expected = case.outputs["y"].expected

    def accepted(y):
        answer = Answer({"y": y.astype(np.float32)})
        return {policy for policy in policies.FIXED if policies.accepts(policy, check.judge(case, answer))}

    assert accepted(expected) == set(policies.FIXED)
    assert accepted(expected * (1 + 1e-4)) == {"ONNX 1e-3, 1e-7"}
    assert accepted(expected * np.nan) == accepted(expected[:1]) == set()


def test_an_equivalent_mutant_agrees_and_another_does_not():
    claim = equivalent.Claim("", "nested_linear_forward")
    assert equivalent.disagreements("mutant_samples:samples", "same", claim, trials=20) == []
    assert len(equivalent.disagreements("mutant_samples:samples", "nearly-right", claim, trials=20)) == 20
    with pytest.raises(ValueError, match="no operation matches"):
        equivalent.disagreements("mutant_samples:samples", "same", equivalent.Claim("", "relu*"))


@pytest.mark.parametrize("name", equivalent.EQUIVALENT)
def test_every_claim_of_equivalence_holds(name):
    """On a few random inputs; `nsn-ref golden mutants --docs` takes 1,000 of each operation."""
    if name == "mechanical":
        pytest.importorskip("torch")
    for mutant, claim in equivalent.EQUIVALENT[name].items():
        assert claim.reason and equivalent.disagreements(name, mutant, claim, trials=3) == []


def test_the_page_states_what_came_out():
    ids = [m.id for m in hand.MUTANTS]
    outcomes = [
        run.Outcome(ids[0], "float32", "killed", "value", "a/f32/b-001", "exact", caught=("NumPy 1e-5, 1e-8",)),
        run.Outcome(ids[1], "float32", "killed", "crash"),
        run.Outcome(ids[2], "float32", "dead", "error"),
        run.Outcome(ids[3], "float32", "survived"),
    ]
    rejected = dict.fromkeys(policies.ALL, 0) | {"NumPy 1e-5, 1e-8": 50}
    alarms = [false_alarms.Alarms("float32", ("reference",), 200, rejected, {}, ())]
    made = matrix.summary({"hand": outcomes}, suite_dir(), alarms=alarms, date="2026-01-01")
    rates = made["sets"]["hand"]["formats"]["float32"]
    assert rates["rate"] == rates["rate_of_mistakes"] == 0.75
    assert rates["caught_by_fixed"]["NumPy 1e-5, 1e-8"] == 0.75
    page = matrix.page(made)
    assert "| derived bounds | 0 % / 75 % |" in page and "| NumPy 1e-5, 1e-8 | 25 % / 75 % |" in page
    assert "| ONNX 1e-3, 1e-7 | 0 % / 50 % |" in page
    assert "| *trials: pairs of a right port and a case* | 200 |" in page
    assert "| *95 % upper bound, derived bounds* | 1.487 % |" in page  # 1 - 0.05^(1 / 200)
    assert "| float32 | 4 | 2 | 1 | 1 | 0 | 0 | 75 % | 75 % |" in page
    assert f"- `{ids[3]}` (float32; not equivalent)" in page


def test_a_mutant_of_an_operation_without_cases_in_a_format_is_counted_apart():
    first, second = (m.id for m in hand.MUTANTS[:2])
    outcomes = [
        run.Outcome(first, "float32", "killed", "value", "relu_forward/f32/zeros-001", "certified"),
        run.Outcome(second, "float32", "killed", "value", "dense_forward/f32/real-001", "certified"),
        *(run.Outcome(key, "tf32", "survived", detail="differs in 0 cases") for key in (first, second)),
    ]
    about = matrix.summary({"hand": outcomes}, suite_dir())["sets"]["hand"]
    counts = about["formats"]["tf32"]
    assert (counts["survived"], counts["no_case"], counts["rate"], counts["rate_of_mistakes"]) == (1, 1, 0.0, 0.0)
    assert about["without_cases"] == {"float32": [], "tf32": [first]}
    assert [s["mutant"] for s in about["survivors"]] == [second]


@pytest.mark.parametrize(("rejected", "trials"), [(0, 1), (0, 200), (3, 50)])
def test_the_upper_bound_is_where_so_few_rejections_have_a_chance_of_one_in_twenty(rejected, trials):
    p = matrix.upper_bound(rejected, trials)
    chance = sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(rejected + 1))
    assert abs(chance - 0.05) < 1e-9


@pytest.fixture(scope="module")
def committed():
    return json.loads((ROOT / "docs" / "kill-matrix.json").read_text())


def test_the_committed_page_explains_every_survivor(committed):
    assert committed["sample"] is None and committed["sets"].keys() == {"hand", "mechanical"}
    for name, about in committed["sets"].items():
        explained = equivalent.EXPLAINED[name].keys() | equivalent.EQUIVALENT[name].keys()
        assert {s["mutant"] for s in about["survivors"]} <= explained
        assert all(s["tried_on_random_inputs"] for s in about["survivors"] if s["equivalent"])
    assert all(f["dead"] == 0 for f in committed["sets"]["hand"]["formats"].values())
    assert (ROOT / "docs" / "kill-matrix.md").read_text() == matrix.page(committed)


def test_the_committed_rates_are_those_asked_for(committed):
    formats = committed["sets"]["hand"]["formats"]
    assert formats["float64"]["rate_of_mistakes"] == 1 and formats["float32"]["rate_of_mistakes"] >= 0.99
    assert all(formats[dtype]["rate_of_mistakes"] >= 0.95 for dtype in ("bfloat16", "float16"))
    assert all(a["rejected"][policies.DERIVED] == 0 for a in committed["false_alarms"].values())


def test_the_page_is_about_the_suite_that_ships(committed):
    manifest = (suite_dir() / "manifest.json").read_bytes()
    assert committed["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()


def test_the_readme_has_the_two_numbers(committed):
    text = (ROOT / "README.md").read_text()
    assert matrix.two_numbers(committed) in text and "    nsn-ref golden mutants --set hand --table\n" in text


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command(small_suite, tmp_path):
    out = tmp_path / "all.json"
    options = ["--set", "hand", "--sample", "4", "--suite", str(small_suite), "--json", str(out), "--jobs", "2"]
    result = CliRunner().invoke(golden.app, ["mutants", *options])
    assert result.exit_code == 0, result.output
    made = json.loads(out.read_text())
    assert made["summary"]["sets"]["hand"]["mutants"] <= 4 and made["outcomes"]["hand"][0]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "none"], "--set is 'none', expected hand, mechanical or all"),
        (["--dtype", "float8"], "--dtype is 'float8', expected one of float64"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        CliRunner().invoke(golden.app, ["mutants", *options], catch_exceptions=False)


FORMATS = ["float64", "float32", "bfloat16", "float16"]


@pytest.mark.slow
def test_a_sample_of_the_hand_made_mutants_is_killed_but_for_those_on_the_committed_page(committed):
    about = committed["sets"]["hand"]
    known = {(s["mutant"], dtype) for s in about["survivors"] for dtype in s["formats"]}
    known |= {(mutant, dtype) for dtype, mutants in about["without_cases"].items() for mutant in mutants}
    todo = run.tasks("hand", FORMATS, sample=40, seed=4)
    outcomes = list(run.survey(todo, suite_dir(), jobs=2))
    assert len(outcomes) > 100
    assert {(o.mutant, o.dtype) for o in outcomes if o.status == "survived"} <= known
