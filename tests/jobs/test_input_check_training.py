"""Input checks are trained at the end of a run, or later with the films of that run alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.scores import read_scores
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.inference.loading import load_classifier
from cxr.jobs import run_store
from cxr.jobs.input_check_training import NOT_TRAINED, TrainedInputCheck, add_input_check, train_input_check
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.train import Stages
from cxr.learning.journal import Phase
from cxr.learning.training import TrainingResult
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe


def test_a_training_gives_its_model_an_input_check_with_a_record_on_the_card(trained: Path, phantoms: Path) -> None:
    card, classifier = registry.get_card("first"), load_classifier("first", "float32")
    assert card.gate is not None
    assert card.gate.films == sum(card.films["train"].values())
    assert card.gate.held_out == sum(card.films["val"].values())
    assert card.gate.kinds["frontal"] == 2 * card.gate.films
    paths = read_scores(registry.evaluation_path("first")).query("role == 'val'")["path"]
    checks = [
        prediction.input_check for prediction in classifier.read_many(Film.read(phantoms / path) for path in paths)
    ]
    accepted = sum(check is not None and not check.rejected for check in checks)
    assert accepted == card.gate.let_through >= 0.9 * len(checks)


def test_a_run_stopped_meanwhile_stores_its_model_without_an_input_check(home: Path, phantoms: Path) -> None:
    notes: list[str] = []

    def stopped(
        recipe: Recipe, result: TrainingResult, everything: Dataset, journal: RunJournal
    ) -> TrainedInputCheck | None:
        run_store.stop(journal.run)
        check = train_input_check(recipe, result, everything, journal)
        notes.append(journal._status.sentence)
        return check

    run = carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], stages=Stages(train_input_check=stopped))
    assert notes == [NOT_TRAINED]
    assert run.status.model == "tiny"
    assert registry.get_card("tiny").gate is None
    assert load_classifier("tiny").input_check is None


def test_a_model_without_an_input_check_gets_one_from_its_own_training_films(
    home: Path, phantoms: Path, tmp_path: Path
) -> None:
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], stages=WITHOUT_INPUT_CHECK)
    assert registry.get_card("tiny").gate is None
    progress: list[tuple[Any, ...]] = []
    card = add_input_check("tiny", [str(phantoms)], lambda *step: progress.append(step))
    assert card == registry.get_card("tiny")
    assert card.gate is not None
    assert card.gate.films == sum(card.films["train"].values())
    done, total, title = progress[-1]
    assert done == total
    assert title == Phase.TRAINING_INPUT_CHECK.capitalize()
    assert load_classifier("tiny").input_check is not None
    draw_phantom_set(tmp_path / "others", 8, seed=77, size_px=64)
    with pytest.raises(DatasetError) as error:
        add_input_check("tiny", [str(tmp_path / "others")], lambda *_: None)
    assert error.value.code == "dataset.no-training-images"
