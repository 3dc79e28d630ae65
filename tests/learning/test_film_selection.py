import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COLUMNS
from cxr.datasets.labels import LabelSpace
from cxr.jobs.training_plan import composition
from cxr.learning.film_selection import (
    AppliedGroup,
    ExcludedFilms,
    ExclusionReason,
    GroupUse,
    applied_groups,
    evaluation_films,
    excluded_films,
    label_space,
    left_out,
    select,
    select_fold,
    select_without,
)
from cxr.registry.recipe import Recipe
from tests.support.training import tiny_recipe


def listed(name="hospital", **counts):
    """A dataset of so many films of each label, one a patient, without files."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    table = pd.DataFrame({"label": labels, "path": [f"{i}.png" for i in range(len(labels))]})
    table["patient_id"] = table["path"]
    table = table.reindex(columns=COLUMNS, fill_value="").astype("str")
    return Dataset(name, table.assign(dataset=name, root=f"/{name}"))


def placed(dataset, split, rows):
    """The dataset with these rows put into a split by its manifest."""
    column = dataset.table["split"].to_numpy(dtype=object).copy()
    column[rows] = split
    return dataset.with_column("split", column)


def of_role(dataset, role):
    return dataset.labels[dataset.table["role"] == role].value_counts().to_dict()


def paths(dataset):
    return set(dataset.table["path"])


@pytest.fixture
def films():
    return listed(normal=40, bacterial=30, viral=30, covid19=20)


def recipe(**data):
    return tiny_recipe(data=data)


# Which films, as which classes


def test_the_labels_of_the_films_are_the_classes(films):
    assert label_space(recipe(), films).classes == ("normal", "bacterial", "viral", "covid19")


def test_the_recipe_s_own_classes_go_first(films):
    chosen, labels = select(recipe(classes=["covid19", "normal"]), films)
    assert labels.classes == ("covid19", "normal")
    assert set(chosen.labels) == {"covid19", "normal"}
    assert len(chosen) == 60


def test_views_that_are_excluded_take_no_part_and_make_no_class(films):
    views = np.where(np.arange(120) % 4 == 0, "L", "PA")
    views[films.labels == "covid19"] = "CT"
    chosen, labels = select(recipe(), films.with_column("view", views))
    assert labels.classes == ("normal", "bacterial", "viral")
    assert set(chosen.table["view"]) == {"PA"}
    kept, _ = select(recipe(exclude_views=["CT"]), films.with_column("view", views))
    assert set(kept.table["view"]) == {"PA", "L"}


def test_labels_that_are_left_out_or_belong_to_no_class_take_no_part():
    films = listed(**{"normal": 20, "viral": 20, "other": 5, "not-a-chest-xray": 5, "pneumonia": 5})
    chosen, labels = select(recipe(classes=["normal", "viral"]), films)
    assert labels.classes == ("normal", "viral")
    assert set(chosen.labels) == {"normal", "viral"}


@pytest.mark.parametrize("name", ["vgg16-default", "tiny"])
def test_three_folders_normal_pneumonia_covid19_are_three_classes(name):
    films = listed(normal=200, pneumonia=150, covid19=50)
    chosen = Recipe.read(name) if name == "vgg16-default" else recipe()
    selected, labels = select(chosen, films)
    assert labels.classes == ("normal", "covid19", "pneumonia")
    assert len(selected) == 400
    assert left_out(chosen, labels, films, selected) == []
    assert applied_groups(labels, films) == [AppliedGroup(GroupUse.BESIDE, "covid19", ("pneumonia",), 50)]


def test_films_of_a_coarser_label_take_part_where_all_its_members_are_classes():
    chosen, labels = select(recipe(), listed(normal=20, bacterial=20, viral=20, covid19=20, pneumonia=10))
    assert "pneumonia" not in labels.classes
    assert (chosen.labels == "pneumonia").sum() == 10


def test_every_film_has_a_role_in_about_the_recipe_s_shares(films):
    chosen, _ = select(recipe(validation=0.25, test=0.2), films)
    share = chosen.table["role"].value_counts() / len(chosen)
    assert share["test"] == pytest.approx(0.2, abs=0.03)
    assert share["val"] == pytest.approx(0.8 * 0.25, abs=0.03)
    assert share["train"] == pytest.approx(0.6, abs=0.04)
    assert select(recipe(validation=0.25, test=0.2), films)[0].table.equals(chosen.table)


def test_a_class_without_training_films_is_an_error():
    with pytest.raises(DatasetError) as error:
        select(recipe(classes=["normal", "viral", "covid19"]), listed(normal=20, viral=20))
    assert error.value.code == "dataset.class-missing-in-train"


def test_a_class_without_validation_films_is_an_error():
    with pytest.raises(DatasetError) as error:
        select(recipe(), listed(normal=40, viral=1))
    assert error.value.code == "dataset.class-missing-in-val"


def test_films_that_take_no_part_are_counted_by_reason():
    films = listed(**{"normal": 20, "viral": 20, "other": 5, "": 2})
    views = np.where(np.arange(47) < 3, "L", "PA")
    films = films.with_column("view", views)
    labels = label_space(recipe(), films)
    assert excluded_films(recipe(), labels, films) == [
        ExcludedFilms(ExclusionReason.VIEW, "L", 3),
        ExcludedFilms(ExclusionReason.LABEL, "other", 5),
        ExcludedFilms(ExclusionReason.LABEL, "", 2),
    ]
    chosen, _ = select(recipe(), films)
    assert len(chosen) == 47 - 3 - 5 - 2


def test_films_that_a_draw_or_a_fold_leaves_out_are_counted_too(films):
    drawn = recipe(draw={"normal": 15, "covid19": 12}, classes=["normal", "covid19"])
    selected, labels = select(drawn, films)
    assert left_out(drawn, labels, films, selected)[-1] == ExcludedFilms(ExclusionReason.DRAW, "", 60 - 27)
    films = placed(films, "test", np.arange(0, 120, 6))
    selected, labels = select_fold(recipe(), films, 0, 3)
    assert left_out(recipe(), labels, films, selected) == [ExcludedFilms(ExclusionReason.TEST_SET, "", 20)]


def test_films_whose_label_is_not_their_class_are_counted():
    films = listed(normal=20, bacterial=6, viral=5, covid19=4, pneumonia=10)
    four = label_space(recipe(), films)
    assert applied_groups(four, films) == [
        AppliedGroup(GroupUse.COARSE, "pneumonia", ("bacterial", "viral", "covid19"), 10)
    ]
    two = label_space(recipe(classes=["normal", "pneumonia"]), films)
    assert [(group.use, group.label, group.count) for group in applied_groups(two, films)] == [
        (GroupUse.INCLUDED, "bacterial", 6),
        (GroupUse.INCLUDED, "viral", 5),
        (GroupUse.INCLUDED, "covid19", 4),
    ]
    assert applied_groups(LabelSpace(("normal", "viral")), films) == []


# Draws


def test_a_draw_takes_exactly_that_many_films_of_each_label(films):
    chosen, _ = select(recipe(draw={"normal": 15, "covid19": 12}, draw_test=3, classes=["normal", "covid19"]), films)
    assert of_role(chosen, "test") == {"normal": 3, "covid19": 3}
    assert chosen.labels.value_counts().to_dict() == {"normal": 15, "covid19": 12}


def test_another_seed_is_another_draw_and_the_same_seed_the_same(films):
    table = {"draw": {"normal": 15, "covid19": 12}, "classes": ["normal", "covid19"], "draw_test": 3}
    one, again, other = (paths(select(recipe(**table, draw_seed=seed), films)[0]) for seed in (1, 1, 2))
    assert one == again != other


def test_a_draw_of_a_group_class_takes_any_of_its_members_and_keeps_their_labels(films):
    table = {"classes": ["normal", "pneumonia"], "draw": {"normal": 20, "pneumonia": 60}, "draw_test": 10}
    chosen, labels = select(recipe(**table), films)
    targets = labels.targets(chosen.labels)
    assert targets.sum(axis=0).tolist() == [20, 60]
    assert targets[chosen.table["role"] == "test"].sum(axis=0).tolist() == [10, 10]
    assert set(chosen.labels) == {"normal", "bacterial", "viral", "covid19"}


def test_a_draw_of_a_label_that_is_no_class_is_refused(films):
    with pytest.raises(DatasetError) as error:
        select(recipe(classes=["normal", "covid19"], draw={"normal": 5, "viral": 5}), films)
    assert error.value.code == "dataset.draw-without-class"


def test_a_draw_of_more_films_than_there_are_is_refused(films):
    with pytest.raises(DatasetError) as error:
        select(recipe(classes=["normal", "covid19"], draw={"normal": 30, "covid19": 30}, draw_test=2), films)
    assert error.value.code == "dataset.too-few-films"


# Folds


def test_folds_are_disjoint_and_cover_every_film_once(films):
    dealt = [select_fold(recipe(), films, fold, 4)[0] for fold in range(4)]
    tested = [paths(d.where(d.table["role"] == "test")) for d in dealt]
    assert sum(len(t) for t in tested) == 120
    assert set().union(*tested) == paths(films)
    for d, t in zip(dealt, tested, strict=True):
        assert paths(d) == paths(films)
        assert not t & paths(d.where(d.table["role"] != "test"))
        assert set(d.table["role"]) == {"train", "val", "test"}


def test_folds_leave_the_manifest_s_own_test_films_alone(films):
    films = placed(films, "test", np.arange(0, 120, 6))
    own = paths(films.where(films.table["split"] == "test"))
    for fold in range(3):
        assert not own & paths(select_fold(recipe(), films, fold, 3)[0])


def test_a_patient_is_in_one_fold(films):
    films = films.with_column("patient_id", [f"p{i // 2}" for i in range(120)])
    dealt, _ = select_fold(recipe(), films, 0, 3)
    roles_of = dealt.table.groupby("patient_id")["role"].nunique()
    assert roles_of.max() == 1


# A source left out


@pytest.fixture
def of_two_sources(films):
    """40 patients with a film in each of the sources, and 40 with one film in A."""
    patients = [f"p{n}" for n in [*range(80), *range(20, 60)]]
    return films.with_column("source", ["A"] * 80 + ["B"] * 40).with_column("patient_id", patients)


def test_no_patient_of_the_source_that_is_left_out_is_trained_on(of_two_sources):
    chosen, _ = select_without(recipe(classes=["normal", "pneumonia"]), of_two_sources, "B")
    tested = chosen.table["role"] == "test"
    assert set(chosen.table["source"][tested]) == {"B"}
    assert not set(chosen.patients[tested]) & set(chosen.patients[~tested])
    assert (tested.sum(), (~tested).sum()) == (40, 40)


def test_films_of_the_patients_of_a_source_that_is_left_out_are_counted(of_two_sources):
    excluded = composition(recipe(classes=["normal", "pneumonia"]), of_two_sources, "B").excluded
    assert list(excluded) == [ExcludedFilms(ExclusionReason.PATIENT, "", 40)]


def test_a_source_that_has_all_patients_cannot_be_left_out(of_two_sources):
    films = of_two_sources.with_column("patient_id", "one")
    with pytest.raises(DatasetError) as error:
        select_without(recipe(), films, "B")
    assert error.value.code == "dataset.nothing-to-train-with"


# The films to evaluate a model on


def films_to_evaluate(films, split=None, roles=None, **data):
    labels = LabelSpace(("normal", "viral"))
    roles = [""] * len(films) if roles is None else roles
    return evaluation_films(recipe(**data), labels, films, split, roles, {"hospital"} if any(roles) else ())[0]


@pytest.fixture
def two_labels():
    return listed(normal=40, viral=40, other=4)


@pytest.fixture
def roles(two_labels):
    """Of a training with a third of the films; the others came later, or were not drawn."""
    return [("train", "val", "test", "", "", "")[i % 6] for i in range(len(two_labels))]


def test_a_dataset_of_the_training_gives_its_test_films_alone(two_labels, roles):
    wanted = {f"{i}.png" for i in range(80) if roles[i] == "test"}
    assert paths(films_to_evaluate(two_labels, roles=roles)) == wanted


def test_another_dataset_gives_all_films_of_known_labels(two_labels):
    assert len(films_to_evaluate(two_labels)) == 80


def test_another_dataset_with_a_test_split_gives_that(two_labels):
    films = placed(two_labels, "test", [3, 50])
    assert paths(films_to_evaluate(films)) == {"3.png", "50.png"}


def test_another_dataset_that_shares_films_with_the_training_gives_its_test_films_and_those_of_unknown_patients():
    films = listed(normal=40, viral=40).with_column("patient_id", [f"p{n // 2}" for n in range(80)])
    roles = [{0: "train", 10: "val", 20: "test"}.get(n, "") for n in range(80)]
    chosen, excluded = evaluation_films(recipe(), LabelSpace(("normal", "viral")), films, None, roles)
    assert paths(films) - paths(chosen) == {"0.png", "1.png", "10.png", "11.png"}
    assert excluded == [ExcludedFilms(ExclusionReason.TRAINED_ON, "", 4)]
    placed_in_test = placed(films, "test", [1, 30, 31])
    chosen, _ = evaluation_films(recipe(), LabelSpace(("normal", "viral")), placed_in_test, None, roles)
    assert paths(chosen) == {"20.png", "30.png", "31.png"}


def test_what_a_dataset_of_the_training_leaves_out_is_counted(two_labels, roles):
    _, excluded = evaluation_films(recipe(), LabelSpace(("normal", "viral")), two_labels, None, roles, {"hospital"})
    counts = {"used": sum(role in ("train", "val") for role in roles[:80]), "new": roles[:80].count("")}
    assert excluded == [
        ExcludedFilms(ExclusionReason.TRAINED_ON, "", counts["used"]),
        ExcludedFilms(ExclusionReason.NOT_TESTED_ON, "", counts["new"]),
    ]


def test_in_a_join_each_dataset_follows_its_own_rule(two_labels, roles):
    joined = Dataset.join([two_labels, listed("clinic", normal=5, viral=5)])
    chosen = films_to_evaluate(joined, roles=[*roles, *[""] * 10]).table
    assert (chosen["dataset"] == "clinic").sum() == 10
    assert set(chosen.loc[chosen["dataset"] == "hospital", "role"]) == {"test"}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_named_split_is_followed_literally(two_labels, roles, split):
    films = placed(two_labels, split, [1, 3])  # 1 was in validation, 3 in nothing
    wanted = {f"{i}.png" for i in range(80) if roles[i] == split} | {"3.png"}
    assert paths(films_to_evaluate(films, split, roles)) == wanted


def test_all_are_all_films_of_known_labels(two_labels):
    assert len(films_to_evaluate(two_labels, "all")) == 80


def test_excluded_views_are_not_evaluated(two_labels):
    films = two_labels.with_column("view", np.where(np.arange(84) < 10, "L", "PA"))
    assert len(films_to_evaluate(films, "all")) == 70
