"""Mathematics as MathML, made when the site is built: no script, nothing to fetch."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(node, as_block):
    """The formula of a node; what cannot be converted is a warning, and so an error of the build."""
    tex = re.sub(r"\\cr\b", r"\\\\", node.astext())  # \cr ends rows on GitHub too, which eats one of two backslashes
    try:
        return tex2mathml(tex, as_block)
    except MathError as error:
        logger.warning("formula %r: %s", tex, error, location=node)
        return ""


def visit_math(writer, node):
    """Write a formula within a line."""
    writer.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(writer, node):
    """Write a formula on lines of its own, which scrolls where it is too wide."""
    writer.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
