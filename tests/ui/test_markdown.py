"""Every text that a page gives to Streamlit as Markdown is written here, or escaped."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPTS = sorted([*(PROJECT / "cxr" / "ui").rglob("*.py"), *(PROJECT / "pages").glob("*.py")])
# Streamlit's functions that render Markdown: the names of their texts, of which the first comes first.
BODIES = ("markdown", "caption", "info", "warning", "error", "success", "toast", "write", "header", "subheader")
LABELED: tuple[str, ...] = (
    "button",
    "download_button",
    "form_submit_button",
    "link_button",
    "page_link",
    "checkbox",
    "toggle",
    "radio",
)
LABELED += (
    "selectbox",
    "multiselect",
    "segmented_control",
    "pills",
    "slider",
    "select_slider",
    "number_input",
    "metric",
)
LABELED += ("text_input", "text_area", "file_uploader", "expander", "popover", "status", "dialog")
TEXTS: dict[str, tuple[str, ...]] = dict.fromkeys((*BODIES, "title", "badge", "spinner"), ("body",)) | dict.fromkeys(
    LABELED, ("label", "help")
)
TEXTS |= {"table": ("data",), "progress": ("value", "text"), "Column": ("help",), "NumberColumn": ("help",)}
ESCAPES = {"plain", "plain_lines", "plain_table", "code_span"}
NUMBERS = {"counted", "decimal", "percent", "duration", "gigabytes", "interval_range", "len", "round", "probability"}
# Names that hold texts of this project alone, each where it is used; add one only after looking.
OURS = {
    "cxr/ui/components/choosers.py": {"label", "sentence", "number"},
    "cxr/ui/components/comparison.py": {"comparison_definitions(comparison)"},
    "cxr/ui/data/browse.py": {"film.width_px", "film.height_px", "film.format", "film.bits"},
    "cxr/ui/data/add.py": {"FOLDER_FORMAT"},
    "cxr/ui/data/dataset.py": {"label", "films", "patients", "title"},
    "cxr/ui/data/splits.py": {"label"},
    "cxr/ui/error_reports.py": {"sentence"},
    "cxr/ui/evaluate/calibration.py": {"bias"},
    "cxr/ui/evaluate/confusion_matrix.py": {"order"},
    "cxr/ui/evaluate/curves.py": {"definitions", "best"},
    "cxr/ui/evaluate/metrics.py": {"count", "prevalence", "own"},
    "cxr/ui/evaluate/shortcuts.py": {"title", "_bullets(reasons[:FIRST_REASONS])", "_bullets(more)"},
    "cxr/ui/frame.py": {"page", "'?' if query else ''", "urlencode(query)"},
    "cxr/ui/label_review/blinded_reading.py": {"answered"},
    "cxr/ui/label_review/outcome_panel.py": {"suspects", "controls", "number", "edits"},
    "cxr/ui/models/card_panel.py": {"definition"},
    "cxr/ui/models/actions.py": {"label"},
    "cxr/ui/models/exchange_panel.py": {"label"},
    "cxr/ui/one_image/counter_checks.py": {"kind.upper()"},
    "cxr/ui/predict/batch.py": {"label"},
    "cxr/ui/predict/exports.py": {"export.label"},
    "cxr/ui/predict/reader_response.py": {"label", "help"},
    "cxr/ui/predict/reading.py": {"correction.action", "position + 1", "prediction.engine"},
    "cxr/ui/predict/upload.py": {"label", "shortcut_mark(card)"},
    "cxr/ui/sign_in.py": {"label", "help", "person.role or 'no role'"},
    "cxr/ui/train/live_run.py": {"words", "name", "status.epoch", "status.epochs", "step", "left"},
    "cxr/ui/train/new_training.py": {"device.precision", "title", "roles"},
    "cxr/ui/train/recipe_form.py": {"label", "title", "changed"},
    "cxr/ui/train/training_data.py": {"films", "found"},
}


def unsafe_parts(node: ast.expr, ours: set[str]) -> Iterator[str]:
    """The parts of a text that nothing says to be safe."""
    source = ast.unparse(node)
    name = node.func if isinstance(node, ast.Call) else node
    last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    if isinstance(node, ast.Constant) or source in ours:
        return
    if isinstance(node, ast.Call) and last in ESCAPES | NUMBERS:
        return
    if isinstance(node, ast.Name | ast.Attribute) and last.isupper():
        return
    if isinstance(node, ast.Subscript):
        yield from unsafe_parts(node.value, ours)
    elif isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        return  # a number
    elif isinstance(node, ast.FormattedValue):
        yield from unsafe_parts(node.value, ours)
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from unsafe_parts(part, ours)
    elif isinstance(node, ast.IfExp):
        for branch in (node.body, node.orelse):
            yield from unsafe_parts(branch, ours)
    elif isinstance(node, ast.Call) and last in ("join", "format"):
        for argument in node.args:
            yield from unsafe_parts(argument, ours)
    elif isinstance(node, ast.GeneratorExp):
        yield from unsafe_parts(node.elt, ours)
    else:
        yield source


def unsafe_texts(path: Path) -> list[str]:
    """The texts of a file that may be Markdown of others."""
    place = path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else path.name
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in TEXTS:
            continue
        if node.func.attr == "button" and ast.unparse(node.func.value) == "sign_in":
            arguments = node.args[1:2]
        elif node.func.attr == "write" and "st" not in ast.unparse(node.func.value).split("."):
            continue
        else:
            arguments = [] if node.func.attr == "Column" else node.args[: 2 if node.func.attr == "progress" else 1]
        named = [word.value for word in node.keywords if word.arg in TEXTS[node.func.attr]]
        if node.func.attr in ("NumberColumn", "progress", "page_link"):
            arguments = arguments[1:] + (node.args[1:2] if node.func.attr == "page_link" else [])
        for argument in [*arguments, *named]:
            found += [f"{place}:{node.lineno} {part}" for part in unsafe_parts(argument, OURS.get(place, set()))]
    return found


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_text_is_ours_or_escaped(path: Path) -> None:
    assert unsafe_texts(path) == []


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("st.warning(error)", False),
        ("st.caption(f'a {name}')", False),
        ("st.caption(f'a {plain(name)}, {n:,}, {counted(n, 0)}')", True),
        ("st.button('a', help=reason)", False),
        ("st.markdown(' '.join(plain(x) for x in y))", True),
        ("st.markdown(' '.join(y))", False),
        ("st.table(table)", False),
        ("st.table(plain_table(table))", True),
        ("st.info(TEXT)", True),
        ("st.info(TEXT.format(name))", False),
    ],
)
def test_a_text_that_is_neither_is_noticed(tmp_path: Path, line: str, safe: bool) -> None:
    (tmp_path / "page.py").write_text(line)
    assert (unsafe_texts(tmp_path / "page.py") == []) == safe
