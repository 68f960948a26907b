"""The worked example in JavaScript passes every case that it covers, through files; broken, it does not.

It leaves out what decoders have.
"""

import json
import math
import shutil
import subprocess

import ml_dtypes
import numpy as np
import pytest
from short_formats import assert_rounds_to_nearest_even

from nsn_ref.analysis.cost import Layer, network_cost
from nsn_ref.golden import check as checker
from nsn_ref.golden import contracts, ports, report, schema, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

NODE = shutil.which("node")
FOLDER = golden_dir() / "ports" / "js"
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node 20 or later")


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_the_js_port_passes_every_case(dtype, cases):
    chosen = [case for case in cases if case.dtype == dtype and schema.FILES[case.op] != "decoder"]
    if not chosen:
        pytest.skip(f"the suite has no cases in {dtype}")
    result = checker.check(ports.load(f"cmd:{NODE} {FOLDER / 'port.mjs'}"), chosen, require=["*"])
    assert result.passed, report.verdict(result)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_short_formats_are_rounded_to_nearest_even(dtype):
    assert_rounds_to_nearest_even(ports.load(f"cmd:{NODE} {FOLDER / 'port.mjs'}"), dtype)


def test_a_rank_that_is_off_by_one_is_caught(cases, tmp_path):
    for file in FOLDER.glob("*.mjs"):
        shutil.copy(file, tmp_path)
    text = (tmp_path / "nsn.mjs").read_text()
    broken = text.replace("transposed(firstRows(rows(A), rank))", "transposed(firstRows(rows(A), rank - 1))")
    assert broken != text
    (tmp_path / "nsn.mjs").write_text(broken)
    result = checker.check(ports.load(f"cmd:{NODE} {tmp_path / 'port.mjs'}"), checker.select(cases, op="nested*d"))
    assert result.count("failed") > 20


def test_what_goes_wrong_is_said_in_the_last_line(cases, tmp_path):
    """The line that a report shows; Node's own last line is its version."""
    for file in FOLDER.glob("*.mjs"):
        shutil.copy(file, tmp_path)
    (tmp_path / "safetensors.mjs").write_text(
        'export function decode() { throw new Error("no room"); }\nexport const encode = null;\n'
    )
    result = checker.check(
        ports.load(f"cmd:{NODE} {tmp_path / 'port.mjs'}"), checker.select(cases, op="relu_forward", dtype="float64")
    )
    assert {r.error for r in result.results} == {"the program ended with status 1: port.mjs: no room"}
    done = subprocess.run([NODE, FOLDER / "port.mjs"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "port.mjs: usage: port.mjs calls.json OUTDIR"


def evaluate(expression):
    """The value of an expression over the functions of nsn.mjs."""
    program = (
        f"import * as nsn from {json.dumps((FOLDER / 'nsn.mjs').as_uri())}; console.log(JSON.stringify({expression}))"
    )
    done = subprocess.run([NODE, "--input-type=module", "-e", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_numeric_part_runs_in_a_web_page_too():
    """Nothing is imported, and no global of Node is used."""
    text = (FOLDER / "nsn.mjs").read_text()
    assert not any(word in text for word in ("import ", "require(", "process.", "Buffer", "globalThis"))


def test_erfc_has_a_small_relative_error():
    x = [*np.linspace(-3, 26, 1163), 0.55, math.nextafter(0.55, 0)]
    got = evaluate(f"{[float(v) for v in x]}.map(nsn.erfc)")
    want = [math.erfc(v) for v in x]
    worst = max(abs(g / w - 1) for g, w in zip(got, want, strict=True))
    assert worst < 8 * 2.0**-53, worst / 2.0**-53


def test_a_digit_at_any_rank():
    """Logits, probabilities, the choice and the cost of a small network, as the web page asks for them."""
    rng = np.random.default_rng(4)
    params = {
        "layers.0.A": rng.standard_normal((5, 7)),
        "layers.0.B": rng.standard_normal((3, 5)),
        "layers.0.b": rng.standard_normal(3),
        "layers.1.W": rng.standard_normal((2, 3)),
        "layers.1.b": rng.standard_normal(2),
    }
    x = rng.standard_normal((1, 7))
    tensor = "{shape: %s, data: Float64Array.of(%s)}"
    written = {
        key: tensor % (list(p.shape), ", ".join(map(repr, p.ravel().tolist()))) for key, p in {**params, "x": x}.items()
    }
    literal = ", ".join(f"{json.dumps(key)}: {value}" for key, value in written.items())
    for rank in (1, 4, 5):
        z, p, best, cost = evaluate(
            f"(({{x, ...params}}) => {{ const z = Array.from(nsn.forward(params, x, {rank}).data);"
            f" return [z, nsn.softmax(z), nsn.argmax(z), nsn.cost(params, {rank})] }})({{{literal}}})"
        )
        h = x @ params["layers.0.A"][:rank].T @ params["layers.0.B"][:, :rank].T + params["layers.0.b"]
        want = (np.maximum(h, 0) @ params["layers.1.W"].T + params["layers.1.b"])[0]
        assert np.allclose(z, want, rtol=1e-13)
        assert np.allclose(p, np.exp(want) / np.exp(want).sum(), rtol=1e-13)
        assert best == int(want.argmax())
        assert cost == network_cost([Layer(7, 3, 5), Layer(3, 2)], rank).multiply_adds
