"""A set of cases is the same for the same seed, stratified, one X-ray a patient, without X-rays of the training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.reader_study.case_set import CaseSet, CaseSetRequest, Mixture, draw_case_set
from cxr.films.film import film_id
from cxr.films.synthetic.phantom import draw_phantom_set

LABELS = LabelSpace(("normal", "bacterial", "viral", "covid19"))


def none_trained(films: Sequence[str]) -> list[str]:
    return [""] * len(films)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("cases") / "drawn"
    draw_phantom_set(folder, 80, size_px=32)
    return Dataset.open(folder)


def films_of(cases: CaseSet) -> list[str]:
    return [case.film for case in cases.cases]


def test_the_same_seed_gives_the_same_cases_in_the_same_order_and_another_seed_others(dataset: Dataset) -> None:
    first, again, other = (
        films_of(draw_case_set(dataset, LABELS, CaseSetRequest(20, seed), none_trained)) for seed in (1, 1, 2)
    )
    assert first == again
    assert set(first) != set(other)
    assert len(set(first)) == 20


def test_half_of_the_cases_are_normal_and_the_findings_share_the_rest(dataset: Dataset) -> None:
    cases = draw_case_set(dataset, LABELS, CaseSetRequest(18), none_trained).cases
    assert Counter(case.reference for case in cases) == {"normal": 9, "bacterial": 3, "viral": 3, "covid19": 3}
    assert [case.reference for case in cases] != sorted(case.reference for case in cases)


def test_the_shares_may_be_those_of_the_dataset(dataset: Dataset) -> None:
    counts = dataset.labels.value_counts()
    fewer_normals = dataset.where(
        (dataset.labels != "normal") | (dataset.labels.groupby(dataset.labels).cumcount() < 4)
    )
    request = CaseSetRequest(16, mixture=Mixture.AS_IN_DATASET)
    drawn = Counter(case.reference for case in draw_case_set(fewer_normals, LABELS, request, none_trained).cases)
    assert counts["normal"] > 8
    assert drawn["normal"] == 1
    assert sum(drawn.values()) == 16


def test_the_scarcer_side_limits_a_set_that_is_half_normal(dataset: Dataset) -> None:
    few = dataset.where((dataset.labels != "normal") | (dataset.labels.groupby(dataset.labels).cumcount() < 3))
    drawn = draw_case_set(few, LABELS, CaseSetRequest(20), none_trained)
    counts = Counter(case.reference == "normal" for case in drawn.cases)
    assert counts[True] == 3
    assert 3 <= counts[False] <= 4
    assert drawn.wanted == 20


@pytest.mark.parametrize("size", [8, 17, 24])
def test_half_of_the_cases_stay_normal_where_a_finding_runs_out(dataset: Dataset, size: int) -> None:
    numbers = dataset.labels.groupby(dataset.labels).cumcount()
    few = dataset.where((dataset.labels != "covid19") | (numbers < 1))
    cases = draw_case_set(few, LABELS, CaseSetRequest(size), none_trained).cases
    counts = Counter(case.reference for case in cases)
    assert sum(counts.values()) == size
    assert abs(2 * counts["normal"] - size) <= 1
    assert abs(counts["bacterial"] - counts["viral"]) <= 1


def test_each_case_is_another_patient_and_is_read_as_its_file(dataset: Dataset) -> None:
    pairs = dataset.with_column("patient_id", [str(row // 2) for row in range(len(dataset))])
    cases = draw_case_set(pairs, LABELS, CaseSetRequest(200), none_trained).cases
    by_film = {film_id(pairs.read_bytes(row)): pairs.table["patient_id"].iat[row] for row in range(len(pairs))}
    patients = [by_film[case.film] for case in cases]
    assert len(set(patients)) == len(patients)
    assert film_id(cases[0].source.read()) == cases[0].film


def test_films_that_the_model_was_trained_with_or_chosen_by_are_left_out(dataset: Dataset) -> None:
    ids = [film_id(dataset.read_bytes(row)) for row in range(len(dataset))]
    role = {film: ("train", "val", "test", "")[row // 4 % 4] for row, film in enumerate(ids)}
    cases = draw_case_set(dataset, LABELS, CaseSetRequest(200), lambda films: [role[film] for film in films])
    assert films_of(cases)
    assert {role[film] for film in films_of(cases)} <= {"test", ""}


def test_unreadable_files_unknown_labels_and_excluded_views_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    table = dataset.table.copy()
    rows = pd.Series(range(len(table))) // 4
    table.loc[rows % 4 == 0, "label"] = "something else"
    table.loc[rows % 4 == 1, "view"] = "L"
    table.loc[rows % 4 == 2, "path"] = "gone.png"
    mixed = Dataset("mixed", table)
    cases = draw_case_set(mixed, LABELS, CaseSetRequest(200, excluded_views=("L",)), none_trained)
    usable = {film_id(dataset.read_bytes(row)) for row in range(len(dataset)) if row // 4 % 4 == 3}
    assert set(films_of(cases)) <= usable


@pytest.mark.parametrize("label", ["normal", "viral"])
def test_cases_of_one_kind_alone_are_no_set(dataset: Dataset, label: str) -> None:
    with pytest.raises(DatasetError) as raised:
        draw_case_set(dataset.where(dataset.labels == label), LABELS, CaseSetRequest(10), none_trained)
    assert raised.value.code == "dataset.one-sided-cases"
