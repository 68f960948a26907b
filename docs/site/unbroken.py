"""In the cells of tables a range, such as (1.2 to 3.4), a pair of sizes and a percentage stay on one line."""

import re

from docutils import nodes

TOGETHER = re.compile(r"(\([-+\d][-+\d., to]*\)|[\d.,]+ %)")


def keep_together(app, doctree):
    """Put each into an element of its own, which the style sheet does not break."""
    for entry in doctree.findall(nodes.entry):
        for text in list(entry.findall(nodes.Text)):
            if not isinstance(text.parent, nodes.literal):
                parts = enumerate(TOGETHER.split(text))  # the odd ones match
                text.parent.replace(text, [_unbroken(part) if i % 2 else nodes.Text(part) for i, part in parts])


def _unbroken(text):
    return nodes.inline("", text, classes=["unbroken"])


def setup(app):
    """Connect to the reading of sources."""
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
