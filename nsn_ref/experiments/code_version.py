"""Which sources a result depends on, as one short text: records of other sources are records of another cell."""

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nsn_ref
from nsn_ref.files import sha256

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


class Source(NamedTuple):
    """What counts of a module."""

    imports: tuple  # modules of this package
    digest: str


@cache
def code_version(module):
    """The package's version, and a digest of every module that a module's import statements reach.

    Reached are modules of this package, those that functions import when they are called among them; not reached is
    the `__init__` of a package of which only modules are imported. Comments, docstrings and layout do not count.
    Python describes a parsed source anew now and then, so another version of Python may tell another digest.

    Parameters
    ----------
    module : str
        That of an experiment's `run`.

    Returns
    -------
    str
    """
    lines = (f"{name} {source.digest}\n" for name, source in sorted(reached(module).items()))
    total = sha256("".join(lines).encode())
    return f"{nsn_ref.__version__}+{total[:16]}"


def reached(module):
    """A module and all that it reaches, by name.

    Returns
    -------
    dict of str to Source
    """
    sources, left = {}, [module]
    while left:
        name = left.pop()
        if name not in sources:
            sources[name] = _source(_path(name).read_bytes())
            left += sources[name].imports
    return sources


@cache  # most experiments reach the same modules
def _source(content):
    tree = ast.parse(content)
    imports = tuple(_imports(tree))
    return Source(imports, sha256(ast.dump(_bare(tree)).encode()))


def _imports(tree):
    """Modules of this package that a source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _in_package(name) else node.module for name in whole]
        else:
            continue
        yield from filter(_in_package, names)


def _in_package(name):
    return name.partition(".")[0] == nsn_ref.__name__ and _path(name) is not None


def _path(name):
    """File of a module; None if there is no such module."""
    package, *parts = name.split(".")
    if package != nsn_ref.__name__:
        return Path(importlib.util.find_spec(name).origin)
    stem = Path(nsn_ref.__file__).parent.joinpath(*parts)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)


def _bare(tree):
    """The same without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree
