"""Every path that starts from a stored model verifies each of its files first; one changed byte is enough."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import model_results
from cxr.evaluation.revision import revise
from cxr.evaluation.scores import read_scores
from cxr.evaluation.shortcuts.audit_file import load_audit, save_audit
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.exchange.model_formats import export_format
from cxr.inference.loading import load_classifier
from cxr.learning.starting_weights import load_starting_weights
from cxr.registry import default_model, package, registry
from cxr.registry.card import CARD, EVALUATION, INPUT_CHECK, RECIPE, SHORTCUTS, WEIGHTS, Card, ModelDraft, Statement
from cxr.registry.recipe import Recipe
from cxr.registry.verification import load_verified
from cxr.registry.weights_file import to_bytes
from tests.support.score_tables import audit_measurements
from tests.support.small_models import CLASSES, MakeInputCheck, random_arrays, random_input_check, small_recipe

HASHED = (WEIGHTS, RECIPE, EVALUATION, INPUT_CHECK, SHORTCUTS)
LABELS = LabelSpace(CLASSES)


def scores_table(films: int = 60) -> str:
    """Scores of as many validation as test films, a patient each."""
    rng = np.random.default_rng(0)
    rows = []
    for film in range(films):
        probabilities = rng.dirichlet(np.ones(3) + 4 * np.eye(3)[film % 3])
        role = "val" if film % 2 else "test"
        cells = ",".join(f"{value:.6f}" for value in probabilities)
        rows.append(
            f"films,{film}.png,{film},{hashlib.sha256(bytes([film])).hexdigest()},{CLASSES[film % 3]},a,{role},{cells}"
        )
    header = "dataset,path,patient,film,label,source,role," + ",".join(f"p_{name}" for name in CLASSES)
    return "\n".join([header, *rows, ""])


@pytest.fixture(scope="module")
def complete_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two models, "default" and "tiny", that have every file that a model can have."""
    home = tmp_path_factory.mktemp("complete")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        recipe, table = small_recipe(), scores_table()
        check, record = random_input_check()
        results = model_results(read_scores(table.encode()), LABELS, 0.5)
        facts = ModelDraft(name="default", classes=CLASSES, threshold=0.5, results=results, gate=record)
        for name in ("default", "tiny"):
            draft = facts.model_copy(update={"name": name})
            registry.store(registry.NewModel(draft, recipe, random_arrays(recipe), table, check.arrays()))
        card = registry.get_card("tiny")
        save_audit(card, conclude(card, audit_measurements()))
    return home / "models"


@pytest.fixture
def model(home: Path, complete_models: Path) -> Path:
    """The folder of the model "tiny" in the test's own copy of that home."""
    return shutil.copytree(complete_models, home / "models") / "tiny"


def as_version_0_1_wrote_it(folder: Path) -> None:
    """Take from the card what version 0.1 did not know."""
    newer = ("recipe_sha256", "evaluation_sha256", "shortcuts_sha256")
    card = {key: value for key, value in json.loads((folder / CARD).read_text()).items() if key not in newer}
    (folder / CARD).write_text(json.dumps(card | {"format": 1}))


