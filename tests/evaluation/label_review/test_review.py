"""Rankings and blinded reviews: out-of-fold by patient, controls among suspects, two readers, and the revision."""

from __future__ import annotations

import json
import shutil
from math import isnan
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cxr.core.ranking import roc_auc
from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import write_manifest
from cxr.datasets.quality.copies import store_copies
from cxr.datasets.revisions.edits import EditKind
from cxr.datasets.revisions.history import revisions
from cxr.evaluation.label_review import ranking
from cxr.evaluation.label_review.out_of_fold import ReferenceFilms, drawn_reference, without_known_copies
from cxr.evaluation.label_review.outcome import cohens_kappa, review_outcome, revise_by_review
from cxr.evaluation.label_review.ranking import LabelRanking, rank_labels
from cxr.evaluation.label_review.review import (
    UNSURE,
    UNUSABLE,
    LabelReview,
    ReviewSize,
    all_reviews,
    answers_of,
    find_review,
    next_item,
    save_answer,
    start_review,
)
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.learning.image_features import IMAGENET, ImageFeatures
from tests.support.datasets import raises_code

WRONG = 6  # labels of each class that are swapped


@pytest.fixture
def drawn(tmp_path: Path, home: Path) -> Path:
    return draw_phantom_set(tmp_path / "set", 90, size_px=32).parent


def made_features(dataset: Dataset, seed: int = 0) -> tuple[ImageFeatures, np.ndarray]:
    """Features that show normal or not, and the dataset with some labels swapped; which ones they are."""
    rng = np.random.default_rng(seed)
    ill = (dataset.labels != "normal").to_numpy()
    values = rng.normal(size=(len(dataset), 6)).astype(np.float32)
    values[:, -2] += 3 * ill
    wrong = np.zeros(len(dataset), bool)
    for side in (False, True):
        wrong[rng.permutation(np.flatnonzero(ill == side))[:WRONG]] = True
    label = np.where(ill ^ wrong, "pneumonia", "normal")
    ids = [f"{i:016x}" for i in range(len(dataset))]
    films = dataset.with_column("label", label).with_column("film", ids)
    return ImageFeatures("imagenet", values, films, {}, 4), wrong


def made_ranking(folder: Path) -> tuple[LabelRanking, np.ndarray]:
    """The ranking of the dataset in this folder, whose labels are made, and which of them are wrong."""
    features, wrong = made_features(Dataset.open(folder))
    labeled = Dataset.open(folder).with_column("label", features.films.labels.to_numpy(object))
    write_manifest(folder / "manifest.csv", labeled)
    return rank_labels(features), wrong


@pytest.fixture
def ranked(drawn: Path) -> tuple[LabelRanking, np.ndarray]:
    return made_ranking(drawn)


def test_wrong_labels_come_first_and_are_counted(ranked: tuple[LabelRanking, np.ndarray]) -> None:
    ranking, wrong = ranked
    assert roc_auc(wrong, -ranking.quality.margin) > 0.9
    table = ranking.table()
    assert table["rank"].tolist() == list(range(1, len(wrong) + 1))
    assert (table["p_label"] - table["p_suggested"]).is_monotonic_increasing
    found = ranking.wrong["normal"]
    assert found.low <= WRONG <= found.high
    assert json.dumps(ranking.as_dict(5))
    assert len(ranking.as_dict(5)["ranking"]) == 5


def test_a_head_never_sees_another_image_of_the_same_patient(drawn: Path) -> None:
    """Features that name the patient alone, whose label is at random: out of fold they know nothing of it."""
    dataset = Dataset.open(drawn)
    patient = dataset.patients.astype("category").cat.codes.to_numpy()
    rng = np.random.default_rng(3)
    label = np.where(rng.integers(2, size=patient.max() + 1)[patient] > 0, "pneumonia", "normal")
    values = np.eye(patient.max() + 1, dtype=np.float32)[patient]
    films = dataset.with_column("label", label).with_column("film", [str(i) for i in range(len(dataset))])
    ranking = rank_labels(ImageFeatures("imagenet", values, films, {}, values.shape[1]))
    assert roc_auc(label == "pneumonia", ranking.probabilities[:, 1]) < 0.6


