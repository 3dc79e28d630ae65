import numpy as np
import pytest

from cxr.datasets.labels import MAX_NAME_LENGTH, LabelSpace, check_names
from tests.support.datasets import raises_code

GROUPS = {"pneumonia": ("bacterial", "viral", "covid19")}
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), GROUPS)
TWO = LabelSpace(("normal", "pneumonia"), GROUPS)


@pytest.mark.parametrize("classes", [(), ("normal",), ("normal", "normal"), ("normal", "viral", "normal")])
def test_a_model_needs_two_or_more_different_classes(classes: tuple[str, ...]) -> None:
    with raises_code("dataset.too-few-classes"):
        LabelSpace(classes)


@pytest.mark.parametrize(
    "name",
    ["![x](http://e.example)", "<b>", "a]", "{x}", "`a`", "a\\b", "$x$", "a\nb", "a\u202eb", "\u2060", "x" * 101],
)
def test_a_class_or_source_has_no_signs_in_its_name_that_mean_something_elsewhere(name: str) -> None:
    with raises_code("dataset.unsafe-name"):
        check_names(["normal", name], "label")


def test_names_of_real_classes_and_sources_are_taken() -> None:
    names = [
        "",
        "No_findings",
        "COVID-19, ARDS",
        "Mass|Nodule",
        "Pneumonie (viral)",
        "結核",
        "NIH & RSNA: 2018/1 +",
        "a'b",
    ]
    check_names([*names, "x" * MAX_NAME_LENGTH], "source")


# Members and targets


def test_a_class_is_itself_alone() -> None:
    assert [FOUR.members(name) for name in FOUR.classes] == [(0,), (1,), (2,), (3,)]


def test_a_group_that_is_a_class_takes_the_films_of_its_members() -> None:
    assert [TWO.members(name) for name in ("normal", "pneumonia", "bacterial", "viral", "covid19")] == [
        (0,),
        (1,),
        (1,),
        (1,),
        (1,),
    ]


def test_a_class_of_its_own_is_not_taken_by_its_group() -> None:
    assert LabelSpace(("normal", "covid19", "pneumonia"), GROUPS).members("covid19") == (1,)
    assert LabelSpace(("normal", "covid19", "pneumonia"), GROUPS).members("viral") == (2,)


def test_a_group_that_is_not_a_class_may_be_any_of_its_members() -> None:
    assert FOUR.members("pneumonia") == (1, 2, 3)
    assert LabelSpace(("covid19", "normal", "viral", "bacterial"), GROUPS).members("pneumonia") == (3, 2, 0)


def test_a_group_with_a_member_that_is_not_a_class_gives_no_target() -> None:
    assert LabelSpace(("normal", "covid19"), GROUPS).members("pneumonia") == ()
    assert LabelSpace(("normal", "bacterial", "viral"), GROUPS).members("pneumonia") == ()


def test_a_group_of_all_classes_gives_no_target() -> None:
    assert LabelSpace(("bacterial", "viral", "covid19"), GROUPS).members("pneumonia") == ()


@pytest.mark.parametrize("label", ["other", "", "Normal"])
def test_an_unknown_label_gives_no_target(label: str) -> None:
    assert FOUR.members(label) == ()


