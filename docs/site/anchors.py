"""Links to <a id="lin-2"></a> inside a page, which GitHub follows, are resolved here too."""

import re

from docutils import nodes

ANCHOR = re.compile(r'<a id="([\w-]+)">')


def add_anchors(app, doctree):
    """Let MyST know the anchors of a page beside those of its headings."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(nodes.raw):
        slugs.update({name: (node.line, name, name.upper()) for name in ANCHOR.findall(node.astext())})


def setup(app):
    """Connect to the reading of pages."""
    app.connect("doctree-read", add_anchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