def test_labels_of_too_few_patients_are_left_out_and_one_label_is_too_few(drawn: Path) -> None:
    features, _ = made_features(Dataset.open(drawn))
    label = features.films.labels.to_numpy(object)
    label[:3] = "other"
    films = features.films.with_column("label", label)
    assert rank_labels(ImageFeatures("imagenet", features.values, films, {}, 4)).left_out == {"other": 3}
    films = films.with_column("label", "normal")
    with raises_code("dataset.too-few-labels"):
        rank_labels(ImageFeatures("imagenet", features.values, films, {}, 4))


def test_reference_x_rays_bring_out_what_a_shortcut_hides(drawn: Path) -> None:
    """A mark goes with the given label in 9 of 10 X-rays; reference X-rays have it at random, disease as it is."""
    dataset = Dataset.open(drawn)
    rng = np.random.default_rng(4)

    def features_of(ill: np.ndarray, marked: np.ndarray) -> np.ndarray:
        values = rng.normal(size=(len(ill), 4))
        values[:, 0] += 1.5 * ill
        values[:, 1] += 6 * marked
        return values.astype(np.float32)

    count = len(dataset)
    given = np.arange(count) % 2 == 0
    wrong = np.zeros(count, bool)
    wrong[rng.permutation(np.flatnonzero(given))[:12]] = True  # labeled ill, and marked, but not ill
    values = features_of(given & ~wrong, given)
    people = [f"p{i}" for i in range(count)]
    films = dataset.with_column("label", np.where(given, "pneumonia", "normal")).with_column("patient_id", people)
    features = ImageFeatures("imagenet", values, films.with_column("film", people), {}, 4)
    ill = rng.random(400) < 0.5
    reference = ReferenceFilms(features_of(ill, rng.random(400) < 0.5).astype(float), ill.astype(np.int64))
    alone, helped = rank_labels(features), rank_labels(features, reference=reference)
    aucs = [roc_auc(wrong[given], -ranking.quality.margin[given]) for ranking in (alone, helped)]
    assert aucs[1] > max(0.75, aucs[0])
    assert helped.reference_films == 400


def test_reference_x_rays_are_drawn_by_class_and_never_those_that_are_reviewed(drawn: Path) -> None:
    dataset = Dataset.open(drawn)
    taken = drawn_reference(dataset, {"normal": 3, "none-of-this": 5})
    assert taken.labels.tolist() == ["normal"] * 6
    films = taken.with_column("film", [str(i) for i in range(6)])
    features = ImageFeatures("imagenet", np.ones((6, 3), np.float32), films, {}, 2)
    assert len(ReferenceFilms.from_features(features, ("normal", "viral"), {"0", "1"}).class_index) == 4


def test_known_copies_of_reviewed_x_rays_are_no_reference(drawn: Path, home: Path, tmp_path: Path) -> None:
    reviewed, reference = Dataset.open(drawn), Dataset.open(shutil.copytree(drawn, tmp_path / "resized"))
    reference = reference.with_column("patient_id", [f"r{row}" for row in range(len(reference))])
    count = len(reviewed)
    assert len(without_known_copies(reference, reviewed)) == count
    store_copies(Dataset.join([reviewed, reference]), [[0, count + 5], [1, count + 6]])
    left = without_known_copies(reference, reviewed)
    assert left.table["path"].tolist() == reference.table["path"].drop([5, 6]).tolist()
    assert not len(without_known_copies(reviewed, reviewed))


