"""Mutants made from a port's text by rules that know Python and nothing else.

The text is the PyTorch port as it was before any case of this suite was designed; the list of mutants, with the hash of
each, was committed then as well. So no case can have been chosen with these mutants in mind, and the share of them that
the suite catches says something about mistakes that nobody thought of.

A rule looks at one node of the syntax tree and proposes replacements of its text. Rules with many proposals (names for
names) are thinned out by a seeded draw.
"""

import ast
import hashlib
import json
import random
from typing import NamedTuple

from nsn_ref.errors import SuiteError
from nsn_ref.golden.locate import golden_dir

VERSION = 1
SEED = 20250917
DRAWN = {  # of these kinds this many are drawn; of others all are taken
    "name": 90,
    "key": 60,
    "omit call": 50,
    "omit argument": 40,
    "transpose": 40,
    "detach": 40,
}
BASE, LIST = "torch_port.py.txt", "mechanical.json"

_OPERATORS = {
    ast.Add: ("-", "*", "/"),
    ast.Sub: ("+", "*", "/"),
    ast.Mult: ("/", "+", "-"),
    ast.Div: ("*", "+", "-"),
}
_COMPARISONS = {ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in"}
_SIBLINGS = (  # functions and methods that take the same arguments
    ("exp", "expm1", "log", "log1p", "sigmoid"),
    ("sum", "mean", "prod", "amax"),
    ("stack", "cat", "hstack"),
    ("AdamW", "Adam", "RAdam", "NAdam"),
    ("relu", "gelu", "softplus"),
    ("exp_avg", "exp_avg_sq"),
)


class Mutant(NamedTuple):
    """One replacement in the text."""

    id: str
    kind: str
    line: int  # from 1
    start: int  # offset in the text
    old: str
    new: str
    sha256: str  # of the mutated text

    def apply(self, text):
        """The mutated text.

        Raises
        ------
        SuiteError
            The text is not the one that the mutant was made from.
        """
        mutated = text[: self.start] + self.new + text[self.start + len(self.old) :]
        if _sha256(mutated) != self.sha256:
            raise SuiteError(f"mechanical mutants: {self.id} does not belong to this text")
        return mutated


def base():
    """The text that is mutated."""
    return (golden_dir() / "mutants" / BASE).read_text(encoding="utf-8")


def committed():
    """The mutants of the committed list.

    Raises
    ------
    SuiteError
        The list or the text has been altered.
    """
    listed = json.loads((golden_dir() / "mutants" / LIST).read_text(encoding="utf-8"))
    mutants = [Mutant(**entry) for entry in listed["mutants"]]
    if listed["base_sha256"] != _sha256(base()) or listed["total_sha256"] != _total(mutants):
        raise SuiteError(f"mechanical mutants: {LIST} or {BASE} has been altered")
    return mutants


def listing(text, seed=SEED):
    """The committed list as text: one mutant a line."""
    mutants = generate(text, seed)
    head = {
        "generator_version": VERSION,
        "seed": seed,
        "base": BASE,
        "base_sha256": _sha256(text),
        "count": len(mutants),
        "total_sha256": _total(mutants),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    entries = ",\n".join(f"  {json.dumps(mutant._asdict())}" for mutant in mutants)
    return "\n".join(["{", *lines, ' "mutants": [', entries, " ]", "}", ""])


def generate(text, seed=SEED):
    """Every mutant of a text, in the order of the text; those that change nothing or repeat another are left out."""
    walker = _Proposals(text)
    proposals = list(dict.fromkeys(p for p in walker.all() if p[2] != p[3]))
    rng = random.Random(seed)
    kept = []
    for kind in dict.fromkeys(p[0] for p in proposals):
        of_kind = [p for p in proposals if p[0] == kind]
        kept += of_kind if kind not in DRAWN else rng.sample(of_kind, min(DRAWN[kind], len(of_kind)))
    seen, mutants = {walker.meaning(start) for _, start, _, _ in kept}, []
    for kind, start, old, new in sorted(kept, key=lambda p: (p[1], p[0], p[2], p[3])):
        meaning = walker.meaning(start, old, new)
        if meaning is None or meaning in seen:
            continue
        seen.add(meaning)
        mutated = text[:start] + new + text[start + len(old) :]
        line = text.count("\n", 0, start) + 1
        mutants.append(Mutant(f"m{len(mutants) + 1:03}", kind, line, start, old, new, _sha256(mutated)))
    return mutants


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _total(mutants):
    return _sha256("\n".join(mutant.sha256 for mutant in mutants))


class _Proposals:
    """Walks the tree; each `_kind` method yields (kind, new text) for one node."""

    def __init__(self, text):
        self.text = text
        self.tree = ast.parse(text)
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def all(self):
        """Tuples (kind, start, old, new)."""
        for scope in self.tree.body:
            keys, names = _keys(scope), _names(scope)
            for node in _walk(scope):
                for kind, new in self._proposed(node, keys, names):
                    start, end = self._span(node)
                    yield kind, start, self.text[start:end], new

    def meaning(self, start, old="", new=""):
        """The tree of the function or statement around an offset after a replacement; None if it is not Python."""
        first, last = next(span for span in map(self._span, self.tree.body) if span[0] <= start < span[1])
        try:
            changed = ast.parse(self.text[first:start] + new + self.text[start + len(old) : last])
        except SyntaxError:
            return None
        return first, ast.dump(changed)

    def _span(self, node):
        return (
            self.lines[node.lineno - 1] + node.col_offset,
            self.lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _at(self, node):
        """A node's text, in parentheses where it could fall apart."""
        start, end = self._span(node)
        text = self.text[start:end]
        loose = isinstance(node, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda))
        return f"({text})" if loose else text

    def _proposed(self, node, keys, names):
        rule = getattr(self, f"_{type(node).__name__.lower()}", None)
        if rule is not None:
            yield from rule(node)
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.FunctionDef, ast.Import, ast.ImportFrom)):
            yield "omit statement", "pass"
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from (("name", other) for other in names if node.id in names and other != node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (("key", json.dumps(other)) for other in keys if node.value in keys and other != node.value)

    # --- expressions ---

    def _binop(self, node):
        left, right = self._at(node.left), self._at(node.right)
        if type(node.op) in _OPERATORS:
            for operator in _OPERATORS[type(node.op)]:
                yield "operator", f"({left} {operator} {right})"
        for term in (left, right):
            yield "omit term", term
        if isinstance(node.op, (ast.Sub, ast.Div)):
            yield "swap", f"({right} {'-' if isinstance(node.op, ast.Sub) else '/'} {left})"

    def _unaryop(self, node):
        yield "operator", self._at(node.operand)

    def _compare(self, node):
        operator = _COMPARISONS[type(node.ops[0])]
        yield "comparison", f"({self._at(node.left)} {operator} {self._at(node.comparators[0])})"

    def _ifexp(self, node):
        body, other = self._at(node.body), self._at(node.orelse)
        yield "comparison", body
        yield "comparison", other

    def _if(self, node):
        start, end = self._span(node)
        test = self._span(node.test)
        for value in ("True", "False"):
            yield "comparison", self.text[start : test[0]] + value + self.text[test[1] : end]

    def _constant(self, node):
        value = node.value
        if type(value) in (int, float):
            for new in (0, 1, 2, value + 1, value - 1, -value):
                yield "constant", repr(type(value)(new))

    def _subscript(self, node):
        if not isinstance(node.ctx, ast.Load):
            return
        whole, parts = self._at(node.value), node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        texts = [self._raw(part) for part in parts]
        for k, part in enumerate(parts):
            for new in self._other_slices(part):
                yield "slice", f"{whole}[{', '.join([*texts[:k], new, *texts[k + 1 :]])}]"
        if len(texts) > 1:
            yield "swap", f"{whole}[{', '.join(texts[::-1])}]"
            yield "omit term", f"{whole}[{texts[-1]}]"
        yield "omit term", whole
        yield "transpose", f"{self._at(node)}.mT"

    def _raw(self, part):
        start, end = self._span(part)
        return self.text[start:end]

    def _other_slices(self, part):
        if isinstance(part, ast.Slice) and part.upper is not None and part.lower is None:
            upper = self._at(part.upper)
            yield from (
                ":",
                f"{upper}:",
                f"-{upper}:",
                f":{upper} - 1",
                f":{upper} + 1",
                f"1:{upper}",
                f"1:{upper} + 1",
            )
            yield from (":1", f":{upper}:2", f":-{upper}")
        elif not isinstance(part, ast.Slice) and not isinstance(part, ast.Constant):
            yield from (f"{self._at(part)} - 1", f"{self._at(part)} + 1")

    def _call(self, node):
        if any(isinstance(a, ast.GeneratorExp) for a in node.args):
            return
        function, args = self._raw(node.func), [self._raw(a) for a in node.args]
        keywords = [self._raw(k) for k in node.keywords]

        def call(args, keywords=keywords, function=function):
            return f"{function}({', '.join([*args, *keywords])})"

        for k in range(len(args)):
            yield "omit argument", call(args[:k] + args[k + 1 :])
            yield "omit call", self._at(node.args[k])
            yield "detach", call([*args[:k], f"{self._at(node.args[k])}.detach()", *args[k + 1 :]])
            yield "transpose", call([*args[:k], f"{self._at(node.args[k])}.mT", *args[k + 1 :]])
        for k in range(len(args) - 1):
            yield "swap", call([*args[:k], args[k + 1], args[k], *args[k + 2 :]])
        for k in range(len(keywords)):
            yield "omit argument", call(args, keywords[:k] + keywords[k + 1 :])
        if isinstance(node.func, ast.Attribute):
            yield "omit call", self._at(node.func.value)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        for other in _siblings(name):
            yield "function", call(args, function=function[: len(function) - len(name)] + other)

    def _tuple(self, node):
        if isinstance(node.ctx, ast.Load) and self._raw(node).startswith("("):
            yield from self._without_or_swapped([self._raw(e) for e in node.elts], "(", ",)")

    def _list(self, node):
        yield from self._without_or_swapped([self._raw(e) for e in node.elts], "[", "]")

    def _dict(self, node):
        keys, values = [self._raw(k) for k in node.keys], [self._raw(v) for v in node.values]
        items = [f"{k}: {v}" for k, v in zip(keys, values, strict=True)]
        for k in range(len(items)):
            yield "omit term", "{" + ", ".join(items[:k] + items[k + 1 :]) + "}"
        for k in range(len(items) - 1):
            swapped = [*values[:k], values[k + 1], values[k], *values[k + 2 :]]
            yield "swap", "{" + ", ".join(f"{a}: {b}" for a, b in zip(keys, swapped, strict=True)) + "}"

    def _without_or_swapped(self, items, opening, closing):
        for k in range(len(items)):
            yield "omit term", opening + ", ".join(items[:k] + items[k + 1 :]) + closing
        for k in range(len(items) - 1):
            yield "swap", opening + ", ".join([*items[:k], items[k + 1], items[k], *items[k + 2 :]]) + closing

    # --- statements and loops ---

    def _assign(self, node):
        value = self._at(node.value)
        start = self._span(node)[0]
        target = self.text[start : self._span(node.value)[0]]
        yield "detach", f"{target}{value}.detach()"
        yield "transpose", f"{target}{value}.mT"

    def _return(self, node):
        if isinstance(node.value, (ast.Call, ast.BinOp)):
            yield "detach", f"return {self._at(node.value)}.detach()"
            yield "transpose", f"return {self._at(node.value)}.mT"

    def _augassign(self, node):
        yield "omit term", f"{self._raw(node.target)} = {self._at(node.value)}"

    def _listcomp(self, node):
        (loop,) = node.generators
        source = self._at(loop.iter)
        start, end = self._span(node)
        inner = self._span(loop.iter)
        for new in (f"list({source})[1:]", f"list({source})[:-1]", f"list({source})[::-1]"):
            yield "loop", self.text[start : inner[0]] + new + self.text[inner[1] : end]

    _dictcomp = _listcomp

    def _for(self, node):
        source = self._at(node.iter)
        start, end = self._span(node)
        inner = self._span(node.iter)
        for new in (f"list({source})[1:]", f"list({source})[:-1]"):
            yield "loop", self.text[start : inner[0]] + new + self.text[inner[1] : end]


def _walk(scope):
    """Nodes of the tree in order, without docstrings and the inside of f-strings (whose offsets are unreliable)."""
    if isinstance(scope, ast.Expr) and isinstance(scope.value, ast.Constant):
        return
    yield scope
    if isinstance(scope, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return
    if isinstance(scope, ast.Assign):
        yield from _walk(scope.value)
        return
    for child in ast.iter_child_nodes(scope):
        if hasattr(child, "lineno") or isinstance(child, (ast.arguments, ast.comprehension)):
            yield from _walk(child)


def _keys(scope):
    """Strings of a function or top-level statement, in order."""
    return list(dict.fromkeys(n.value for n in _walk(scope) if isinstance(n, ast.Constant) and type(n.value) is str))


def _names(scope):
    """Arguments and local names of a function."""
    found = [n.arg for n in _walk(scope) if isinstance(n, ast.arg)]
    stored = [n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(found + stored))


def _siblings(name):
    return [other for group in _SIBLINGS if name in group for other in group if other != name]
