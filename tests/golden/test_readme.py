"""golden/README.md says what the suite holds: its worked example, every name, and the rule for dtypes."""

import json
import math
import re

import ml_dtypes
import numpy as np
import pytest
import typer

from nsn_ref.cli.golden import app
from nsn_ref.golden import contracts, schema, suite, tensors
from nsn_ref.golden.locate import golden_dir, suite_dir

EXAMPLE = "objective_forward/bf16/one-rank-001"
NETS = ("mlp_forward", "mlp_loss_and_grads", "mlp_step", "convnet_step", "decoder_loss_and_grads")


@pytest.fixture(scope="module")
def text():
    return (golden_dir() / "README.md").read_text()


@pytest.fixture(scope="module")
def manifest():
    return json.loads((suite_dir() / suite.MANIFEST).read_text())


def section(text, heading):
    """From a heading to the next one of its level or above."""
    level = heading.split()[0]
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"golden/README.md has no heading {heading!r}"
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


# --- the worked example -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    (case,) = (case for case in suite.load(suite_dir()) if case.id == EXAMPLE)
    return case


def as_shown(case):
    """A file with the inputs of a case: length, header, then the bytes of each tensor."""
    data = tensors.encode(case.inputs)
    end = 8 + int.from_bytes(data[:8], "little")
    parts = [data[:8].hex(" "), data[8:end].decode().rstrip()]
    parts += [tensors.raw(x).hex(" ") for x in case.inputs.values()]
    assert b"".join(tensors.raw(x) for x in case.inputs.values()) == data[end:]
    return parts


def test_the_worked_example_is_what_the_files_hold(text, example):
    _, _, rest = text.partition("<!-- one case: checked by tests/golden/test_readme.py -->\n")
    assert rest.partition("<!-- end of one case -->")[0].splitlines() == ["```text", *as_shown(example), "```"]
    said = section(text, "## One case, byte by byte")
    assert f"`{json.dumps(example.attrs)}`" in said
    assert f"8 + {int.from_bytes(tensors.encode(example.inputs)[:8], 'little')} on the data" in said
    values = ", ".join(repr(float(x)) for x in example.inputs["s"])
    assert values in said.replace("\n", " ")


def test_the_worked_example_is_computed_correctly(text, example):
    s, (loss,) = example.inputs["s"].tolist()[example.attrs["ranks"][0] - 1], example.inputs["losses"].tolist()
    got, total = ml_dtypes.bfloat16(math.exp(-s) * loss + s), example.outputs["total"]
    error = abs(float(got) - total.expected)
    said = section(text, "## One case, byte by byte").replace("\n", " ")
    assert f"= s[4] = {s!r}" in said and f"total = w {loss!r} + {s!r}" in said
    assert f"that is {float(got)!r}, which a port returns as `{tensors.raw(got).hex(' ')}`" in said
    assert f"`{tensors.raw(total.expected).hex(' ')}` = {float(total.expected)!r}" in said
    assert f"of bounds {total.bound:.2g}. The error is {error:.2g}: passed" in said and error <= total.bound


# --- names ------------------------------------------------------------------------------------------------------------


def schema_document():
    return json.loads((golden_dir() / "schema" / "manifest.schema.json").read_text())


def test_the_keys_lanes_formats_and_dtypes_of_the_schema_are_explained(text):
    definitions = schema_document()["$defs"]
    files, formats = section(text, "## The files"), section(text, "### Formats")
    first_cells = " ".join(cells(line)[0] for line in files.splitlines() if line.startswith("| `"))
    for key in definitions["case"]["required"]:
        assert f"`{key}`" in first_cells, f"the key {key} of a case"
    for lane in definitions["case"]["properties"]["lane"]["enum"]:
        assert f"`{lane}`:" in files, f"the lane {lane}"
    described = " ".join(cells(line)[0] for line in formats.splitlines() if line.startswith("| `"))
    assert definitions["format"]["enum"] and set(definitions["format"]["enum"]) == set(contracts.DEFAULTS)
    for name in definitions["format"]["enum"]:
        assert f"`{name}`" in described, f"the format {name}"
    elements = [cells(line) for line in files.splitlines() if re.match(r"\| [^|]+ \| `[A-Z]", line)]
    codes = {name: code for row in elements for name, code in zip(row[0].split(", "), row[1].split(", "), strict=False)}
    for name in definitions["input"]["properties"]["dtype"]["enum"]:
        code = tensors.encode({"x": np.zeros(1, ml_dtypes.bfloat16 if name == "bfloat16" else name)}).split(b'"')[7]
        assert codes.get(f"`{name}`") == f"`{code.decode()}`", f"the dtype {name}"
    for key in (*definitions["input"]["required"], *definitions["output"]["required"]):
        assert f"`{key}`" in files, f"the key {key} of a tensor"