def test_a_ranking_takes_no_known_copy_of_what_it_reviews_as_reference(
    drawn: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = shutil.copytree(drawn, tmp_path / "resized")
    reviewed, reference = Dataset.open(drawn), Dataset.open(copied)
    count = len(reviewed)
    store_copies(Dataset.join([reviewed, reference]), [[row, count + row] for row in range(count)])
    features = SimpleNamespace(films=SimpleNamespace(table=pd.DataFrame({"film": [""] * count})))
    monkeypatch.setattr(ranking, "image_features", lambda backbone, dataset, progress: features)
    with raises_code("dataset.no-reference"):
        ranking.rank_dataset([str(drawn)], IMAGENET, lambda *_: None, reference=[str(copied)])


def review_of(ranking: LabelRanking, data: Path) -> LabelReview:
    return start_review(ranking, str(data), ReviewSize(10, 6), seed=1)


def test_a_review_mixes_suspects_with_controls_in_random_order(
    ranked: tuple[LabelRanking, np.ndarray], drawn: Path
) -> None:
    review = review_of(ranked[0], drawn)
    ranks = [item.rank for item in review.items]
    assert sorted(item.rank for item in review.items if not item.control) == list(range(1, 11))
    assert sum(item.control for item in review.items) == 6
    assert len(set(ranks)) == 16
    assert ranks != sorted(ranks)
    assert find_review(review.id) == review
    assert all_reviews(str(drawn)) == [review]
    assert all_reviews("elsewhere") == []
    with raises_code("dataset.no-review"):
        find_review("../../etc")


def test_two_readers_agree_differ_and_revise_what_they_agree_on(
    ranked: tuple[LabelRanking, np.ndarray], drawn: Path
) -> None:
    review = review_of(ranked[0], drawn)
    before = Dataset.open(drawn).labels.tolist()
    items = sorted(review.items, key=lambda item: item.rank)
    other = {"normal": "pneumonia", "pneumonia": "normal"}
    both = {item.film: (item.label, item.label) for item in items}
    both[items[0].film] = (other[items[0].label],) * 2
    both[items[1].film] = (UNUSABLE, UNUSABLE)
    both[items[2].film] = (items[2].label, other[items[2].label])
    both[items[3].film] = (UNSURE, UNSURE)
    for k, reader in enumerate(("Reader 1", "Reader 2")):
        while (item := next_item(review, answers_of(review, reader))) is not None:
            save_answer(review, reader, item.film, both[item.film][k])
    outcome = review_outcome(review)
    assert [edit.kind for edit in outcome.edits] == [EditKind.RELABEL, EditKind.EXCLUDE]
    assert [label.item.film for label in outcome.disputed] == [items[2].film]
    assert outcome.wrong_share(control=False).value == pytest.approx(2 / 9)
    assert outcome.wrong_share(control=True).value == 0
    assert 0.7 < outcome.kappa < 1
    revised = revise_by_review(review)
    assert len(revised.revision.edits) == 2
    assert review.id in revised.revision.why
    after = Dataset.open(drawn)
    assert len(after) == len(before) - 1
    assert len(revisions(drawn)) == 1
    assert json.dumps(outcome.as_dict())


def test_answers_that_are_none_and_a_review_without_changes(
    ranked: tuple[LabelRanking, np.ndarray], drawn: Path
) -> None:
    review = review_of(ranked[0], drawn)
    film = review.items[0].film
    for reader, given, answer, code in (
        ("", film, "normal", "no-reader"),
        ("A", film, "pneumothorax", "invalid-answer"),
        ("A", "another", "normal", "invalid-answer"),
    ):
        with raises_code(f"dataset.{code}"):
            save_answer(review, reader, given, answer)
    save_answer(review, "A", film, review.items[0].label)
    with raises_code("dataset.nothing-to-change"):
        revise_by_review(review)
    (review.folder / "review.json").write_text("{")
    with raises_code("dataset.review-damaged"):
        find_review(review.id)
    assert all_reviews() == []


def test_kappa_by_hand() -> None:
    """Cohen (1960): 20 of 50 both yes, 15 both no, 5 and 10 apart: 0.7 observed, 0.5 expected, kappa 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert isnan(cohens_kappa([], []))
    assert isnan(cohens_kappa(["a", "a"], ["a", "a"]))
