"""The directive `modules`: every public module of a package, documented under its name by its docstrings."""

import importlib
import pkgutil
import re

from sphinx.util.docutils import SphinxDirective

CLAIM = re.compile(r"\b(?:LIN|GAU|GRD|OBJ|ENG|SVD|CST|FLT)-\d+\b")


class Modules(SphinxDirective):
    """Sections with an automodule each; a new module needs no new entry."""

    required_arguments = 1

    def run(self):
        """One section for each module of the package that is named."""
        (package,) = self.arguments
        path = importlib.import_module(package).__path__
        names = sorted(m.name for m in pkgutil.iter_modules(path) if not m.ispkg and not m.name.startswith("_"))
        sections = [f"{name}\n{'-' * len(name)}\n\n.. automodule:: {package}.{name}\n" for name in names]
        return self.parse_text_to_nodes("\n".join(sections), allow_section_headings=True)


def as_plain_text(app, what, name, obj, options, lines):
    """Keep a docstring from being read as more than it is, before napoleon reads it, and link the claims in it.

    |x| is no substitution, and what stands before a colon in the first line of a property is no type.
    """
    lines[:] = [CLAIM.sub(claim_link, line.replace("|", r"\|")) for line in lines]
    if what == "property":
        lines.insert(0, "")


def claim_link(match):
    """A claim's id, as a link to its row in docs/claims.md."""
    return f"`{match[0]} <../claims.html#{match[0].lower()}>`__"


def skip_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples, which the signature lists: Python documents them by their numbers."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def setup(app):
    """Register the directive, and the reading of docstrings."""
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
