"""Files of several readers become one study: scores, agreement, and reading with and without the model."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from cxr.core.errors import DatasetError
from cxr.evaluation.reader_study.jackknife import Figure
from cxr.evaluation.reader_study.score import reader_score
from cxr.evaluation.reader_study.study import reader_study
from cxr.inference.reader_responses import ReaderResponse
from tests.support.readers import responses_of


def test_a_score_is_that_of_a_count_by_hand() -> None:
    responses = responses_of("a", 1)
    score = reader_score(responses)
    ill = [one for one in responses if one.reference != "normal"]
    well = [one for one in responses if one.reference == "normal"]
    assert score.cases == 40
    assert score.with_finding == len(ill)
    assert score.alone.sensitivity.value == np.mean([one.first != "normal" for one in ill])
    assert score.alone.specificity.value == np.mean([one.first == "normal" for one in well])
    assert score.together.sensitivity.value == np.mean([one.second != "normal" for one in ill])
    assert score.model.specificity.value == np.mean([one.decision == "normal" for one in well])
    ratings = [
        1 - one.first_confidence / 100 if one.first == "normal" else one.first_confidence / 100 for one in responses
    ]
    truth = [one.reference != "normal" for one in responses]
    assert score.alone.auc.value == pytest.approx(roc_auc_score(truth, ratings))
    assert score.alone.auc.low < score.alone.auc.value < score.alone.auc.high
    own, model = (
        [answer != "normal" for answer in answers]
        for answers in zip(*((one.first, one.decision) for one in responses), strict=True)
    )
    assert score.kappa_with_model.value == pytest.approx(cohen_kappa_score(own, model))
    assert score.kappa_with_reference.value == pytest.approx(cohen_kappa_score(own, truth))
    classes = cohen_kappa_score([one.first for one in responses], [one.reference for one in responses])
    assert score.class_kappa_with_reference.value == pytest.approx(classes)


def test_changes_are_counted_by_what_became_of_right_and_wrong_answers() -> None:
    base = responses_of("a", 1, cases=4)
    normal = replace(base[0], reference="normal", decision="normal", score=0.2)

    def case(number: int, first: str, second: str) -> ReaderResponse:
        film = f"{number:016x}"
        return replace(normal, film=film, first=first, second=second, first_confidence=60, second_confidence=60)

    pairs = [
        ("normal", "normal"),
        ("viral", "normal"),
        ("viral", "normal"),
        ("normal", "viral"),
        ("viral", "bacterial"),
    ]
    changes = reader_score([case(i, *pair) for i, pair in enumerate(pairs)]).changes
    assert (changes.better, changes.worse, changes.stayed_right, changes.stayed_wrong) == (2, 1, 1, 1)
    assert changes.p == 1


def test_an_answer_without_a_label_or_of_the_old_kind_is_not_scored() -> None:
    responses = responses_of("a", 1, cases=6)
    unlabeled = replace(responses[0], film="f" * 16, reference="")
    agreeing = ReaderResponse("e" * 16, "tiny@1", "normal", 0.9, "agree")
    study = reader_study({"a": [*responses, unlabeled, agreeing]})
    assert study.cases == 6
    assert study.left_out == 2
    with pytest.raises(DatasetError) as raised:
        reader_study({"a": [unlabeled, agreeing]})
    assert raised.value.code == "dataset.nothing-to-score"


def test_an_image_without_a_prediction_counts_for_the_reader_but_not_for_the_model() -> None:
    responses = responses_of("a", 1)
    rejected = [replace(responses[0], decision="", score=None, probability=0.0), *responses[1:]]
    score, all_of_them = reader_score(rejected), reader_score(responses)
    assert score.alone.accuracy.value == all_of_them.alone.accuracy.value
    assert score.model == reader_score(responses[1:]).model
    study = reader_study({"a": rejected, "b": responses_of("b", 2)})
    assert study.model.accuracy.value == all_of_them.model.accuracy.value


def test_a_study_has_each_reader_their_agreement_and_the_comparison() -> None:
    study = reader_study({name: responses_of(name, seed) for seed, name in enumerate(("a", "b", "c"), 1)})
    assert list(study.readers) == ["a", "b", "c"]
    assert (study.cases, study.compared_cases) == (40, 40)
    assert study.model_curve.auc == pytest.approx(study.model.auc.value)
    assert -1 <= study.agreement.alone.value <= 1
    assert study.agreement.with_model.value > study.agreement.alone.value  # all follow the same model half of the time
    assert set(study.comparisons) == set(Figure)
    sensitivity = study.comparisons[Figure.SENSITIVITY]
    means = [
        np.mean([getattr(score, kind).sensitivity.value for score in study.readers.values()])
        for kind in ("alone", "together")
    ]
    assert [mean.value for mean in sensitivity.means] == pytest.approx(means)
    assert sensitivity.all_readers.interval.value == pytest.approx(means[1] - means[0])
    json.dumps(study.as_dict())


def test_readers_who_all_follow_a_better_model_gain_by_it() -> None:
    readers = {name: responses_of(name, seed, cases=120, skill=0.6, trust=0.95) for seed, name in enumerate("abcd")}
    area = reader_study(readers).comparisons[Figure.SPECIFICITY].all_readers
    assert area.interval.low > 0
    assert area.p < 0.05


def test_only_cases_that_all_readers_read_are_compared() -> None:
    few = responses_of("b", 2)[:30]
    study = reader_study({"a": responses_of("a", 1), "b": few})
    assert (study.cases, study.agreement.cases, study.compared_cases) == (40, 30, 30)


def test_without_second_answers_nothing_is_compared() -> None:
    study = reader_study({name: responses_of(name, seed, second=False) for seed, name in enumerate("ab")})
    assert study.comparisons == {}
    assert study.agreement.with_model is None
    assert study.readers["a"].together is None
    assert study.readers["a"].changes is None


def test_one_reader_has_no_agreement_and_no_p_value_for_others() -> None:
    study = reader_study({"a": responses_of("a", 1)})
    assert study.agreement is None
    assert isnan(study.comparisons[Figure.AUC].all_readers.p)


def test_a_reader_without_a_code_is_named_after_the_file() -> None:
    study = reader_study({"session.csv": [replace(one, reader="") for one in responses_of("", 1)]})
    assert list(study.readers) == ["session.csv"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "other@1"}, "dataset.different-models"),
        ({"reference": "viral"}, "dataset.different-labels"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(change: dict[str, Any], code: str) -> None:
    other = [replace(one, **change) for one in responses_of("b", 2)]
    with pytest.raises(DatasetError) as raised:
        reader_study({"a": responses_of("a", 1), "b": other})
    assert raised.value.code == code


def test_one_reader_with_two_answers_to_one_film_is_refused() -> None:
    with pytest.raises(DatasetError) as raised:
        reader_study({"a": responses_of("a", 1), "b": responses_of("a", 2)})
    assert raised.value.code == "dataset.read-twice"
