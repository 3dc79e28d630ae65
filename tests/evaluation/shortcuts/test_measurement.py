"""An audit of synthetic films finds a planted shortcut, and nothing without one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.shortcuts.audited_films import OUTLINING_LUNGS, VIEWS, AuditSettings
from cxr.evaluation.shortcuts.measurement import (
    DELETING_REGIONS,
    RANDOMIZING_WEIGHTS,
    TRAINING_PROBES,
    measure,
)
from cxr.evaluation.shortcuts.report import ShortcutFindingCode, ShortcutMeasurements
from cxr.evaluation.shortcuts.verdict import verdict_on
from cxr.films.synthetic.flaws import Flaws
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom_set
from tests.support.score_tables import tiny_classifier

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

FILMS, SIZE_PX = 120, 64
QUICK = AuditSettings(heatmap_films=4, resamples=500)


def synthetic(folder: Path, shortcut: str | None = None, seed: int = 0, films: int = FILMS) -> Dataset:
    """A dataset of synthetic films that were not part of any training."""
    place = draw_phantom_set(folder, films, seed=seed, size_px=SIZE_PX, flaws=Flaws(shortcut))
    return Dataset.open(place).with_column("role", "")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Such a dataset without a shortcut, for tests that change no file in it."""
    return synthetic(tmp_path_factory.mktemp("drawn") / "set")


@pytest.fixture
def first_80(drawn: Dataset, tmp_path: Path) -> Dataset:
    """The first 80 films of that dataset, in a folder of this test alone."""
    folder = shutil.copytree(str(drawn.table["root"].iat[0]), tmp_path / "set")
    films = Dataset.open(folder).with_column("role", "")
    return films.where(np.arange(len(films)) < 80)


def quickly_measured(classifier: Classifier, films: Dataset, settings: AuditSettings = QUICK) -> ShortcutMeasurements:
    return measure(classifier, films, lambda *step: None, settings)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return tiny_classifier(FINDINGS, SIZE_PX)


@pytest.fixture(scope="module")
def plain(classifier: Classifier, drawn: Dataset) -> tuple[ShortcutMeasurements, list[Any]]:
    """Everything that is measured on films without a shortcut, and the reported progress."""
    steps: list[Any] = []
    return measure(classifier, drawn, lambda *step: steps.append(step)), steps


@pytest.mark.parametrize(
    ("shortcut", "region"), [("corner", "corners"), ("border", "border"), ("brightness", "brightness")]
)
def test_a_planted_shortcut_is_found_and_named(
    classifier: Classifier, tmp_path: Path, shortcut: str, region: str
) -> None:
    verdict = verdict_on(quickly_measured(classifier, synthetic(tmp_path / "set", shortcut)))
    assert verdict.level == "shown", verdict
    assert (ShortcutFindingCode.OUTSIDE_LUNGS, region) in {
        (finding.code, finding.about) for finding in verdict.findings
    }


def test_without_a_shortcut_none_is_found(plain: tuple[ShortcutMeasurements, list[Any]]) -> None:
    assert verdict_on(plain[0]).level == "none found"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_other_films_without_a_shortcut_none_is_found(classifier: Classifier, tmp_path: Path, seed: int) -> None:
    verdict = verdict_on(quickly_measured(classifier, synthetic(tmp_path / "set", seed=seed)))
    assert verdict.level == "none found", verdict


def test_probes_predict_the_disease_from_the_lungs_and_not_without_them(
    plain: tuple[ShortcutMeasurements, list[Any]],
) -> None:
    aucs = {result.name: result.auc for result in plain[0].probes_on_features}
    assert list(aucs) == [*VIEWS, "thumbnail"]
    assert aucs["lungs only"].low > 0.75
    assert aucs["lungs hidden"].low < 0.55


def test_the_films_and_the_progress_are_reported(plain: tuple[ShortcutMeasurements, list[Any]]) -> None:
    measured, steps = plain
    assert (measured.films, measured.patients, measured.lungs, measured.by_role) == (FILMS, 92, "outline", {"": FILMS})
    assert measured.by_source == {"phantom": dict.fromkeys(sorted(FINDINGS), 30)}
    assert (measured.source, measured.class_by_source, measured.sources) == (None, None, ())
    regions = [result.name for result in measured.probes_outside_lungs]
    assert regions == ["corners", "border", "brightness", "sharpness"]  # all have one shape
    assert steps[0] == (1, FILMS, OUTLINING_LUNGS)
    assert (FILMS, FILMS) in steps
    titles = {step[2] for step in steps if len(step) > 2}
    assert titles == {OUTLINING_LUNGS, TRAINING_PROBES, RANDOMIZING_WEIGHTS, DELETING_REGIONS}
    json.loads(measured.model_dump_json())


