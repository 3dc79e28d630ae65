"""An audit finds what was planted into drawn films, and nothing where nothing was."""

import json

import numpy as np
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.shortcuts import sampling
from cxr.evaluation.shortcuts.findings import REGION_NAMES
from cxr.evaluation.shortcuts.measurement import VIEWS, measure
from cxr.evaluation.shortcuts.verdict import verdict_on
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom_set
from tests.support.score_tables import tiny_classifier

FILMS, SIZE_PX = 120, 64


def drawn(folder, plant=None, seed=0, films=FILMS):
    return Dataset.open(draw_phantom_set(folder, films, seed=seed, size_px=SIZE_PX, shortcut=plant)).with_column(
        "role", ""
    )


@pytest.fixture(scope="module")
def classifier():
    return tiny_classifier(FINDINGS, SIZE_PX)


@pytest.fixture(scope="module")
def plain(classifier, tmp_path_factory):
    steps = []
    films = drawn(tmp_path_factory.mktemp("plain") / "set")
    return measure(classifier, films, lambda *step: steps.append(step)), steps


@pytest.mark.parametrize(
    ("plant", "named"), [("corner", "corners"), ("border", "border"), ("brightness", "brightness")]
)
def test_a_planted_shortcut_is_shown_and_named(classifier, tmp_path, plant, named):
    verdict = verdict_on(measure(classifier, drawn(tmp_path / "set", plant), lambda *step: None))
    assert verdict.level == "shown", verdict
    assert REGION_NAMES[named] in verdict.sentence
    assert any(REGION_NAMES[named].lower() in reason.lower() for reason in verdict.reasons)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_plant_none_is_found(classifier, tmp_path, seed):
    verdict = verdict_on(measure(classifier, drawn(tmp_path / "set", seed=seed), lambda *step: None))
    assert verdict.level == "none found", verdict


def test_the_disease_is_told_by_the_lungs_alone_and_not_without_them(plain):
    told = {one.name: one.auc for one in plain[0].heads}
    assert list(told) == [*VIEWS, "thumbnail"]
    assert told["lungs only"].low > 0.75 and told["lungs hidden"].low < 0.55


def test_what_was_looked_at_is_told(plain):
    found, steps = plain
    assert (found.films, found.patients, found.lungs, found.by_role) == (FILMS, 92, "outline", {"": FILMS})
    assert found.by_source == {"phantom": dict.fromkeys(sorted(FINDINGS), 30)}
    assert (found.source, found.together, found.sources) == (None, None, ())
    assert [one.name for one in found.probes] == ["corners", "border", "brightness", "sharpness"]  # all of one shape
    assert steps[0] == (0, FILMS) and (FILMS, FILMS) in steps
    assert {step[2] for step in steps if len(step) > 2} == {
        "Training light heads",
        "Shuffling the weights",
        "Hiding parts of films",
    }
    json.loads(found.model_dump_json())


def test_the_share_of_heat_is_told_by_label_beside_that_of_an_even_map(plain):
    assert [heat.label for heat in plain[0].heat] == sorted(FINDINGS)
    for heat in plain[0].heat:
        assert heat.lungs == "outline" and heat.share.low < heat.share.value < heat.share.high
        assert 0.2 < heat.uniform < 0.4


def test_one_film_without_an_outline_and_all_are_hidden_by_the_box(classifier, tmp_path):
    films = drawn(tmp_path / "set", films=80)
    (tmp_path / "set" / films.table["lungs"].iat[0]).unlink()
    found = measure(classifier, films, lambda *step: None)
    assert found.lungs == "box" and {heat.lungs for heat in found.heatmap_shares} == {"outline"}


def test_films_that_cannot_be_read_are_told(classifier, tmp_path):
    films = drawn(tmp_path / "set", films=80)
    (tmp_path / "set" / films.table["path"].iat[0]).write_bytes(b"no film")
    found = measure(classifier, films, lambda *step: None)
    assert found.films == 79 and found.notes == ("1 films could not be read.",)


def test_a_class_that_goes_with_its_source_is_told(classifier, tmp_path):
    films = drawn(tmp_path / "set")
    source = np.where(films.labels == "normal", "north", "south")
    found = measure(classifier, films.with_column("source", source), lambda *step: None)
    assert found.class_by_source.value == pytest.approx(1, abs=0.02) and found.source is not None
    north, south = found.sources
    assert (north.name, north.films, south.name, south.films) == ("north", 30, "south", 90)
    assert np.isnan(north.auc_within.value) and np.isnan(north.auc_held_out.value)  # one class alone has no AUC
    verdict = verdict_on(found)
    assert verdict.level == "suspected" and "Class and source go together" in verdict.reasons[0]


def test_sources_that_all_have_the_same_films_do_not_go_with_the_class(classifier, tmp_path):
    films = drawn(tmp_path / "set")
    source = np.where(films.patients.str[-1].isin(list("01234")), "north", "south")
    found = measure(classifier, films.with_column("source", source), lambda *step: None)
    assert found.class_by_source.high < 0.5 and found.source.auc.low < 0.6
    for one in found.sources:
        assert one.auc_held_out.high > 0.6 and one.auc_within.value > 0.6 and one.accuracy_held_out.high > 0.25
    assert verdict_on(found).level == "none found"


def test_too_few_films_are_refused_with_what_there_is(classifier, tmp_path):
    with pytest.raises(DatasetError, match="3 of normal"):
        measure(classifier, drawn(tmp_path / "set", films=16), lambda *step: None)


def test_no_more_films_are_looked_at_than_the_limit(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 16)
    assert measure(classifier, drawn(tmp_path / "set"), lambda *step: None).films == 64


def test_childrens_normals_against_adults_covid19_are_called_shown(films):
    """Published models took the one from one hospital's children and the other from adults of many others."""
    children, adults = Dataset.open(films / "kermany"), Dataset.open(films / "covid-chestxray")
    children = children.where((children.labels == "normal") & (children.table["split"] == "train"))
    adults = adults.where((adults.labels == "covid19") & (adults.table["view"] != "L"))
    both = Dataset.join([children, adults]).with_column("role", "")
    found = measure(tiny_classifier(("normal", "covid19"), SIZE_PX), both, lambda *step: None)
    verdict = verdict_on(found)
    assert verdict.level == "shown", verdict
    assert found.class_by_source.low > 0.95 and any(
        "Class and source go together" in reason for reason in verdict.reasons
    )
