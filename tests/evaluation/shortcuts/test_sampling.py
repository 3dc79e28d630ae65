"""Which films an audit of a model looks at."""

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.shortcuts import sampling
from cxr.evaluation.shortcuts.sampling import sample_films, sources_of, usable_films

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})


def films(labels, patients=None, roles="", source=""):
    count = len(labels)
    people = range(count) if patients is None else patients
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(count)], "label": labels, "source": source})
    return Dataset("set", table.assign(patient_id=[str(one) for one in people], dataset="set", role=roles))


def test_films_of_no_single_class_take_no_part_and_are_told():
    kept, notes = usable_films(films(["normal"] * 12 + ["viral"] * 12 + ["pneumonia", "other"]), LABELS)
    assert len(kept) == 24 and notes == ["2 films are of no one class of the model, and took no part."]


def test_a_class_of_few_patients_takes_no_part_however_many_films_it_has():
    people = [*range(24), *[99] * 30]
    kept, notes = usable_films(films(["normal"] * 12 + ["viral"] * 12 + ["bacterial"] * 30, people), LABELS)
    assert set(kept.labels) == {"normal", "viral"} and "bacterial has fewer than 10 patients" in notes[0]


def test_one_class_is_not_enough_and_what_there_is_is_told():
    with pytest.raises(DatasetError, match="12 of normal, 3 of viral"):
        usable_films(films(["normal"] * 12 + ["viral"] * 3), LABELS)


def test_a_film_without_a_source_has_that_of_its_dataset():
    assert sources_of(films(["normal", "viral"], source=["hospital", ""])).tolist() == ["hospital", "set"]


def test_of_each_class_and_source_as_many_films_are_chosen(monkeypatch):
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 5)
    found = films(["normal"] * 20 + ["viral"] * 40, source=["a"] * 10 + ["b"] * 50)
    assert found.where(sample_films(found, 0)).table.groupby(["label", "source"]).size().tolist() == [5, 5, 5]


def test_with_many_kinds_there_are_fewer_of_each(monkeypatch):
    monkeypatch.setattr(sampling, "ALTOGETHER", 8)
    found = films(["normal"] * 20 + ["viral"] * 20, source=["a", "b"] * 20)
    assert sample_films(found, 0).sum() == 8


def test_films_that_the_model_has_not_seen_come_first(monkeypatch):
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 6)
    roles = np.array(["train", "val", "", "test"] * 10)
    found = films(["normal"] * 40, roles=roles)
    assert sorted(roles[sample_films(found, 0)]).count("train") == 0
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 25)
    assert pd.Series(roles[sample_films(found, 0)]).value_counts().to_dict() == {"": 10, "test": 10, "val": 5}


def test_nobodys_second_film_comes_before_everybodys_first(monkeypatch):
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 10)
    found = films(["normal"] * 40, patients=np.arange(40) // 4)
    assert found.where(sample_films(found, 0)).patients.nunique() == 10


def test_the_choice_is_that_of_the_seed(monkeypatch):
    monkeypatch.setattr(sampling, "OF_ONE_KIND", 10)
    found = films(["normal"] * 60)
    assert np.array_equal(sample_films(found, 1), sample_films(found, 1)) and not np.array_equal(
        sample_films(found, 1), sample_films(found, 2)
    )
