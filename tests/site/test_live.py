"""The live page is what its generator writes, runs the port unchanged, and computes what the engine computes."""

import importlib.util
import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nsn_ref import MLP, kernels
from nsn_ref.analysis.cost import Layer, network_cost

ROOT = Path(__file__).parents[2]
LIVE = ROOT / "docs" / "live"
PAGE = (LIVE / "index.html").read_text()
MODEL = json.loads((LIVE / "model.json").read_text())
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node 20 or later")
EXAMPLES = np.array([[int(c, 17) for c in example["counts"]] for example in MODEL["examples"]])


def modules():
    """The text of each module of the page by its name."""
    script = PAGE.split('<script type="module">\n')[1].split("</script>")[0]
    parts = script.split("// ===== ")[1:]
    return dict(part.split(" =====\n", 1) for part in parts)


def evaluate(expression, tmp_path, **values):
    """The value of an expression over the page's own functions and model, in Node."""
    stored = PAGE.split('<script type="application/json" id="model">')[1].split("</script>")[0]
    parts = modules()
    program = "".join(parts[name] for name in parts if name != "app.mjs")
    names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    program += f"const model = {stored};\n{names}console.log(JSON.stringify({expression}));\n"
    (tmp_path / "page.mjs").write_text(program)
    done = subprocess.run([NODE, str(tmp_path / "page.mjs")], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_page_is_what_the_generator_writes():
    spec = importlib.util.spec_from_file_location("build_live", LIVE / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.page() == PAGE, "run python docs/live/build.py"


def test_the_port_is_inlined_unchanged():
    assert modules()["nsn.mjs"] == (ROOT / "golden" / "ports" / "js" / "nsn.mjs").read_text()


def test_nothing_is_fetched():
    words = ("http:", "https:", "fetch(", "import(", "@import", "url(", " src=", "\nimport ", "XMLHttpRequest")
    assert [word for word in words if word in PAGE] == []


@needs_node
def test_the_script_is_one_valid_module(tmp_path):
    """No name is declared twice, which would stop the page."""
    (tmp_path / "page.mjs").write_text("".join(modules().values()))
    subprocess.run([NODE, "--check", str(tmp_path / "page.mjs")], check=True)


# --- the model ---


def params():
    return {**load_file(LIVE / "model.safetensors"), "s": np.zeros(MODEL["R"], np.float32)}


def net():
    return MLP(tuple(map(int, MODEL["widths"].split("-"))), MODEL["R"])


def inputs():
    return ((EXAMPLES - np.array(MODEL["mean"])) / MODEL["scale"]).astype(np.float32)


def logits_and_bound(x, rank):
    """Logits in float64, and how far float32 may be from them in any order of summation (Higham, sec. 3.5).

    A sum of n products errs by at most gamma_n times the sum of their sizes, and passes on its factors' errors; ReLU
    moves no more than its input does.
    """
    weights = {name: p.astype(np.float64) for name, p in params().items()}
    z, error = x.astype(np.float64), np.zeros(x.shape)
    for i in range(2):
        z, error = product(z, error, weights[f"layers.{i}.A"][:rank], 0.0)
        z, error = product(z, error, weights[f"layers.{i}.B"][:, :rank], weights[f"layers.{i}.b"])
        z = np.maximum(z, 0)
    return product(z, error, weights["layers.2.W"], weights["layers.2.b"])


def product(z, error, M, b):
    """z M^T + b and its bound; one more term is the bias, and another makes up for float64."""
    n = M.shape[1] + 2
    gamma = n * 2.0**-24 / (1 - n * 2.0**-24)
    error = error @ np.abs(M).T + gamma * ((np.abs(z) + error) @ np.abs(M).T + np.abs(b))
    return z @ M.T + b, error


@needs_node
def test_logits_are_the_engines_at_every_rank(tmp_path):
    """On held-out scans; the bound is tight enough to tell every rank from the next."""
    x = inputs()
    expression = (
        "(({params, x}) => model.ranks.map(({rank}) => x.map((row) => Array.from(forward(params, row, rank).data))))"
        "({params: tensorsOf(model.params), x: counts.map((row) => inputOf(row, model))})"
    )
    page = np.array(evaluate(expression, tmp_path, counts=EXAMPLES.tolist()))
    previous = None
    for rank in range(1, MODEL["R"] + 1):
        z, bound = logits_and_bound(x, rank)
        engine, _ = net().forward(params(), x, rank, kernels)
        for got in (page[rank - 1], engine):
            assert (np.abs(got - z) <= bound).all()
        assert previous is None or not (np.abs(previous - z) <= bound).all()
        previous = z


@needs_node
def test_inputs_are_rounded_as_in_training(tmp_path):
    got = evaluate("counts.map((row) => Array.from(inputOf(row, model).data))", tmp_path, counts=EXAMPLES.tolist())
    assert (np.array(got) == inputs()).all()


@needs_node
def test_answers_and_costs_at_every_rank(tmp_path):
    expression = "counts.map((row) => answersOf(tensorsOf(model.params), inputOf(row, model), model.R))"
    answers = evaluate(expression, tmp_path, counts=EXAMPLES.tolist())
    widths = net().widths
    layers = [Layer(*widths[0:2], MODEL["R"]), Layer(*widths[1:3], MODEL["R"]), Layer(*widths[2:4])]
    for example, answer in zip(MODEL["examples"], answers, strict=True):
        assert [a["rank"] for a in answer] == list(range(1, MODEL["R"] + 1))
        assert [a["multiplyAdds"] for a in answer] == [network_cost(layers, a["rank"]).multiply_adds for a in answer]
        assert answer[-1]["digit"] == example["label"]
        assert all(a["probabilities"][a["digit"]] == max(a["probabilities"]) for a in answer)
    assert MODEL["dense_multiply_adds"] == sum(a * b for a, b in pairwise(widths))


# --- drawing ---


def arc(cx, cy, rx, ry, start, end):
    """Points of an ellipse, by angles in degrees; y grows downwards."""
    angles = np.radians(np.linspace(start, end, 25))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1).tolist()


DRAWN = {
    0: [arc(50, 50, 28, 45, -90, 270)],
    1: [[[30, 30], [52, 5], [52, 95]]],
    2: [[*arc(50, 30, 28, 25, 180, 380), [20, 95], [82, 95]]],
    3: [arc(45, 28, 26, 23, -150, 90) + arc(45, 72, 30, 23, -90, 150)],
    4: [[[60, 5], [15, 65], [85, 65]], [[62, 35], [62, 97]]],
    5: [[[28, 6], [26, 42], *arc(48, 66, 30, 28, -120, 140)], [[28, 6], [78, 8]]],
    6: [[[68, 5], *arc(50, 68, 27, 27, 200, -160)]],
    7: [[[18, 8], [82, 8], [42, 97]], [[30, 52], [75, 52]]],
    8: [[*arc(50, 28, 20, 22, -60, -270), *arc(50, 72, 24, 24, -90, 180), [28, 72], [66, 12]]],
    9: [[*arc(50, 30, 26, 25, 0, -360), [76, 30], [70, 97]]],
}


@needs_node
def test_plainly_drawn_digits_are_read(tmp_path):
    """As they are; smaller and elsewhere on the pad; slanted."""
    moved = [[[[x / 3 + 60, y / 3 + 7] for x, y in stroke] for stroke in digit] for digit in DRAWN.values()]
    slanted = [[[[x + (50 - y) / 5, y] for x, y in stroke] for stroke in digit] for digit in DRAWN.values()]
    drawings = [*DRAWN.values(), *moved, *slanted]
    expression = (
        "drawings.map((strokes) => answersOf(tensorsOf(model.params), inputOf(countsOf(strokes), model), model.R)"
        ".at(-1).digit)"
    )
    assert evaluate(expression, tmp_path, drawings=drawings) == 3 * list(DRAWN)


@needs_node
def test_counts_of_a_line_by_hand(tmp_path):
    """10 pixels wide, with round ends, it has fewer than 313; so it is 12 wide: two blocks, and two halves of one."""
    counts = evaluate("countsOf([[[5, 0], [5, 1], [5, 9]]])", tmp_path)
    rows = np.reshape(counts, (8, 8))
    assert (rows[2:6] == [0, 0, 8, 16, 16, 8, 0, 0]).all()
    assert (rows == rows[:, ::-1]).all() and (rows == rows[::-1]).all()


@needs_node
def test_what_is_drawn_first_does_not_matter(tmp_path):
    a, b = evaluate("[countsOf(strokes), countsOf(strokes.toReversed())]", tmp_path, strokes=DRAWN[4])
    assert a == b


@needs_node
def test_a_dot_a_flat_line_and_nothing(tmp_path):
    dot, flat, nothing = evaluate("[[[[3, 3]]], [[[0, 1], [9, 1]]], []].map(countsOf)", tmp_path)
    assert nothing is None
    for counts in (dot, flat):
        assert len(counts) == 64 and 0 < sum(counts) < 640 and 0 <= min(counts) <= max(counts) <= 16
