"""Cards for others hold what the model's card holds and nothing more, and a hub's folder loads in plain Keras."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr.exchange.model_cards.checklists import BY_THE_AUTHORS, CHECKLISTS, filled_in, load_checklist
from cxr.exchange.model_cards.facts import model_facts
from cxr.exchange.model_cards.readable import hugging_face_card, markdown_card, write_hugging_face_folder
from cxr.films.film import Film
from cxr.inference.loading import load_classifier
from cxr.registry.card import Card

Cxr = Callable[..., tuple[int, str, str]]
PROJECT = Path(__file__).parents[3]
SHIPPED = "vgg16-broad"


@pytest.fixture
def shipped_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_HOME", raising=False)


def rows(text: str) -> dict[str, str]:
    """The answers of a checklist by the numbers of their items."""
    cells = [re.split(r"(?<!\\)\|", line) for line in text.splitlines() if re.match(r"\| \d", line)]
    return {row[1].strip(): row[4].strip() for row in cells}


def test_the_checklists_have_all_their_items() -> None:
    claim, tripod = load_checklist("claim"), load_checklist("tripod")
    assert [item.number for item in claim.items] == [str(number) for number in range(1, 45)]
    assert len({item.number for item in tripod.items}) == len(tripod.items) == 52
    assert {int(re.sub(r"\D", "", item.number)) for item in tripod.items} == set(range(1, 28))


@pytest.mark.usefixtures("shipped_home")
@pytest.mark.parametrize("name", CHECKLISTS)
def test_a_checklist_answers_what_the_card_holds_and_leaves_the_rest(name: str) -> None:
    facts = model_facts(SHIPPED)
    assert facts.card.statement
    assert facts.answers["data_sources"] == facts.card.statement.data
    checklist = load_checklist(name)
    answers = rows(filled_in(checklist, facts.answers, SHIPPED))
    assert list(answers) == [item.number for item in checklist.items]
    for item in checklist.items:
        assert (BY_THE_AUTHORS in answers[item.number]) == (item.answer not in facts.answers)
    for number in ("44", "5", "34") if name == "claim" else ("17", "18a", "19"):
        assert BY_THE_AUTHORS in answers[number]
    written = answers["38" if name == "claim" else "23a"]
    test = facts.card.results.test
    assert test
    assert test.binary
    assert test.binary.auc is not None
    assert test.accuracy is not None
    assert f"{test.binary.auc if name == 'claim' else test.accuracy:.3f}" in written


def test_every_answer_that_a_checklist_names_is_one_that_a_card_can_have(
    monkeypatch: pytest.MonkeyPatch, shipped_home: None
) -> None:
    known = {*model_facts(SHIPPED).answers, "missing_data", "local_fit", "ages"}
    for name in CHECKLISTS:
        assert {item.answer for item in load_checklist(name).items if item.answer} <= known


def test_a_model_without_statement_and_results_claims_nothing(stored: Callable[..., Card]) -> None:
    card = stored("bare")
    facts = model_facts("bare")
    unknown = {"intended_use", "performance", "diagnostic_performance", "internal_test", "robustness"}
    assert not unknown & set(facts.answers)
    answers = rows(filled_in(load_checklist("claim"), facts.answers, "bare"))
    for number in ("3", "7", "30", "32", "33", "37", "38", "39"):
        assert BY_THE_AUTHORS in answers[number]
    text = markdown_card(facts)
    assert BY_THE_AUTHORS in text
    assert "AUC" not in text
    assert card.version in text
    assert "model-index" not in hugging_face_card(facts)


def test_markdown_of_others_has_no_effect(stored: Callable[..., Card], monkeypatch: pytest.MonkeyPatch) -> None:
    stored("bare")
    facts = model_facts("bare")
    facts.answers["data_sources"] = "[x](http://a.example) | <b>a</b>\n# heading"
    text = filled_in(load_checklist("claim"), facts.answers, "bare")
    assert rows(text)["7"] == "\\[x\\](http://a.example) \\| \\<b\\>a\\</b\\> \\# heading"
    assert "\n# heading" not in markdown_card(facts)


@pytest.mark.usefixtures("shipped_home")
def test_the_hub_card_names_library_task_and_results() -> None:
    facts = model_facts(SHIPPED)
    text = hugging_face_card(facts)
    start, front, _ = text.split("---\n", 2)
    assert start == ""
    metadata = {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in front.splitlines()}
    assert (metadata["library_name"], metadata["pipeline_tag"]) == ("keras", "image-classification")
    metrics = {m["type"]: m["value"] for m in metadata["model-index"][0]["results"][0]["metrics"]}
    assert facts.card.results.test
    assert metrics["accuracy"] == facts.card.results.test.accuracy


def test_the_hub_folder_loads_in_plain_keras_and_gives_the_models_probabilities(
    stored: Callable[..., Card], tmp_path: Path
) -> None:
    stored("bare")
    folder = tmp_path / "hub"
    written = write_hugging_face_folder(model_facts("bare"), folder)
    assert sorted(path.name for path in written) == ["README.md", "card.json", "config.json", "model.keras"]
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import json, sys, keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "x = np.load('../pixels.npy').astype('float32')[None, ..., None]\n"
        "print(json.dumps(model.predict(x, verbose=0)[0].tolist()))\n"
        "assert not any(name.split('.')[0] == 'cxr' for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    expected = load_classifier("bare", "float32").read(Film.from_pixels(pixels)).probabilities
    assert np.allclose(json.loads(done.stdout.splitlines()[-1]), expected, atol=1e-4)
    assert json.loads((folder / "config.json").read_text())["classes"] == ["normal", "bacterial", "viral"]


@pytest.mark.parametrize("kind", ["markdown", "huggingface", "claim", "tripod", "json"])
def test_the_command_writes_every_format(stored: Callable[..., Card], cxr: Cxr, tmp_path: Path, kind: str) -> None:
    card = stored("bare")
    code, out, err = cxr("models", "card", "bare", "--format", kind)
    assert (code, err) == (0, "")
    assert card.version in out
    if kind != "huggingface":
        file = tmp_path / "card.txt"
        assert cxr("models", "card", "bare", "--format", kind, "--out", file)[0] == 0
        assert file.read_text() == out
    else:
        file = tmp_path / "taken"
        file.write_text("")
        assert cxr("models", "card", "bare", "--format", kind, "--out", file)[0] == 10
