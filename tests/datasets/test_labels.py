import numpy as np
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace

GROUPS = {"pneumonia": ("bacterial", "viral", "covid19")}
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), GROUPS)
TWO = LabelSpace(("normal", "pneumonia"), GROUPS)


@pytest.mark.parametrize("classes", [(), ("normal",), ("normal", "normal"), ("normal", "viral", "normal")])
def test_a_model_needs_two_or_more_different_classes(classes):
    with pytest.raises(DatasetError, match="two or more different classes"):
        LabelSpace(classes)


# Members and targets


def test_a_class_is_itself_alone():
    assert [FOUR.members(name) for name in FOUR.classes] == [(0,), (1,), (2,), (3,)]


def test_a_group_that_is_a_class_takes_the_films_of_its_members():
    assert [TWO.members(name) for name in ("normal", "pneumonia", "bacterial", "viral", "covid19")] == [
        (0,),
        (1,),
        (1,),
        (1,),
        (1,),
    ]


def test_a_class_of_its_own_is_not_taken_by_its_group():
    assert LabelSpace(("normal", "covid19", "pneumonia"), GROUPS).members("covid19") == (1,)
    assert LabelSpace(("normal", "covid19", "pneumonia"), GROUPS).members("viral") == (2,)


def test_a_group_that_is_no_class_may_be_any_of_its_members():
    assert FOUR.members("pneumonia") == (1, 2, 3)
    assert LabelSpace(("covid19", "normal", "viral", "bacterial"), GROUPS).members("pneumonia") == (3, 2, 0)


def test_a_group_with_a_member_that_is_no_class_says_nothing():
    assert LabelSpace(("normal", "covid19"), GROUPS).members("pneumonia") == ()
    assert LabelSpace(("normal", "bacterial", "viral"), GROUPS).members("pneumonia") == ()


def test_a_group_of_all_classes_says_nothing():
    assert LabelSpace(("bacterial", "viral", "covid19"), GROUPS).members("pneumonia") == ()


@pytest.mark.parametrize("label", ["other", "", "Normal"])
def test_a_label_that_is_unknown_says_nothing(label):
    assert FOUR.members(label) == ()


def test_targets_mark_every_class_that_a_film_may_be():
    targets = FOUR.targets(["viral", "pneumonia", "normal", "other"])
    assert targets.dtype == np.float32
    assert targets.tolist() == [[0, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert FOUR.targets([]).shape == (0, 4)


# The space that labels suggest


def test_each_label_becomes_a_class_in_the_known_order_then_by_name():
    labels = ["zebra", "covid19", "viral", "apple", "normal", "viral", "bacterial"]
    assert LabelSpace.from_labels(labels, GROUPS).classes == (
        "normal",
        "bacterial",
        "viral",
        "covid19",
        "apple",
        "zebra",
    )


def test_a_group_is_no_class_where_a_member_is_there():
    assert LabelSpace.from_labels(["normal", "pneumonia", "viral"], GROUPS).classes == ("normal", "viral")


def test_a_group_is_a_class_where_no_member_is_there():
    assert LabelSpace.from_labels(["normal", "pneumonia"], GROUPS).classes == ("normal", "pneumonia")


def test_a_group_that_names_itself_is_still_a_class():
    groups = {"pneumonia": ("pneumonia",)}
    assert LabelSpace.from_labels(["normal", "pneumonia"], groups).classes == ("normal", "pneumonia")


def test_labels_left_out_and_empty_ones_become_no_class():
    assert LabelSpace.from_labels(["normal", "viral", "other", ""], GROUPS, ["other"]).classes == ("normal", "viral")


def test_a_member_left_out_does_not_unseat_its_group():
    labels = ["normal", "pneumonia", "covid19"]
    assert LabelSpace.from_labels(labels, GROUPS, ["covid19"]).classes == ("normal", "pneumonia")


def test_one_label_suggests_no_space():
    with pytest.raises(DatasetError):
        LabelSpace.from_labels(["viral", "other"], GROUPS, ["other"])


# The negative class


def test_normal_is_the_negative_class_wherever_it_stands():
    assert LabelSpace(("covid19", "viral", "normal")).negative == 2


def test_of_two_classes_without_normal_the_first_is_negative():
    assert LabelSpace(("viral", "covid19")).negative == 0


def test_of_three_classes_without_normal_none_is_negative():
    assert LabelSpace(("bacterial", "viral", "covid19")).negative is None


def test_positive_is_what_excludes_the_negative_class():
    labels = ["normal", "viral", "pneumonia", "other", ""]
    assert FOUR.positive(labels).tolist() == [0, 1, 1, -1, -1]
    assert TWO.positive(["covid19", "normal"]).tolist() == [1, 0]


def test_a_group_that_holds_the_negative_class_does_not_say():
    space = LabelSpace(("normal", "viral", "covid19"), {"unclear": ("normal", "viral")})
    assert space.positive(["unclear", "viral"]).tolist() == [-1, 1]


def test_positive_needs_a_negative_class():
    with pytest.raises(DatasetError, match="normal"):
        LabelSpace(("bacterial", "viral", "covid19")).positive(["viral"])


# Decisions


def test_without_a_threshold_the_most_probable_class_is_chosen():
    p = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert FOUR.decide(p, None).tolist() == [0, 3]


def test_at_the_threshold_a_film_is_positive_and_below_it_negative():
    p = np.array([[0.75, 0.0, 0.25, 0.0], [0.751, 0.0, 0.249, 0.0], [0.749, 0.0, 0.251, 0.0]])
    assert FOUR.decide(p, 0.25).tolist() == [2, 0, 2]


def test_a_positive_film_gets_the_most_probable_of_the_other_classes():
    assert FOUR.decide(np.array([[0.6, 0.1, 0.1, 0.2]]), 0.3).tolist() == [3]


def test_a_high_threshold_overrules_the_most_probable_class():
    assert FOUR.decide(np.array([[0.3, 0.7, 0.0, 0.0]]), 0.9).tolist() == [0]


def test_thresholds_of_nought_and_one_decide_for_all_and_for_the_certain():
    p = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0]])
    assert FOUR.decide(p, 0).tolist() == [1, 1]
    assert FOUR.decide(p, 1).tolist() == [0, 1]


def test_without_a_negative_class_the_threshold_has_no_say():
    space = LabelSpace(("bacterial", "viral", "covid19"))
    assert space.decide(np.array([[0.2, 0.5, 0.3]]), 0.99).tolist() == [1]


def test_one_film_is_decided_like_many():
    assert int(FOUR.decide(np.array([0.6, 0.1, 0.1, 0.2]), 0.3)) == 3
    assert int(FOUR.decide(np.array([0.6, 0.1, 0.1, 0.2]), None)) == 0


def test_deciding_leaves_the_probabilities_as_they_were():
    p = np.array([[0.6, 0.4]])
    LabelSpace(("normal", "viral")).decide(p, 0.1)
    assert p.tolist() == [[0.6, 0.4]]
