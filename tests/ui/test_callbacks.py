"""Callbacks, fragments and dialogs run without the script of the page: what acts in them identifies the visitor."""

from __future__ import annotations

import ast
from pathlib import Path

from cxr.core.access import LOCAL, Person, current_person
from cxr.ui import sign_in

PROJECT = Path(__file__).parents[2]
SCRIPTS = sorted([*(PROJECT / "cxr" / "ui").rglob("*.py"), *(PROJECT / "pages").glob("*.py")])
CALLBACKS = {"on_click", "on_change", "on_submit", "on_select"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(node: ast.AST) -> str:
    """The last part of a name: of `default_model.promote`, "promote"."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def called_in(node: ast.AST) -> set[str]:
    """The names of all functions that are called inside the node."""
    return {name_of(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}


def names_in(node: ast.AST) -> set[str]:
    """The last parts of all names inside the node."""
    return {name_of(part) for part in ast.walk(node)}


def asked_of_sign_in(node: ast.AST) -> set[str]:
    """The functions of `sign_in` that are called inside the node: what they say depends on who acts."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {func.attr for func in calls if isinstance(func, ast.Attribute) and name_of(func.value) == "sign_in"}


def functions_of(path: Path) -> list[Function]:
    """All functions of the file, nested ones included."""
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, Function)]


LIBRARY = [path for path in (PROJECT / "cxr").rglob("*.py") if path not in SCRIPTS]
ACTING = {
    function.name
    for path in LIBRARY
    for function in functions_of(path)
    if called_in(function) & {"authorize", "audited", "current_person"}
} - {"add"}  # the session's method of that name only remembers films; catalog.add is called by its module's name


def unidentified_actions(path: Path) -> list[str]:
    """What the callbacks, fragments and dialogs of a file do, or ask about, as a visitor whom nobody has identified."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = {function.name: function for function in functions_of(path)}
    values = [word.value for word in ast.walk(tree) if isinstance(word, ast.keyword) and word.arg in CALLBACKS]
    started = {name_of(node) for value in values for node in ast.walk(value)}
    started |= {
        function.name
        for function in functions.values()
        if {"fragment", "dialog"} & set().union(*map(names_in, function.decorator_list))
    }
    unsafe, pending = [], [name for name in started if name]
    checked: set[str] = set()
    while pending:
        name = pending.pop()
        function = functions.get(name)
        if name in checked or (function and "as_visitor" in map(name_of, function.decorator_list)):
            continue
        checked.add(name)
        if name in ACTING and not function:
            unsafe.append(f"{path.name}: {name}")
        if function:
            unsafe += [f"{path.name}: sign_in.{asked}" for asked in asked_of_sign_in(function)]
            pending += called_in(function)
    return unsafe


def test_what_acts_in_a_callback_fragment_or_dialog_is_done_by_the_visitor() -> None:
    assert {"promote", "stop", "save_responses", "delete"} <= ACTING
    assert [unsafe for path in SCRIPTS for unsafe in unidentified_actions(path)] == []


def test_an_action_in_a_callback_fragment_or_dialog_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("def go():\n    default_model.promote(name)\n\nst.button('Go', on_click=go)\n")
    assert unidentified_actions(script) == ["page.py: promote"]
    script.write_text("@st.fragment(run_every=2)\ndef live():\n    run.stop()\n")
    assert unidentified_actions(script) == ["page.py: stop"]
    script.write_text("@st.dialog('Stop')\ndef ask():\n    if st.button('Stop'):\n        run.stop()\n")
    assert unidentified_actions(script) == ["page.py: stop"]
    script.write_text("@st.dialog('Stop')\ndef ask():\n    sign_in.button(Action.STOP, 'Stop')\n")
    assert unidentified_actions(script) == ["page.py: sign_in.button"]
    script.write_text(
        "@sign_in.as_visitor\ndef go():\n    default_model.promote(name)\n\nst.button('Go', on_click=go)\n"
    )
    assert unidentified_actions(script) == []


def test_a_wrapped_function_is_done_by_the_visitor() -> None:
    def person() -> Person:
        """Whoever acts."""
        return current_person()

    assert sign_in.as_visitor(person)() == LOCAL
    assert sign_in.as_visitor(person).__doc__ == "Whoever acts."
