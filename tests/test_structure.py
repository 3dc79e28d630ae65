"""The house stays in order: small modules, short functions, one meaning a name."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).parents[1]
MODULES = sorted((PROJECT / "cxr").rglob("*.py"))
PAGES = sorted((PROJECT / "pages").glob("*.py"))
LEAST_LINES, MOST_LINES, MOST_PAGE_LINES, MOST_FUNCTION_LINES, MOST_ARGUMENTS = 40, 300, 80, 60, 7


def lines_of(path: Path) -> int:
    """How many lines the file has."""
    return len(path.read_text("utf-8").splitlines())


def nodes_of(path: Path) -> list[ast.AST]:
    """Every node of the file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def short(path: Path) -> str:
    """The file's path from the project's folder on."""
    return path.relative_to(PROJECT).as_posix()


def functions() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of the library and the pages by its place."""
    return {
        f"{short(path)}:{node.lineno} {node.name}": node
        for path in [*MODULES, *PAGES]
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_class_name_stands_for_two_things() -> None:
    names = Counter(node.name for path in MODULES for node in nodes_of(path) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_a_module_is_neither_a_fragment_nor_two_modules() -> None:
    counts = {short(path): lines_of(path) for path in MODULES if not path.name.startswith("__")}
    assert {name: lines for name, lines in counts.items() if not LEAST_LINES <= lines <= MOST_LINES} == {}


def test_a_page_only_composes_panels() -> None:
    assert {short(path): lines_of(path) for path in PAGES if lines_of(path) > MOST_PAGE_LINES} == {}


def test_a_function_fits_a_screen() -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions().items()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES} == {}


def test_a_function_takes_a_dataclass_before_it_takes_too_many_arguments() -> None:
    counts = {
        name: len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) for name, node in functions().items()
    }
    assert {name: count for name, count in counts.items() if count > MOST_ARGUMENTS} == {}


def test_every_public_function_and_class_says_what_it_is() -> None:
    silent = [
        f"{short(path)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []
