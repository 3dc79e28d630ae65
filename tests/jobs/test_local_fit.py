"""A stored model fitted to local X-rays: the new model, its card, and what is left out."""

import csv
import shutil

import numpy as np
import pytest

from cxr.datasets.dataset import open_datasets
from cxr.datasets.quality.copies import store_copies
from cxr.evaluation.calibration import apply_temperature
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
from cxr.evaluation.scores import probabilities_of, read_films, read_scores
from cxr.inference.loading import load_classifier
from cxr.jobs.local_fit import FitSettings, fit_model
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from cxr.registry.verification import load_verified
from tests.support.datasets import raises_code
from tests.support.small_models import CLASSES, TABLE, random_arrays, small_recipe

SPECIFIC = FitSettings(OperatingTarget(TargetKind.SPECIFICITY, 0.8))


def silent(done, total, what=""):
    pass


@pytest.fixture(scope="module")
def fitted_once(tmp_path_factory, phantoms):
    """A home with a model of weights at random and its fit, not to be changed; the card of the one, the report."""
    home = tmp_path_factory.mktemp("fitted") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        recipe = small_recipe()
        draft = ModelDraft(name="tiny", classes=CLASSES)
        before = registry.store(registry.NewModel(draft, recipe, random_arrays(recipe), TABLE))
        return home, before, fit_model("tiny", "fitted", [str(phantoms)], SPECIFIC, silent)


@pytest.fixture
def fitted(fitted_once, home):
    """The card before and the report of that fit, in a home of this test alone."""
    shutil.copytree(fitted_once[0], home, dirs_exist_ok=True)
    return fitted_once[1:]


def test_the_fitted_model_reads_local_x_rays_as_its_card_says_and_the_old_one_is_unchanged(fitted, phantoms):
    before, report = fitted
    assert registry.get_card("tiny") == before
    card = registry.get_card("fitted")
    assert card.local_fit == report.record
    assert (card.local_fit.parent, card.local_fit.parent_version) == ("tiny", before.version)
    table = open_datasets([str(phantoms)]).table
    people = {label: set(films["patient_id"]) for label, films in table.groupby("label")}
    ill = len(people["bacterial"] | people["viral"])
    assert card.local_fit.patients == {"normal": len(people["normal"]), "finding": ill}
    assert card.threshold == report.threshold
    assert card.results.by_role["val"].n == 120
    films = open_datasets([str(phantoms)])
    normal = [films.read(i) for i in range(len(films)) if films.labels.iloc[i] == "normal"]
    predictions = list(load_classifier("fitted", "float32").read_many(normal))
    share = np.mean([1 - prediction.probabilities[0] < card.threshold for prediction in predictions])
    assert share == pytest.approx(0.8, abs=0.12)


def test_the_card_shows_the_fit(fitted, cxr):
    _, report = fitted
    code, out, _ = cxr("models", "show", "fitted")
    assert code == 0
    assert "specificity of 80%" in out
    assert f"{report.record.after.specificity.value:.3f}" in out
    assert "Fitted to" not in cxr("models", "show", "tiny")[1]


def test_an_x_ray_read_by_the_fitted_model_has_a_prediction_set(fitted, phantoms, cxr, answer, tmp_path):
    film = phantoms / "images" / "phantom-00000.png"
    told = [cxr("predict", film, "--model", model, "--show-rejected")[1] for model in ("tiny", "fitted")]
    assert ["Prediction set (target coverage 90%): " in text for text in told] == [False, True]
    (reading,) = answer("predict", film, "--model", "fitted", "--show-rejected", "--csv", tmp_path / "readings.csv")
    (row,) = csv.DictReader((tmp_path / "readings.csv").read_text("utf-8").splitlines())
    assert row["prediction_set"] == ("; ".join(reading["prediction_set"]) or "(empty)")
    assert set(reading["prediction_set"]) <= {"normal", "finding", *registry.get_card("fitted").classes}
    assert "prediction_set" not in answer("predict", film, "--model", "tiny", "--show-rejected")[0]


def test_scores_that_the_fit_has_made_wrong_are_gone_and_their_films_stay_known(fitted):
    _, report = fitted
    old = read_films(load_verified("tiny").evaluation)
    stored_bytes = load_verified("fitted").evaluation
    new, scored = read_films(stored_bytes), read_scores(stored_bytes)
    assert set(old["path"]) <= set(new["path"])
    assert (scored["role"] == "val").sum() == 120
    kept = scored[scored["path"].isin(old["path"]) & (scored["role"] == "test")]
    if report.record.last_layer:
        assert not len(kept)
    else:
        classes = registry.get_card("tiny").classes
        expected = apply_temperature(probabilities_of(old, classes), report.record.temperature)
        np.testing.assert_allclose(probabilities_of(kept, classes), expected, atol=2e-6)


def test_known_copies_are_one_patient_of_a_fit(stored, phantoms):
    stored("tiny")
    films = open_datasets([str(phantoms)])
    normal = films.table[films.labels == "normal"].drop_duplicates("patient_id").index
    store_copies(films, [[int(normal[0]), int(normal[1])], [int(normal[2]), int(normal[3])]])
    report = fit_model("tiny", None, [str(phantoms)], SPECIFIC, silent)
    assert report.record.patients["normal"] == len(normal) - 2


def test_films_of_the_training_are_left_out(fitted, phantoms):
    with raises_code("dataset.nothing-to-fit"):
        fit_model("fitted", "again", [str(phantoms)], SPECIFIC, silent)


def test_the_command_prints_figures_before_and_after_and_stores_nothing_without_a_name(stored, phantoms, home, answer):
    stored("tiny")
    report = answer("models", "fit", "tiny", "--data", phantoms, "--sensitivity", "0.9")
    assert report["model"] is None
    assert report["fit"]["target"] == "sensitivity of 90%"
    assert 0 <= report["fit"]["after"]["sensitivity"]["low"] <= report["fit"]["after"]["sensitivity"]["high"] <= 1
    assert [card.name for card in registry.list_models().cards] == ["tiny"]
