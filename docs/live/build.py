"""Write index.html, the live page in one file, from the files beside it: python docs/live/build.py."""

import base64
import json
import re
from pathlib import Path

from safetensors.numpy import load_file

HERE = Path(__file__).parent
PORT = HERE.parents[1] / "golden" / "ports" / "js" / "nsn.mjs"
MODULES = (PORT, HERE / "digit.mjs", HERE / "model.mjs", HERE / "app.mjs")  # each uses those before it
IMPORT = re.compile(r"^import .*\n+", re.M)


def page():
    """The text of the page: style, model and script in the places where page.html names them."""
    style = f"<style>\n{(HERE / 'style.css').read_text()}</style>"
    model = f'<script type="application/json" id="model">{json.dumps(stored_model())}</script>'
    script = f'<script type="module">\n{"".join(part(path) for path in MODULES)}</script>'
    text = (HERE / "page.html").read_text()
    for place, content in {
        '<link rel="stylesheet" href="style.css">': style,
        '<script type="application/json" id="model"></script>': model,
        '<script type="module" src="app.mjs"></script>': script,
    }.items():
        before, after = text.split(place)
        text = before + content + after
    return text


def part(path):
    """A module as it is, under its name; without imports, as what they name stands above it."""
    text = path.read_text()
    return f"// ===== {path.name} =====\n{text if path == PORT else IMPORT.sub('', text)}"


def stored_model():
    """model.json with the weights, float32 in base64."""
    weights = load_file(HERE / "model.safetensors")
    params = {
        name: {"shape": list(p.shape), "data": base64.b64encode(p.astype("<f4").tobytes()).decode()}
        for name, p in sorted(weights.items())
    }
    return {**json.loads((HERE / "model.json").read_text()), "params": params}


if __name__ == "__main__":
    (HERE / "index.html").write_text(page())