def test_targets_mark_every_class_that_a_film_may_be() -> None:
    targets = FOUR.targets(["viral", "pneumonia", "normal", "other"])
    assert targets.dtype == np.float32
    assert targets.tolist() == [[0, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert FOUR.targets([]).shape == (0, 4)


# The label space of a dataset


def test_each_label_becomes_a_class_in_the_known_order_then_by_name() -> None:
    labels = ["zebra", "covid19", "viral", "apple", "normal", "viral", "bacterial"]
    assert LabelSpace.from_labels(labels, GROUPS).classes == (
        "normal",
        "bacterial",
        "viral",
        "covid19",
        "apple",
        "zebra",
    )


def test_a_group_is_not_a_class_where_all_its_members_are_present() -> None:
    labels = ["normal", "pneumonia", "viral", "covid19", "bacterial"]
    assert LabelSpace.from_labels(labels, GROUPS).classes == FOUR.classes


@pytest.mark.parametrize("members", [["covid19"], ["viral"], ["bacterial", "viral"]])
def test_a_group_is_a_class_beside_its_members_where_some_are_absent(members: list[str]) -> None:
    labels = LabelSpace.from_labels(["normal", "pneumonia", *members], GROUPS)
    assert labels.classes == ("normal", *members, "pneumonia")
    assert [labels.members(name) for name in labels.classes] == [(k,) for k in range(len(labels.classes))]


def test_a_group_is_a_class_where_no_member_is_present() -> None:
    assert LabelSpace.from_labels(["normal", "pneumonia"], GROUPS).classes == ("normal", "pneumonia")


def test_a_group_that_names_itself_is_still_a_class() -> None:
    groups = {"pneumonia": ("pneumonia",)}
    assert LabelSpace.from_labels(["normal", "pneumonia"], groups).classes == ("normal", "pneumonia")


def test_labels_left_out_and_empty_ones_are_not_classes() -> None:
    assert LabelSpace.from_labels(["normal", "viral", "other", ""], GROUPS, ["other"]).classes == ("normal", "viral")


def test_a_member_left_out_does_not_displace_its_group() -> None:
    labels = ["normal", "pneumonia", "covid19"]
    assert LabelSpace.from_labels(labels, GROUPS, ["covid19"]).classes == ("normal", "pneumonia")


def test_a_single_label_gives_no_label_space() -> None:
    with raises_code("dataset.too-few-classes"):
        LabelSpace.from_labels(["viral", "other"], GROUPS, ["other"])


# The negative class


def test_normal_is_the_negative_class_wherever_it_stands() -> None:
    assert LabelSpace(("covid19", "viral", "normal")).negative == 2


def test_of_two_classes_without_normal_the_first_is_negative() -> None:
    assert LabelSpace(("viral", "covid19")).negative == 0


def test_of_three_classes_without_normal_none_is_negative() -> None:
    assert LabelSpace(("bacterial", "viral", "covid19")).negative is None


def test_positive_is_what_excludes_the_negative_class() -> None:
    labels = ["normal", "viral", "pneumonia", "other", ""]
    assert FOUR.positive(labels).tolist() == [0, 1, 1, -1, -1]
    assert TWO.positive(["covid19", "normal"]).tolist() == [1, 0]


def test_a_group_that_includes_the_negative_class_is_unclear() -> None:
    space = LabelSpace(("normal", "viral", "covid19"), {"unclear": ("normal", "viral")})
    assert space.positive(["unclear", "viral"]).tolist() == [-1, 1]


def test_positive_needs_a_negative_class() -> None:
    with raises_code("dataset.no-negative-class"):
        LabelSpace(("bacterial", "viral", "covid19")).positive(["viral"])


# Decisions


def test_without_a_threshold_the_most_probable_class_is_predicted() -> None:
    p = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert FOUR.decide(p, None).tolist() == [0, 3]


def test_at_the_threshold_a_film_is_positive_and_below_it_negative() -> None:
    p = np.array([[0.75, 0.0, 0.25, 0.0], [0.751, 0.0, 0.249, 0.0], [0.749, 0.0, 0.251, 0.0]])
    assert FOUR.decide(p, 0.25).tolist() == [2, 0, 2]


def test_a_positive_film_gets_the_most_probable_of_the_other_classes() -> None:
    assert FOUR.decide(np.array([[0.6, 0.1, 0.1, 0.2]]), 0.3).tolist() == [3]


def test_a_high_threshold_overrules_the_most_probable_class() -> None:
    assert FOUR.decide(np.array([[0.3, 0.7, 0.0, 0.0]]), 0.9).tolist() == [0]


def test_thresholds_of_0_and_1_are_positive_for_all_and_for_certainty_alone() -> None:
    p = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]])
    assert FOUR.decide(p, 0).tolist() == [1, 1]
    assert FOUR.decide(p, 1).tolist() == [0, 1]


def test_without_a_negative_class_the_threshold_is_ignored() -> None:
    space = LabelSpace(("bacterial", "viral", "covid19"))
    assert space.decide(np.array([[0.2, 0.5, 0.3]]), 0.99).tolist() == [1]


def test_a_single_film_is_decided_like_many() -> None:
    assert int(FOUR.decide(np.array([0.6, 0.1, 0.1, 0.2]), 0.3)) == 3
    assert int(FOUR.decide(np.array([0.6, 0.1, 0.1, 0.2]), None)) == 0


def test_deciding_does_not_change_the_probabilities() -> None:
    p = np.array([[0.6, 0.4]])
    LabelSpace(("normal", "viral")).decide(p, 0.1)
    assert p.tolist() == [[0.6, 0.4]]
