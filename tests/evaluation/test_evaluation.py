"""Metrics against values worked out by hand and against scikit-learn."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, recall_score, roc_auc_score

from cxr.core.errors import DatasetError
from cxr.core.ranking import roc_auc
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.metrics import ranking_metrics
from cxr.evaluation.operating_point import (
    MIN_NORMALS,
    YOUDEN,
    OperatingPoint,
    ThresholdRule,
    choose_threshold,
    threshold_spread,
)
from cxr.evaluation.scores import probabilities_of, read_scores, score_table
from cxr.evaluation.significance import auc_covariance
from tests.support.score_tables import binary_metrics
from tests.support.training import tiny_recipe

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def scores_of(classes, rows):
    """A score table of (label, probabilities) rows."""
    table = pd.DataFrame({"label": [label for label, *_ in rows]})
    for k, name in enumerate(classes):
        table["p_" + name] = [float(row[k + 1]) for row in rows]
    return table


def drawn_scores(labels, seed, films=200, decimals=2):
    """Random labels and probabilities with many ties, somewhat better than chance."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(labels.classes), films)
    p = rng.dirichlet(np.ones(len(labels.classes)), films)
    p[np.arange(films), truth] += 0.3
    p = np.round(p / p.sum(axis=1, keepdims=True), decimals)
    return scores_of(labels.classes, [(labels.classes[k], *row) for k, row in zip(truth, p, strict=True)])


def films_table(**columns):
    table = {
        "dataset": ["a", "a", "a", "b"],
        "path": ["1.png", "2.png", "3.png", "1.png"],
        "label": ["normal", "covid19", "covid19", "normal"],
        "patient_id": ["Jane Doe", "John Roe", "Jane Doe", "Jane Doe"],
        "source": ["x", "x", "y", "y"],
        "view": ["PA", "AP", "", "PA"],
        "sex": ["F", "M", "F", ""],
        "age": ["044", "12", "", "61"],
        "role": ["val", "test", "test", "test"],
    }
    return pd.DataFrame(table | columns)


def test_binary_results_are_those_worked_out_by_hand():
    table = scores_of(
        TWO.classes,
        [
            ("normal", 0.9, 0.1),
            ("normal", 0.7, 0.3),
            ("normal", 0.4, 0.6),
            ("covid19", 0.2, 0.8),
            ("covid19", 0.7, 0.3),
            ("covid19", 0.1, 0.9),
            ("covid19", 0.45, 0.55),
        ],
    )
    found = evaluate(labeled_cases(table, TWO, 0.5))
    assert found.confusion == ((2, 1), (1, 3))
    assert found.n == 7
    assert found.left_out == 0
    assert found.accuracy == pytest.approx(5 / 7)
    assert found.recall == pytest.approx({"normal": 2 / 3, "covid19": 3 / 4})
    assert found.macro_f1 == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert binary_metrics(found).sensitivity == pytest.approx(3 / 4)
    assert binary_metrics(found).specificity == pytest.approx(2 / 3)
    # of 12 pairs of a covid19 and a normal film: 9 - 0.3 against 0.3 is half, 0.3 and 0.55 against 0.6 are none
    assert binary_metrics(found).auc == found.auc["covid19"] == pytest.approx((3 + 1.5 + 3 + 2) / 12)


def test_the_threshold_decides_and_a_score_that_reaches_it_is_positive():
    table = scores_of(TWO.classes, [("normal", 0.75, 0.25), ("covid19", 0.5, 0.5)])
    assert evaluate(labeled_cases(table, TWO, 0.25)).confusion == ((0, 1), (0, 1))
    assert evaluate(labeled_cases(table, TWO, 0.5)).confusion == ((1, 0), (0, 1))
    assert evaluate(labeled_cases(table, TWO, 0.75)).confusion == ((1, 0), (1, 0))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("labels", [TWO, FOUR], ids=["two", "four"])
def test_results_agree_with_scikit_learn_with_ties(labels, seed):
    table = drawn_scores(labels, seed)
    p, truth = probabilities_of(table, labels.classes), np.array([labels.classes.index(x) for x in table["label"]])
    decided, everything = p.argmax(axis=1), range(len(labels.classes))
    found = evaluate(labeled_cases(table, labels, None))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, decided, labels=everything))
    assert found.accuracy == pytest.approx((truth == decided).mean())
    assert found.macro_f1 == pytest.approx(f1_score(truth, decided, average="macro"))
    assert list(found.recall.values()) == pytest.approx(list(recall_score(truth, decided, average=None)))
    for k, name in enumerate(labels.classes):
        assert found.auc[name] == pytest.approx(roc_auc_score(truth == k, p[:, k]))
    assert binary_metrics(found).auc == pytest.approx(roc_auc_score(truth != 0, 1 - p[:, 0]))