def test_the_heatmap_share_inside_the_lungs_is_measured_by_label(
    plain: tuple[ShortcutMeasurements, list[Any]],
) -> None:
    shares = plain[0].heatmap_shares
    assert [share.label for share in shares] == sorted(FINDINGS)
    for share in shares:
        assert share.lungs == "outline"
        assert share.share.low < share.share.value < share.share.high
        assert 0.2 < share.uniform < 0.4


def test_with_one_film_without_an_outline_the_program_outlines_the_lungs_of_all(
    classifier: Classifier, first_80: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "set" / str(first_80.table["lungs"].iat[0])).unlink()
    left = np.zeros((SIZE_PX, SIZE_PX), bool)
    left[10:50, 5:25] = True
    found = iter([None] + [left | left[:, ::-1]] * 79)  # one in 20 of its class
    measured = quickly_measured(classifier, first_80, replace(QUICK, segment=lambda _: next(found)))
    assert measured.films == 79
    assert len(measured.notes) == 1
    assert measured.lungs == "segmented"
    assert {share.lungs for share in measured.heatmap_shares} == {"segmented"}


def test_where_lungs_are_not_found_in_a_class_a_box_masks_all_and_the_verdict_is_cannot_tell(
    classifier: Classifier, first_80: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "set" / str(first_80.table["lungs"].iat[0])).unlink()
    measured = quickly_measured(classifier, first_80, replace(QUICK, segment=lambda _: None))
    assert measured.lungs == "box"
    assert {share.lungs for share in measured.heatmap_shares} == {"box"}
    verdict = verdict_on(measured)
    assert verdict.level == "cannot tell"
    assert verdict.findings[0].code is ShortcutFindingCode.BOX_HIDES


def test_unreadable_films_are_counted(classifier: Classifier, first_80: Dataset, tmp_path: Path) -> None:
    (tmp_path / "set" / str(first_80.table["path"].iat[0])).write_bytes(b"no film")
    measured = quickly_measured(classifier, first_80)
    assert measured.films == 79
    assert len(measured.notes) == 1


def test_a_class_that_is_associated_with_its_source_raises_a_suspicion(classifier: Classifier, drawn: Dataset) -> None:
    source = np.where(drawn.labels == "normal", "north", "south")
    measured = quickly_measured(classifier, drawn.with_column("source", source))
    assert measured.class_by_source is not None
    assert measured.source is not None
    assert measured.class_by_source.value == pytest.approx(1, abs=0.02)
    north, south = measured.sources
    assert (north.name, north.films, south.name, south.films) == ("north", 30, "south", 90)
    assert np.isnan(north.auc_within.value)
    assert np.isnan(north.auc_held_out.value)
    verdict = verdict_on(measured)
    assert verdict.level == "suspected"
    assert verdict.findings[0].code is ShortcutFindingCode.CLASS_BY_SOURCE


def test_sources_with_the_same_films_are_not_associated_with_the_class(classifier: Classifier, drawn: Dataset) -> None:
    source = np.where(drawn.patients.str[-1].isin(list("01234")), "north", "south")
    measured = quickly_measured(classifier, drawn.with_column("source", source))
    assert measured.class_by_source is not None
    assert measured.source is not None
    assert measured.class_by_source.high < 0.5
    assert measured.source.auc.low < 0.6
    for result in measured.sources:
        assert result.auc_held_out.high > 0.6
        assert result.auc_within.value > 0.6
        assert result.accuracy_held_out.high > 0.25
    assert verdict_on(measured).level == "none found"


def test_too_few_films_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as refused:
        quickly_measured(classifier, synthetic(tmp_path / "set", films=16))
    assert refused.value.code == "dataset.too-few-patients"


def test_no_more_films_are_sampled_than_the_limit(classifier: Classifier, drawn: Dataset) -> None:
    settings = AuditSettings(films_per_group=16, heatmap_films=4, resamples=100)
    assert quickly_measured(classifier, drawn, settings).films == 64


def test_normal_films_of_children_against_covid19_of_adults_are_a_shortcut(films: Path) -> None:
    """Published models took the one from one hospital's children and the other from adults of many others."""
    children, adults = Dataset.open(films / "kermany"), Dataset.open(films / "covid-chestxray")
    children = children.where((children.labels == "normal") & (children.table["split"] == "train"))
    adults = adults.where((adults.labels == "covid19") & (adults.table["view"] != "L"))
    both = Dataset.join([children, adults]).with_column("role", "")
    few = replace(QUICK, films_per_group=60)
    measured = quickly_measured(tiny_classifier(("normal", "covid19"), SIZE_PX), both, few)
    verdict = verdict_on(measured)
    assert verdict.level == "shown", verdict
    assert measured.class_by_source is not None
    assert measured.class_by_source.low > 0.95
    assert ShortcutFindingCode.CLASS_BY_SOURCE in {finding.code for finding in verdict.findings}
