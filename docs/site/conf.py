"""The documentation site: sphinx-build -W -c docs/site . build/site.

The pages are the repository's Markdown files where they stand, so the source folder is the repository itself.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import nsn_ref

project = "nsn_ref"
copyright = "the nsn_ref maintainers"
release = nsn_ref.__version__
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "docs/api/*.rst", "golden/README.md", "proofs/README.md"]
exclude_patterns = [".*", "**/.*", "build", "dist", "runs"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "anchors",
    "mathml",
    "module_pages",
    "navigation",
    "source_pages",
    "unbroken",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
highlight_language = "none"  # a block without a language is a formula or output

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = {"http": None, "https": None, "mailto": None, "source": None}

default_role = "py:obj"  # `name` in a docstring links to what it names, if that has a page
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the docstrings say shapes and ranges
napoleon_google_docstring = False
napoleon_use_param = False  # types as they are written: `n` in a shape links nowhere
napoleon_use_rtype = False
napoleon_custom_sections = [("Raises", "returns_style")]  # names alone, on one line
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "nsn_ref"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_extra_path = ["root"]  # index.html, which leads on to docs/index.html
html_copy_source = False