def test_macro_f1_is_the_mean_over_the_classes_that_occur():
    table = scores_of(FOUR.classes, [("normal", 1, 0, 0, 0), ("viral", 0, 0, 1, 0), ("viral", 0, 0, 0, 1)])
    found = evaluate(labeled_cases(table, FOUR, None))
    assert found.macro_f1 == pytest.approx(f1_score([0, 2, 2], [0, 2, 3], labels=[0, 2], average="macro"))
    assert math.isnan(found.recall["bacterial"])
    assert math.isnan(found.auc["bacterial"])


@pytest.mark.parametrize("seed", range(20))
def test_auc_agrees_with_scikit_learn_where_all_but_a_few_scores_are_tied(seed):
    rng = np.random.default_rng(seed)
    truth, score = rng.random(30) < 0.5, rng.integers(0, 3, 30) / 2
    assert roc_auc(truth, score) == pytest.approx(roc_auc_score(truth, score))


@pytest.mark.parametrize("seed", range(20))
def test_the_weighted_auc_and_delongs_are_the_one_auc_where_all_weights_are_one(seed):
    rng = np.random.default_rng(seed)
    reference, scores = rng.random(40) < 0.4, rng.integers(0, 9, 40) / 8
    single = roc_auc(reference, scores)
    assert ranking_metrics(scores, reference, np.ones((40, 2)))[0] == pytest.approx([single, single], abs=1e-12)
    assert auc_covariance(reference, scores, np.arange(40))[0] == pytest.approx([single], abs=1e-12)


def test_a_film_of_a_coarse_label_is_right_with_any_of_its_classes():
    rows = [("pneumonia", 0.1, 0.6, 0.2, 0.1), ("pneumonia", 0.1, 0.1, 0.1, 0.7), ("pneumonia", 0.7, 0.1, 0.1, 0.1)]
    table = scores_of(FOUR.classes, [*rows, ("normal", 0.9, 0.1, 0, 0), ("viral", 0.2, 0.1, 0.6, 0.1)])
    found = evaluate(labeled_cases(table, FOUR, 0.5))
    assert found.n == 5
    assert found.left_out == 0
    assert found.accuracy == pytest.approx(4 / 5)
    assert np.sum(found.confusion) == 2  # it cannot be said in which row of a class a coarse label belongs
    assert found.coarse == {"pneumonia": (1, 1, 0, 1)}
    assert found.as_dict()["coarse"] == found.coarse
    assert list(found.rows) == [*FOUR.classes, "pneumonia (any)"]
    assert binary_metrics(found).n == 5
    assert binary_metrics(found).sensitivity == pytest.approx(3 / 4)
    assert binary_metrics(found).auc == pytest.approx(1.0)


def test_sensitivity_and_specificity_are_those_of_the_matrix_with_its_coarse_rows():
    rows = [("pneumonia", 0.1, 0.6, 0.2, 0.1), ("pneumonia", 0.7, 0.1, 0.1, 0.1), ("viral", 0.9, 0.1, 0, 0)]
    rows += [("normal", 0.9, 0.1, 0, 0), ("normal", 0.1, 0.9, 0, 0)]
    found = evaluate(labeled_cases(scores_of(FOUR.classes, rows), FOUR, 0.5))
    positives = np.array([row for name, row in found.rows.items() if name != "normal"])
    assert binary_metrics(found).sensitivity == positives[:, 1:].sum() / positives.sum() == 1 / 3
    assert binary_metrics(found).specificity == found.rows["normal"][0] / sum(found.rows["normal"])


def test_a_coarse_label_that_is_itself_a_class_takes_its_members_films():
    labels = LabelSpace(("normal", "pneumonia"), {"pneumonia": ("bacterial", "viral")})
    table = scores_of(labels.classes, [("bacterial", 0.1, 0.9), ("viral", 0.8, 0.2), ("normal", 0.6, 0.4)])
    assert evaluate(labeled_cases(table, labels, None)).confusion == ((1, 0), (1, 1))


def test_without_a_negative_class_there_is_no_binary_result_and_the_threshold_says_nothing():
    labels = LabelSpace(("bacterial", "viral", "covid19"))
    table = scores_of(labels.classes, [("bacterial", 0.4, 0.3, 0.3), ("viral", 0.2, 0.5, 0.3)])
    assert (
        evaluate(labeled_cases(table, labels, 0.99)).confusion == evaluate(labeled_cases(table, labels, None)).confusion
    )
    assert evaluate(labeled_cases(table, labels, None)).binary is None
    assert evaluate(labeled_cases(table, labels, None)).as_dict()["binary"] is None
    assert choose_threshold(table, labels) is None