def change_a_byte(path: Path) -> None:
    """Turn one digit, or one bit where there is none, in the middle of the file."""
    data = bytearray(path.read_bytes())
    digits = [place for place in range(len(data) // 2, len(data)) if data[place : place + 1].isdigit()]
    if path.suffix == ".npz":
        data[len(data) // 2] ^= 1
    else:
        data[digits[0]] = ord("1") if data[digits[0]] != ord("1") else ord("2")
    path.write_bytes(data)


def fine_tune(tmp_path: Path) -> object:
    from cxr.learning.network import build

    recipe = Recipe.from_table({"input": {"size_px": 32}, "trunk": {"backbone": "tiny", "weights": "shelf:tiny"}})
    return load_starting_weights(build(recipe, 3).model, recipe)


PATHS: dict[str, Callable[[Path], Any]] = {
    "verify": lambda tmp_path: load_verified("tiny"),
    "load": lambda tmp_path: load_classifier("tiny", "float32"),
    "fine-tune": fine_tune,
    "revise": lambda tmp_path: revise("tiny", "revised", ["decision.rule=sensitivity", "decision.sensitivity=0.5"]),
    "export": lambda tmp_path: package.export_model("tiny", tmp_path / "tiny.zip"),
    "convert": lambda tmp_path: export_format("tiny", "keras"),
    "promote": lambda tmp_path: default_model.promote("tiny"),
    "rename": lambda tmp_path: registry.rename("tiny", "renamed"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_model_that_nobody_changed_goes_every_path(model: Path, tmp_path: Path, path: str) -> None:
    PATHS[path](tmp_path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("member", HASHED)
def test_a_changed_byte_of_any_file_closes_every_path(model: Path, tmp_path: Path, path: str, member: str) -> None:
    change_a_byte(model / member)
    with pytest.raises(RegistryError) as raised:
        PATHS[path](tmp_path)
    assert raised.value.code == "registry.hash"
    assert sorted(registry.names()) == ["default", "tiny"]
    assert default_model.default_name() == "default"
    assert not (tmp_path / "tiny.zip").exists()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("member", [WEIGHTS, INPUT_CHECK])
def test_weights_and_input_check_of_a_model_of_version_0_1_are_verified_as_well(
    model: Path, tmp_path: Path, path: str, member: str
) -> None:
    as_version_0_1_wrote_it(model)
    change_a_byte(model / member)
    with pytest.raises(RegistryError) as raised:
        PATHS[path](tmp_path)
    assert raised.value.code == "registry.hash"


CARD_CHANGES: dict[str, dict[str, Any]] = {
    "name": {"name": "other"},
    "classes": {"classes": ["normal", "viral", "bacterial"]},
    "number of classes": {"classes": ["normal", "viral"]},
    "size": {"size_px": 64},
    "recipe": {"recipe": "another"},
    "version": {"version": "0" * 12},
    "threshold": {"threshold": 1.5},
    "an unknown field": {"surprise": 1},
    "a digest": {"weights_sha256": "0" * 64},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("change", CARD_CHANGES)
def test_a_card_that_no_longer_fits_its_files_or_its_own_results_closes_every_path(
    model: Path, tmp_path: Path, path: str, change: str
) -> None:
    card = json.loads((model / CARD).read_text())
    (model / CARD).write_text(json.dumps(card | CARD_CHANGES[change]))
    with pytest.raises(RegistryError):
        PATHS[path](tmp_path)


RECIPE_CHANGES = {
    "not TOML": ("[", "("),
    "an unknown key": ("[head]", "[head]\nsurprise = 1"),
    "another size": ("size_px = 32", "size_px = 33"),
    "another backbone": ('backbone = "tiny"', 'backbone = "resnet18"'),
    "another head": ("dense = []", "dense = [7]"),
    "another output": ('output = "softmax"', 'output = "sigmoid"'),
    "another name": ('name = "tiny"', 'name = "other"'),
}


@pytest.mark.parametrize("change", RECIPE_CHANGES)
def test_a_recipe_without_a_digest_is_held_against_card_and_weights(model: Path, tmp_path: Path, change: str) -> None:
    as_version_0_1_wrote_it(model)
    text = (model / RECIPE).read_text()
    assert RECIPE_CHANGES[change][0] in text
    (model / RECIPE).write_text(text.replace(*RECIPE_CHANGES[change]))
    with pytest.raises(RegistryError) as raised:
        load_verified("tiny")
    assert raised.value.code in ("registry.recipe", "registry.inconsistent", "registry.shapes")


def test_a_table_without_a_digest_that_is_no_longer_one_of_scores_is_not_revised_or_exported(
    model: Path, tmp_path: Path
) -> None:
    as_version_0_1_wrote_it(model)
    (model / EVALUATION).write_text((model / EVALUATION).read_text().replace(",test,0.", ",test,7.", 1))
    for path in ("revise", "export"):
        with pytest.raises(RegistryError) as raised:
            PATHS[path](tmp_path)
        assert raised.value.code == "registry.evaluation"


def test_a_changed_audit_is_not_shown_and_one_without_a_digest_must_be_of_the_model_s_version(model: Path) -> None:
    card = registry.get_card("tiny")
    assert load_audit(card) is not None
    whole = (model / SHORTCUTS).read_text()
    change_a_byte(model / SHORTCUTS)
    assert load_audit(card) is None
    as_version_0_1_wrote_it(model)
    (model / SHORTCUTS).write_text(whole.replace(card.version, "0" * 12))
    assert load_audit(card) is None
    (model / SHORTCUTS).write_text(whole)
    assert load_audit(card) is not None


def digests_on_cards(models: Path) -> set[str]:
    """The SHA-256 of every file on every card, of hidden folders and leftovers too."""
    return set(re.findall(r"\b[0-9a-f]{64}\b", " ".join(card.read_text() for card in models.rglob(CARD))))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("member", HASHED)
def test_a_changed_file_gets_no_new_digest_on_any_path(model: Path, tmp_path: Path, path: str, member: str) -> None:
    before = digests_on_cards(model.parent)
    change_a_byte(model / member)
    with suppress(RegistryError):
        PATHS[path](tmp_path)
    assert digests_on_cards(model.parent) == before
    assert hashlib.sha256((model / member).read_bytes()).hexdigest() not in before


def test_what_is_added_to_a_model_gives_its_changed_weights_no_new_digest(model: Path) -> None:
    change_a_byte(model / WEIGHTS)
    check, record = random_input_check(seed=1)
    card = registry.get_card("tiny")
    statement = {name: "" for name in Statement.model_fields} | {"test_looks": 1}
    registry.attach_input_check("tiny", check.arrays(), record, None)
    save_audit(card, conclude(card, audit_measurements()))
    after = registry.set_statement("tiny", Statement.model_validate(statement))
    assert after.weights_sha256 == card.weights_sha256
    with pytest.raises(RegistryError) as raised:
        load_verified("tiny")
    assert raised.value.code == "registry.hash"


def test_arrays_are_parsed_from_the_bytes_that_were_hashed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_file = os.open

    def counted(path: Path, *arguments: Any) -> int:
        opened.append(Path(path).name)
        return open_file(path, *arguments)

    monkeypatch.setattr(os, "open", counted)
    stored = load_verified("tiny")
    assert set(stored.arrays) >= {"logits/kernel", "block1_conv1/kernel"}
    assert [opened.count(member) for member in HASHED] == [1] * len(HASHED)


def test_a_stored_model_of_wrong_shapes_is_refused_before_tensorflow_is_needed(
    home: Path, draft: Callable[..., ModelDraft], tiny_recipe: Callable[..., Recipe]
) -> None:
    recipe = tiny_recipe()
    short = {name: array for name, array in random_arrays(recipe).items() if name != "block2_conv1/bias"}
    card: Card = registry.store(registry.NewModel(draft(), recipe, short, scores_table()))
    with pytest.raises(RegistryError) as raised:
        load_verified(card.name)
    assert raised.value.code == "registry.shapes"


@pytest.mark.parametrize("path", ["verify", "load", "fine-tune", "export", "promote", "rename", "revise"])
@pytest.mark.parametrize(("value", "kind"), [(np.nan, np.float32), (-np.inf, np.float16), (1e39, np.float64)])
def test_weights_that_are_not_finite_are_refused_although_the_card_has_their_digest(
    model: Path, tmp_path: Path, path: str, value: float, kind: type
) -> None:
    with np.load(model / WEIGHTS) as file:
        arrays = {name: array.astype(kind) for name, array in file.items()}
    arrays["logits/bias"][1] = value
    data = to_bytes(arrays)
    (model / WEIGHTS).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    card = json.loads((model / CARD).read_text()) | {"weights_sha256": digest, "version": digest[:12]}
    (model / CARD).write_text(json.dumps(card))
    with pytest.raises(RegistryError) as raised:
        PATHS[path](tmp_path)
    assert raised.value.code == "registry.not-finite"


def test_an_input_check_for_another_network_is_refused(model: Path, make_input_check: MakeInputCheck) -> None:
    check, record = make_input_check(features=12)
    registry.attach_input_check("tiny", check.arrays(), record, None)
    with pytest.raises(RegistryError) as raised:
        load_verified("tiny")
    assert raised.value.code == "registry.input-check"
