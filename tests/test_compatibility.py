"""What version 0.1 wrote still works: its home folder, its exported model, its command lines, its page addresses."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.inference.reader_responses import saved_responses
from cxr.registry import registry

DATA = Path(__file__).parent / "data"  # written by version 0.1.0: 60 synthetic films of 32 px, a model of a few filters
PAGES = Path(__file__).parents[1] / "pages"
CommandLine = Callable[..., tuple[int, str, str]]
Answer = Callable[..., Any]


@pytest.fixture
def old_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the home folder that version 0.1 left behind."""
    monkeypatch.delenv("CXR_DATA", raising=False)
    with zipfile.ZipFile(DATA / "home-0.1.zip") as archive:
        archive.extractall(home)
    return home


def test_its_models_are_listed_with_the_default_and_their_cards(old_home: Path, answer: Answer) -> None:
    listed = answer("models", "list")["models"]
    assert {row["name"] for row in listed} == {"first", "second"}
    assert registry.list_models().damaged == {}
    card = answer("models", "show", "first")
    assert card["results"]["test"]["binary"]["auc"] > 0
    assert card["gate"]["films"] > 0


def test_a_film_is_read_with_the_old_model(old_home: Path, answer: Answer) -> None:
    film = next((old_home / "data" / "phantoms" / "images").iterdir())
    (reading,) = answer("predict", film, "--model", "second")
    assert sum(reading["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert set(reading["gate"]) == {"refused", "reasons"}


def test_old_evaluations_audits_and_responses_are_found(old_home: Path, answer: Answer) -> None:
    from cxr.evaluation.shortcuts.audit_file import load_audit
    from cxr.evaluation.stored_evaluations import stored_evaluations

    card = registry.get_card("first")
    assert "phantoms" in " ".join(stored.name for stored in stored_evaluations(card))
    assert load_audit(card) is not None
    assert [response.answer for response in saved_responses()] == ["agree"]
    assert [entry.name for entry in catalog.entries()] == ["phantoms"]


def test_old_runs_are_listed_shown_and_deleted(old_home: Path, answer: Answer, cxr: CommandLine) -> None:
    (run,) = answer("runs", "list")
    shown = answer("runs", "show", run["run"])
    assert shown["state"] == "finished"
    assert cxr("runs", "delete", run["run"])[0] == 0


def test_the_old_audit_trail_is_read(old_home: Path, answer: Answer) -> None:
    lines = answer("trail", "--last", "100")
    assert len(lines) >= 8
    assert {line["model"] for line in lines} >= {"first", "second"}


@pytest.mark.parametrize(
    "words",
    [
        "models promote second",
        "models rollback",
        "models rename second third",
        "models revise first fourth --set decision.rule=sensitivity",
        "models delete second",
        "evaluate --data {data} --model first --intervals --by source",
        "evaluate --data {data} --model first --split all",
        "compare first second --data {data}",
        "audit-model first --data {data}",
        "audit {data}",
        "models gate second --data {data}",
        "train {recipe} --data {data} --name again --set training.epochs=1 --set trunk.weights=shelf:first",
    ],
)
def test_an_old_command_line_still_works(old_home: Path, cxr: CommandLine, words: str) -> None:
    recipe = old_home / "models" / "first" / "recipe.toml"
    data = old_home / "data" / "phantoms"
    code, _, errors = cxr(*(word.format(data=data, recipe=recipe) for word in words.split()))
    assert code == 0, errors


def test_a_model_that_was_exported_by_it_is_imported_and_exported(
    home: Path, answer: Answer, cxr: CommandLine, tmp_path: Path
) -> None:
    assert cxr("models", "import", DATA / "first-0.1.zip", "--name", "carried")[0] == 0
    assert answer("models", "list")["models"][0]["name"] == "carried"
    assert cxr("models", "export", "carried", tmp_path / "again.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "again.zip", "--name", "twice")[0] == 0


@pytest.mark.parametrize("page", ["predict", "evaluate", "train", "models", "data", "jobs"])
def test_every_page_shows_an_old_home(old_home: Path, page: str) -> None:
    app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60).run()
    assert not app.exception
    assert [error.value for error in app.error] == []


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("predict", {"model": "second"}),
        ("evaluate", {"model": "second", "show": "Calibration"}),
        ("train", {"recipe": "vgg16-default"}),
        ("models", {"model": "second"}),
        ("data", {"dataset": "phantoms"}),
    ],
)
def test_an_old_address_leads_to_the_same_choice(old_home: Path, page: str, query: dict[str, str]) -> None:
    app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert [error.value for error in app.error] == []
    if "model" in query:
        assert "second" in [box.value for box in app.selectbox if isinstance(box.value, str)] or page == "models"


def test_cards_of_the_project_s_model_are_those_that_it_was_shipped_with() -> None:
    shipped = Path(__file__).parents[1] / "models" / "vgg16-broad" / "card.json"
    assert json.loads(shipped.read_text("utf-8"))["version"] == "938eed4e9e32"


def test_a_broken_off_import_leaves_the_home_as_it_was(old_home: Path, cxr: CommandLine, tmp_path: Path) -> None:
    half = tmp_path / "half.zip"
    shutil.copy(DATA / "first-0.1.zip", half)
    half.write_bytes(half.read_bytes()[:20_000])
    assert cxr("models", "import", half, "--name", "half")[0] == 7
    assert {card.name for card in registry.list_models().cards} == {"first", "second"}