def test_films_that_the_model_knows_no_label_for_are_counted_and_left_out():
    rows = [("normal", 0.9, 0.1), ("covid19", 0.2, 0.8)]
    unknown = [("tuberculosis", 0.9, 0.1), ("pneumonia", 0.2, 0.8), ("", 0.5, 0.5)]
    found = evaluate(labeled_cases(scores_of(TWO.classes, unknown + rows), TWO, 0.5))
    assert (found.n, found.left_out, found.accuracy) == (2, 3, 1.0)
    assert binary_metrics(found).n == 2


def test_films_of_unknown_labels_alone_cannot_be_evaluated():
    with pytest.raises(DatasetError) as refused:
        evaluate(labeled_cases(scores_of(TWO.classes, [("tuberculosis", 0.9, 0.1)]), TWO, 0.5))
    assert refused.value.code == "dataset.no-labels"


def test_what_one_class_alone_cannot_tell_is_not_a_number_and_null_in_json():
    found = evaluate(labeled_cases(scores_of(TWO.classes, [("normal", 0.9, 0.1), ("normal", 0.3, 0.7)]), TWO, 0.5))
    assert math.isnan(found.auc["covid19"])
    assert math.isnan(binary_metrics(found).auc)
    assert math.isnan(binary_metrics(found).sensitivity)
    assert math.isnan(found.recall["covid19"])
    assert binary_metrics(found).specificity == 0.5
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["auc"] == {"normal": None, "covid19": None}
    assert said["binary"]["auc"] is None
    assert said["recall"]["covid19"] is None
    assert said["binary"]["specificity"] == 0.5


def youden(table, labels, threshold):
    binary = binary_metrics(evaluate(labeled_cases(table, labels, threshold)))
    return binary.sensitivity + binary.specificity - 1


@pytest.mark.parametrize("decimals", [1, 2, 6])
def test_no_cut_is_better_than_the_chosen_threshold(decimals):
    for seed in range(15):
        table = drawn_scores(TWO, seed, films=int(np.random.default_rng(seed).integers(4, 60)), decimals=decimals)
        if table["label"].nunique() < 2:
            continue
        chosen = choose_threshold(table, TWO)
        score = 1 - table["p_normal"].to_numpy()
        cuts = [0.0, *np.unique(score), 1.1]
        assert youden(table, TWO, chosen) == pytest.approx(max(youden(table, TWO, cut) for cut in cuts)), seed


