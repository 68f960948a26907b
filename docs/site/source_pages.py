"""Links from pages to files and folders that are no pages lead to highlighted copies, so the site is whole by itself.

A link to an .html file leads to a copy of the file as it is; one to a line, file.py#L27, to that line.
"""

import html
import os.path
import posixpath
import re
import shutil
from pathlib import Path

from docutils import nodes
from pygments.lexers import find_lexer_class_for_filename

LINK = re.compile(r"\]\((?![\w+.-]+:|#)([^)#\s]+)(#\w+)?\)")
PAGES_AND_IMAGES = (".md", ".rst", ".svg", ".png")
SCHEME = "source:"


def mark_links(app, docname, source):
    """Give such links a scheme of their own, and remember in the page's metadata where they lead."""
    copied = app.env.metadata[docname].setdefault("sources", set())

    def marked(match):
        target, fragment = match.groups(default="")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(docname), target))
        if path.endswith(PAGES_AND_IMAGES) or not (Path(app.srcdir) / path).exists():
            return match[0]
        copied.add(path)
        return f"]({SCHEME}{path}{fragment})"

    source[0] = LINK.sub(marked, source[0])


def resolve_links(app, doctree):
    """Point the links that were marked to the copies."""
    here = posixpath.dirname(app.env.docname)
    for node in doctree.findall(nodes.reference):
        uri = node.get("refuri", "")
        if uri.startswith(SCHEME):
            path, _, line = uri.removeprefix(SCHEME).partition("#L")
            node["refuri"] = os.path.relpath(place_of(path), here) + (f"#L-{line}" if line else "")


def place_of(path):
    """Where the copy of a file or folder lies in the site."""
    return path if path.endswith(".html") else f"source/{path}.html"


def copies(app):
    """The copies, as pages of the site; those of .html files are made on the way."""
    root = Path(app.srcdir)
    paths = set().union(*(data.get("sources", ()) for data in app.env.metadata.values()))
    for folder in [path for path in paths if (root / path).is_dir()]:
        files = sorted(p for p in (root / folder).iterdir() if p.is_file())
        paths |= {p.relative_to(root).as_posix() for p in files}
        links = "".join(f'<li><a href="{root.joinpath(folder).name}/{p.name}.html">{p.name}</a></li>' for p in files)
        yield page(folder, f"<ul>{links}</ul>")
    for path in sorted(p for p in paths if (root / p).is_file()):
        if path.endswith(".html"):
            place = Path(app.outdir) / place_of(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, place)
        else:
            yield page(path, highlighted(app, root / path))


def page(path, body):
    """A page as Sphinx expects it: name, context, template."""
    title = html.escape(path)
    return f"source/{path}", {"title": title, "body": f"<h1>{title}</h1>{body}"}, "page.html"


def highlighted(app, path):
    """The text of a file in colours; line 27 has the id L-27."""
    lexer = find_lexer_class_for_filename(path.name)
    language = "coq" if path.suffix == ".v" else lexer.aliases[0] if lexer else "none"  # .v: not Verilog
    return app.builder.highlighter.highlight_block(path.read_text(), language, force=True, linespans="L")


def setup(app):
    """Connect to the reading of pages and the writing of the site."""
    app.connect("source-read", mark_links)
    app.connect("doctree-read", resolve_links)
    app.connect("html-collect-pages", copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