def test_the_values_of_every_named_attribute_are_said(text, manifest):
    described = section(text, "## The operations")
    values = {value for case in manifest["cases"] for value in case["attrs"].values() if isinstance(value, str)}
    names = {value for value in values if not value.lstrip("-").startswith("0x")}
    assert len(names) > 10
    for name in names:
        assert f'"{name}"' in described, f"the attribute's value {name!r}"


def formulas(text):
    """The table of formulas: operation or stem to (forward, backward)."""
    lines = [line for line in section(text, "### Formulas").splitlines() if line.startswith("| `")]
    table = {cells(line)[0].strip("`"): (*cells(line.removesuffix("|"))[1:], "")[:2] for line in lines}
    assert len(table) == len(lines), "an operation has two rows"
    return table


def defined(tensor, formula):
    """Whether a formula says what a tensor is (or its elements, the part that a rank uses, or its new value)."""
    part = r"(_r|'|\[[^=]*\])?"
    return re.search(rf"(?<![\w^]){re.escape(tensor)}{part}(, \w+)*( =|:)", formula) is not None


def test_every_operation_has_a_formula_that_names_its_outputs(text):
    table = formulas(text)
    attributes = section(text, "## The operations").partition("### Formulas")[0]
    layers = {name: op for name, op in schema.OPERATIONS.items() if name not in NETS}
    assert table.keys() == {re.sub("_(for|back)ward$", "", name) for name in layers}
    for name, operation in layers.items():
        formula = table[re.sub("_(for|back)ward$", "", name)][name.endswith("_backward")]
        for tensor in operation.outputs:
            assert defined(tensor.name, formula), f"{name}: its formula does not say what {tensor.name} is"
        for attr in operation.attrs:
            assert f"| `{attr.name}` |" in attributes, f"{name}: the attribute {attr.name}"


def test_the_tensors_of_nets_are_described(text, manifest):
    described = section(text, "### The nets")
    used = {case["op"] for case in manifest["cases"]}
    assert used == set(schema.OPERATIONS)
    names = {t["name"] for case in manifest["cases"] if case["op"] in NETS for t in case["inputs"] + case["outputs"]}
    for name in {re.sub(r"^(param|grad|m|v)\..*", r"\1.P", re.sub(r"\.\d+$", ".i", name)) for name in names}:
        assert re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", described), f"the tensor {name} of a net"
    for name in NETS[0], *NETS[2:]:
        assert f"`{name}`" in described


def test_nothing_in_backquotes_is_unknown_to_the_table(text):
    """An attribute or a tensor that was renamed must not live on in the formulas."""
    known = {t.name for operation in schema.OPERATIONS.values() for t in (*operation.inputs, *operation.outputs)}
    known |= {a.name for operation in schema.OPERATIONS.values() for a in operation.attrs}
    known |= set(formulas(text))
    for word in re.findall(r"`([A-Za-z_]+)`", section(text, "### Formulas")):
        assert word in known, f"`{word}` is neither an operation nor an attribute nor a tensor"


# --- rules ------------------------------------------------------------------------------------------------------------


def dtype(name, inputs):
    """The dtype of an output by the page's rule, from the inputs' dtypes alone."""
    for own in (name, name.removeprefix("d"), name.replace("grad.", "param.")):
        if own in inputs:
            return inputs[own]
    if name in ("losses", "w", "total") and "param.s" in inputs:
        return inputs["param.s"]
    if "x" in inputs:
        return inputs["x"]
    (only,) = {given for given in inputs.values() if given != "int64"}
    return only


def test_the_rule_for_the_dtype_of_an_output_holds(manifest):
    for case in manifest["cases"]:
        inputs = {t["name"]: t["dtype"] for t in case["inputs"]}
        for t in case["outputs"]:
            assert dtype(t["name"], inputs) == t["dtype"], f"{case['id']}: no port can know the dtype of {t['name']}"


def test_what_is_said_of_bounds_holds():
    for case in suite.load(suite_dir()):
        for name, output in case.outputs.items():
            assert np.isfinite(output.bound).all() and (output.bound >= 0).all(), (case.id, name)
            assert case.lane != "exact" or not output.bound.any(), (case.id, name)


def test_sequences_are_the_cases_with_a_session(manifest):
    assert all((case["lane"] == "sequence") == (case["session"] is not None) for case in manifest["cases"])


def test_every_option_of_the_checker_is_listed(text):
    command = typer.main.get_command(app).commands["check"]
    options = {name for option in command.params for name in option.opts if name.startswith("-")}
    listed = section(text, "### The checker")
    assert options > {"--op", "--html", "-x"}
    for option in options:
        assert re.search(rf"^\| .*`{option}[ `]", listed, re.MULTILINE), f"the option {option}"


def test_every_port_is_listed(text):
    folder = golden_dir() / "ports"
    listed = section(text, "### Worked examples")
    for path in folder.iterdir():
        if not path.name.startswith(("_", ".")) and path.name != "node_modules":
            assert f"[{path.name}](ports/{path.name}" in listed, f"the port {path.name}"
    assert all((golden_dir() / link).is_file() for link in re.findall(r"\]\((ports/[^)]+)\)", text))