@pytest.mark.parametrize("floor", [0.5, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_floor_gives_the_highest_threshold_that_keeps_the_sensitivity(floor, seed):
    table = drawn_scores(TWO, seed)
    chosen = choose_threshold(table, TWO, ThresholdRule(sensitivity=floor))
    assert binary_metrics(evaluate(labeled_cases(table, TWO, chosen))).sensitivity >= floor
    next_score = np.sort(np.unique(1 - table["p_normal"]))
    above = next_score[next_score > chosen]
    assert len(above) < 2 or binary_metrics(evaluate(labeled_cases(table, TWO, above[1]))).sensitivity < floor


@pytest.mark.parametrize("seed", range(4))
def test_a_specificity_is_kept_in_the_source_where_it_is_hardest(seed):
    rng = np.random.default_rng(seed)
    parts = []
    for source, shift, films in (("home", -2.0, 300), ("elsewhere", 0.0, 60), ("few", 3.0, MIN_NORMALS - 1)):
        score = 1 / (1 + np.exp(-rng.normal(shift, 1, films)))
        parts.append(pd.DataFrame({"label": "normal", "source": source, "p_covid19": score.round(6)}))
    ill = pd.DataFrame({"label": "covid19", "source": "home", "p_covid19": rng.uniform(0.3, 1, 100).round(6)})
    table = pd.concat([*parts, ill], ignore_index=True)
    table["p_normal"] = 1 - table["p_covid19"]
    chosen = choose_threshold(table, TWO, ThresholdRule(specificity=0.9))
    assert chosen is not None
    score, normal = table["p_covid19"].to_numpy(), table["label"] == "normal"
    by_source = {name: (score[normal & (table["source"] == name)] < chosen).mean() for name in ("home", "elsewhere")}
    assert by_source["home"] > by_source["elsewhere"] >= 0.9
    lower = np.unique(score[score < chosen])[-1]
    assert (score[normal & (table["source"] == "elsewhere")] < lower).mean() < 0.9
    pooled = choose_threshold(table.assign(source="one"), TWO, ThresholdRule(specificity=0.9))
    assert pooled is not None
    assert pooled < chosen


def test_a_specificity_that_no_threshold_reaches_is_named():
    table = pd.DataFrame({"label": ["normal"] * 25 + ["covid19"] * 25, "role": "val", "source": "home"})
    table["p_normal"] = [*np.linspace(0.99, 0.3, 24), 0.001, *np.linspace(0.5, 0.02, 25)]
    table["p_covid19"] = 1 - table["p_normal"]
    rules = {}
    for asked in (0.99, 0.95):
        decision = {"rule": "specificity", "specificity": asked}
        point = OperatingPoint.choose(tiny_recipe(decision=decision), TWO, table)
        assert point.threshold == choose_threshold(table, TWO, ThresholdRule(specificity=asked))
        rules[asked] = point.threshold_rule
    assert rules[0.95] == "specificity of at least 0.95 in every source on validation X-rays"
    assert " 0.960 " in rules[0.99]


def test_the_spread_of_a_threshold_narrows_with_more_patients_and_holds_their_x_rays_together():
    def width(table):
        spread = threshold_spread(table, TWO, ThresholdRule(0.9))
        assert spread is not None
        assert spread[0] < spread[1]
        return spread[1] - spread[0]

    few = drawn_scores(TWO, 0, films=60, decimals=6)
    assert width(drawn_scores(TWO, 0, films=1600, decimals=6)) < 0.6 * width(few)
    repeated = pd.concat([few.assign(patient=np.arange(60))] * 20, ignore_index=True)
    assert width(repeated.assign(patient=np.arange(len(repeated)))) < 0.6 * width(repeated)
    assert threshold_spread(drawn_scores(TWO, 0, films=50).assign(label="normal"), TWO) is None


def test_a_rule_names_itself_and_refuses_an_impossible_sensitivity():
    assert str(YOUDEN) == "Youden"
    assert str(ThresholdRule(0.95)) == "sensitivity of at least 0.95"
    for floor in (0, -1, 1.5):
        with pytest.raises(DatasetError) as refused:
            ThresholdRule(floor)
        assert refused.value.code == "dataset.bad-sensitivity"


def test_separated_classes_get_a_threshold_in_the_middle_of_the_gap():
    rows = [("normal", 0.95, 0.05), ("normal", 0.8, 0.2), ("covid19", 0.4, 0.6), ("covid19", 0.1, 0.9)]
    assert choose_threshold(scores_of(TWO.classes, rows), TWO) == pytest.approx(0.4)


@pytest.mark.parametrize(("normal", "covid19"), [(0.999999, 1.0), (0.0, 0.000001), (0.500000, 0.500001)])
def test_the_threshold_lies_between_scores_that_the_last_stored_digit_tells_apart(normal, covid19):
    rows = [("normal", 1 - normal, normal), ("covid19", 1 - covid19, covid19)]
    table = scores_of(TWO.classes, rows)
    assert youden(table, TWO, choose_threshold(table, TWO)) == 1


def test_films_that_say_nothing_of_the_negative_class_do_not_move_the_threshold():
    rows = [("normal", 0.9, 0.1), ("covid19", 0.3, 0.7)]
    table, more = scores_of(TWO.classes, rows), scores_of(TWO.classes, [*rows, ("tuberculosis", 0.6, 0.4)])
    assert choose_threshold(table, TWO) == choose_threshold(more, TWO)


@pytest.mark.parametrize("label", ["normal", "covid19", "tuberculosis"])
def test_one_class_alone_gives_no_threshold(label):
    assert choose_threshold(scores_of(TWO.classes, [(label, 0.9, 0.1), (label, 0.2, 0.8)]), TWO) is None


def test_stored_scores_number_the_patients_and_name_none():
    table = score_table(films_table(), np.full((4, 2), 0.5, np.float32), TWO.classes)
    assert list(table["patient"]) == [0, 1, 0, 2]  # one name in two datasets is two patients
    assert "patient_id" not in table
    assert "Doe" not in table.to_csv()
    assert "Roe" not in table.to_csv()


def test_scores_come_back_from_a_file_as_they_were_stored(tmp_path):
    p = np.array([[0.1234567, 0.8765433], [1, 0], [1e-7, 1], [0.5, 0.5]], np.float32)
    films = films_table(dataset=["2020", "2020", "2020", "007"], source=["1", "1", "2", ""], path=["1", "2", "3", "4"])
    table = score_table(films, p, TWO.classes)
    table.to_csv(tmp_path / "scores.csv", index=False)
    back = read_scores(tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert list(back["dataset"]) == ["2020", "2020", "2020", "007"]
    assert list(back["age"]) == ["044", "12", "", "61"]
    np.testing.assert_allclose(probabilities_of(back, TWO.classes), p, atol=5.1e-7)
    assert evaluate(labeled_cases(back, TWO, 0.5)) == evaluate(labeled_cases(table, TWO, 0.5))


@pytest.mark.parametrize("text", ["", "p_normal,p_covid19\n0.5,0.5\n"])
def test_scores_that_are_no_score_table_are_refused(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DatasetError) as refused:
        read_scores(tmp_path / "scores.csv")
    assert refused.value.code == "dataset.scores-unreadable"
    with pytest.raises(DatasetError) as refused:
        read_scores(tmp_path / "missing.csv")
    assert refused.value.code == "dataset.scores-unreadable"
