"""Which films an audit samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace, display_name
from cxr.evaluation.shortcuts.sampling import sample_films, sources_of, usable_films

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})


def films(labels: Sequence[str], patients: Sequence[int] | None = None, roles: Any = "", source: Any = "") -> Dataset:
    count = len(labels)
    ids = [str(patient) for patient in (range(count) if patients is None else patients)]
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(count)], "label": labels, "source": source})
    return Dataset("set", table.assign(patient_id=ids, dataset="set", role=roles))


def test_films_without_a_single_class_are_left_out_and_counted() -> None:
    usable, notes = usable_films(films(["normal"] * 12 + ["viral"] * 12 + ["pneumonia", "other"]), LABELS)
    assert len(usable) == 24
    assert len(notes) == 1
    assert notes[0].startswith("2 ")


def test_a_class_of_few_patients_is_left_out_however_many_films_it_has() -> None:
    patients = [*range(24), *[99] * 30]
    usable, notes = usable_films(films(["normal"] * 12 + ["viral"] * 12 + ["bacterial"] * 30, patients), LABELS)
    assert set(usable.labels) == {"normal", "viral"}
    assert len(notes) == 1
    assert display_name("bacterial") in notes[0]


def test_one_class_is_not_enough() -> None:
    with pytest.raises(DatasetError) as refused:
        usable_films(films(["normal"] * 12 + ["viral"] * 3), LABELS)
    assert refused.value.code == "dataset.too-few-patients"
    assert "12" in str(refused.value)


def test_a_film_without_a_source_has_that_of_its_dataset() -> None:
    assert sources_of(films(["normal", "viral"], source=["hospital", ""])).tolist() == ["hospital", "set"]


def test_of_each_class_and_source_as_many_films_are_sampled() -> None:
    dataset = films(["normal"] * 20 + ["viral"] * 40, source=["a"] * 10 + ["b"] * 50)
    sample = dataset.where(sample_films(dataset, 0, per_group=5))
    assert sample.table.groupby(["label", "source"]).size().tolist() == [5, 5, 5]


def test_with_many_groups_there_are_fewer_films_of_each() -> None:
    dataset = films(["normal"] * 20 + ["viral"] * 20, source=["a", "b"] * 20)
    assert sample_films(dataset, 0, in_total=8).sum() == 8


def test_films_that_were_not_used_in_training_come_first() -> None:
    roles = np.array(["train", "val", "", "test"] * 10)
    dataset = films(["normal"] * 40, roles=roles)
    assert "train" not in roles[sample_films(dataset, 0, per_group=6)]
    counts = pd.Series(roles[sample_films(dataset, 0, per_group=25)]).value_counts().to_dict()
    assert counts == {"": 10, "test": 10, "val": 5}


def test_no_patients_second_film_comes_before_the_first_of_every_patient() -> None:
    dataset = films(["normal"] * 40, patients=[i // 4 for i in range(40)])
    assert dataset.where(sample_films(dataset, 0, per_group=10)).patients.nunique() == 10


def test_the_sample_is_that_of_the_seed() -> None:
    dataset = films(["normal"] * 60)
    first, again, other = (sample_films(dataset, seed, per_group=10) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
