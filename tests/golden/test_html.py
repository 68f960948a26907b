"""The HTML page holds everything, in one file, and nothing that a port says is taken for markup."""

import re
from html.parser import HTMLParser

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import html
from nsn_ref.golden.locate import suite_dir

VOID = {"meta", "wbr", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed where it should be; collects tags and text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Balanced()
    reader.feed(page)
    assert not reader.open
    return reader


@pytest.fixture
def few(cases):
    return [c for c in cases if c.op == "nested_linear_forward" and c.session is None and c.dtype == "float32"]


def test_a_page_of_a_port_that_passes(few, numpy_port, port_of):
    page = html.render(checker.check(port_of(numpy_port.run), few), suite_dir())
    reader = read(page)
    text = " ".join(reader.text)
    assert "PASSED" in text and "nested_" in text and "Failures" not in text


def test_a_page_of_a_port_that_fails_has_every_number(few, numpy_port, port_of):
    right = numpy_port.layer
    numpy_port.layer = lambda x, A, B, b, r: right(x, A, B, b, max(r - 1, 1))
    report = checker.check(port_of(numpy_port.run), few)
    text = " ".join(read(html.render(report, suite_dir())).text)
    failed = [r for r in report.results if r.status == "failed"]
    assert len(failed) > 3 and f"Failures ({len(failed)})" in text
    for result in failed:
        assert result.case.id in text and result.case.why in text
    (worst,) = (t for t in failed[0].tensors if not t.passed and t.name == "y")
    assert repr(worst.got) in text and repr(worst.expected) in text
    assert "this is the result at rank 3: the rank is one too small" in text


def test_nothing_outside_is_fetched(few, numpy_port, port_of):
    page = html.render(checker.check(port_of(numpy_port.run), few), suite_dir())
    assert not re.search(r"https?:|//|src=|url\(|@import|<script|<link", page)
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page


def test_what_a_port_says_is_escaped(few, port_of):
    def run(op, inputs, attrs):
        raise ValueError("<script>alert('x')</script> & more")

    port = port_of(run)
    port.name = "<b>port</b>"
    reader = read(html.render(checker.check(port, few), suite_dir()))
    assert "script" not in reader.tags and "b" not in reader.tags
    assert "the port raised ValueError: <script>alert('x')</script> & more" in reader.text


def test_what_is_required_and_missing_is_listed(few, port_of):
    def run(op, inputs, attrs):
        raise NotImplementedError

    page = html.render(checker.check(port_of(run), few, require=["*"]), suite_dir())
    assert f"Required but not covered ({len(few)})" in page and few[0].id in page


def test_a_looser_contract_stands_out(few, numpy_port, port_of):
    port = port_of(numpy_port.run, CONTRACT={"float32": {"operand": "tf32"}})
    page = html.render(checker.check(port, few), suite_dir())
    assert "<span class=note>looser than the default</span>" in page and 'class="verdict warn"' in page
