"""Figures of the package: classes with many attributes, long modules, long functions.

.venv/bin/python contrib/dev/figures.py [DIR]

Prints the classes with more than 12 instance attributes, the modules with more than 300 lines and the functions with
more than 50, the greatest first, and marks those over the limits of 15, 350 and 60. The exit code is 1 if there are
any. Counts by the syntax tree: an attribute is a name that a method assigns to its first parameter, or that the body of
the class declares without ClassVar, as dataclasses do; inherited ones are not counted. A section of the settings is a list of
keys of the file, each with its documentation, and may have any number.
"""

import argparse
import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "coldvoxd"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Figure:
    """A count at one place."""

    count: int
    place: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of figure with its limits."""

    title: str
    shown_above: int
    limit: int
    figures: Callable[[Path, ast.Module, str], Iterator[Figure]]


def attributes(path: Path, tree: ast.Module, _text: str) -> Iterator[Figure]:
    """Yield the instance attributes of each class but those of the settings."""
    if path.parts[-2:] == ("core", "settings.py"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = {*_declared(node)}
            for method in node.body:
                if isinstance(method, Function) and method.args.args and not _is_static(method):
                    names.update(_assigned(method, method.args.args[0].arg))
            yield Figure(len(names), f"{path}:{node.lineno} {node.name}")


def lines(path: Path, _tree: ast.Module, text: str) -> Iterator[Figure]:
    """Yield the lines of the module."""
    yield Figure(len(text.splitlines()), str(path))


def function_lines(path: Path, tree: ast.Module, _text: str) -> Iterator[Figure]:
    """Yield the lines of each function, including its decorators and docstring."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield Figure((node.end_lineno or first) - first + 1, f"{path}:{node.lineno} {node.name}")


KINDS = (
    Kind("attributes of a class", 12, 15, attributes),
    Kind("lines of a module", 300, 350, lines),
    Kind("lines of a function", 50, 60, function_lines),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=PACKAGE, metavar="DIR")
    directory = parser.parse_args().directory
    modules = [
        (path.relative_to(directory.parent), path.read_text("utf-8")) for path in sorted(directory.rglob("*.py"))
    ]
    if not modules:
        parser.error(f"there is no Python module in {directory}")
    parsed = [(path, ast.parse(text), text) for path, text in modules]
    excess = 0
    for kind in KINDS:
        excess += _print(kind, [figure for module in parsed for figure in kind.figures(*module)])
    print(f"\n{len(modules)} modules, {excess} over a limit")
    return 1 if excess else 0


def _print(kind: Kind, figures: Iterable[Figure]) -> int:
    """Print the figures worth showing; return how many are over the limit."""
    shown = sorted((each for each in figures if each.count > kind.shown_above), key=lambda each: -each.count)
    print(f"\n{kind.title}, more than {kind.shown_above} (limit {kind.limit}):")
    for each in shown:
        print(f"  {each.count:4} {each.place}{'  OVER' if each.count > kind.limit else ''}")
    if not shown:
        print("  none")
    return sum(each.count > kind.limit for each in shown)


def _declared(node: ast.ClassDef) -> Iterator[str]:
    """Yield annotated names of a class's body: the fields of dataclasses, and the attributes of Protocols."""
    for entry in node.body:
        match entry:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if not ast.unparse(annotation).startswith("ClassVar"):
                    yield name


def _assigned(method: Function, instance: str) -> Iterator[str]:
    """Yield names of the attributes of `instance` that are assigned anywhere in a method."""
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name, ctx=ast.Store()) if owner == instance:
                yield name


def _is_static(method: Function) -> bool:
    names = {decorator.id for decorator in method.decorator_list if isinstance(decorator, ast.Name)}
    return bool(names & {"staticmethod", "classmethod"})


if __name__ == "__main__":
    sys.exit(main())
