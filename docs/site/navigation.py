"""The site's navigation is the index: each of its sections becomes a part, with the pages that it links to.

So docs/index.md stays plain Markdown, and a page that it does not mention is an error of the build.
"""

import re

SECTION = re.compile(r"^## ", re.M)
PAGE = re.compile(r"\]\(([\w./-]+)\.(?:md|rst)\)")


def add_toctrees(app, docname, source):
    """Append a hidden toctree for each section of the index."""
    if docname != app.config.root_doc:
        return
    for section in SECTION.split(source[0])[1:]:
        caption = section.splitlines()[0]
        pages = "\n".join(dict.fromkeys(PAGE.findall(section)))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def setup(app):
    """Connect to the reading of sources."""
    app.connect("source-read", add_toctrees)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
