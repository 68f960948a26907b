"""The site builds without a warning, is whole by itself, and shows mathematics and docstrings."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import nsn_ref.ops

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The ids of a page, where its links lead, and what a browser loads with it."""

    def __init__(self, path):
        super().__init__()
        self.path, self.ids, self.links, self.loads = path, set(), set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[name] for name in ("id", "name") if attrs.get(name))
        if tag == "a" and attrs.get("href"):
            self.links.add(attrs["href"])
        elif tag in ("script", "img", "iframe", "source") and attrs.get("src"):
            self.loads.add(attrs["src"])
        elif tag == "link" and attrs.get("rel") not in ("canonical",):
            self.loads.add(attrs["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Every page of a site just built, by its path."""
    pytest.importorskip("sphinx", reason="needs the extra 'docs'")
    pytest.importorskip("myst_parser", reason="needs the extra 'docs'")
    pytest.importorskip("furo", reason="needs the extra 'docs'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "docs/site", ".", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path.relative_to(out).as_posix(): Page(path) for path in out.rglob("*.html")}


def test_every_link_leads_somewhere(site):
    pages = {page.path.resolve(): page for page in site.values()}
    missing = []
    for name, page in site.items():
        for uri in page.links | page.loads:
            url = urlsplit(uri)
            if url.scheme in ("http", "https", "mailto", "data"):
                continue
            target = (page.path.parent / unquote(url.path)).resolve() if url.path else page.path.resolve()
            at = url.fragment
            if not target.is_file() or (at and target in pages and unquote(at) not in pages[target].ids):
                missing.append(f"{name}: {uri}")
    assert not missing, missing[:20]


def test_nothing_is_loaded_from_elsewhere(site):
    loads = {uri for page in site.values() for uri in page.loads if urlsplit(uri).netloc}
    assert not loads
    out = site["index.html"].path.parent
    styles = "".join(path.read_text() for path in out.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)


def test_the_api_shows_every_operation(site):
    ids = site["docs/api/ops.html"].ids
    missing = [name for name in nsn_ref.ops.__all__ if f"{getattr(nsn_ref.ops, name).__module__}.{name}" not in ids]
    assert not missing


def test_formulas_are_mathml(site):
    """No dollar sign is left over in a page that has mathematics, and the operations' plain formulas stay plain."""
    pages = {name: page.path.read_text() for name, page in site.items() if name.startswith("docs/")}
    formulas = [name for name, text in pages.items() if "<math" in text]
    sources = [path for path in ROOT.glob("docs/**/*.md") if re.search(r"\$\S", path.read_text())]
    assert sorted(formulas) == sorted(p.relative_to(ROOT).with_suffix(".html").as_posix() for p in sources)


def test_search_knows_the_words_of_the_pages(site):
    index = (site["search.html"].path.parent / "searchindex.js").read_text()
    assert all(f'"{word}"' in index or f"{word}:" in index for word in ("docs/ops/nested_linear", "docs/api/ops"))


def test_ranges_in_tables_are_not_broken(site):
    cells = re.findall(r"<td.*?</td>", site["docs/results/speed.html"].path.read_text(), re.DOTALL)
    ranges = [cell for cell in cells if re.search(r"\([\d.]+-[\d.]+\)", cell)]
    assert ranges and all('<span class="unbroken">(' in cell for cell in ranges)
