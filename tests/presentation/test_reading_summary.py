"""A prediction in sentences and bars, for every kind of model."""

from __future__ import annotations

import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation import subgroups
from cxr.presentation.reading_summary import (
    MIN_FILMS,
    NO_INPUT_CHECK,
    bars_html,
    decision_sentence,
    held_out_performance,
    limits,
    positive_label,
    probability_bars,
    trained_on,
)
from cxr.registry.card import InputCheckRecord
from tests.support.predictions import FOUR, GROUPS, NEITHER, TWO, card_of, predicted, results_of

BINARY = {"n": 600, "accuracy": 0.8, "sensitivity": 1.0, "specificity": 0.64, "auc": 0.9}


@pytest.mark.parametrize(
    ("labels", "p", "threshold", "sentence"),
    [
        (FOUR, [0.2, 0.5, 0.2, 0.1], 0.4, "Pneumonia: positive, 80% (threshold 40%). Most likely bacterial pneumonia."),
        (FOUR, [0.2, 0.3, 0.25, 0.25], 0.4, "Pneumonia: positive, 80% (threshold 40%)."),  # no class dominates
        (FOUR, [0.7, 0.1, 0.1, 0.1], 0.4, "Negative for pneumonia: probability 30% (threshold 40%)."),
        (
            FOUR,
            [0.7, 0.1, 0.1, 0.1],
            0.25,
            "Pneumonia: positive by threshold, 30% (threshold 25%). Most likely class: normal (70%).",
        ),
        (
            FOUR,
            [0.3, 0.1, 0.1, 0.5],
            0.8,
            "Negative for pneumonia: probability 70% (threshold 80%). Most likely class: COVID-19.",
        ),
        (TWO, [0.3, 0.7], 0.5, "COVID-19: positive, 70% (threshold 50%)."),
        (TWO, [0.3, 0.7], None, "Predicted: COVID-19, 70% (most likely class)."),
        (NEITHER, [0.1, 0.2, 0.7], None, "Predicted: Right, 70% (most likely class)."),
    ],
)
def test_the_sentence_gives_the_decision_and_its_numbers(
    labels: LabelSpace, p: list[float], threshold: float | None, sentence: str
) -> None:
    assert decision_sentence(predicted(labels, p, threshold), card_of(labels)) == sentence


def test_the_model_abstains_within_the_indeterminate_band() -> None:
    card = card_of(TWO, unsure=(0.4, 0.75))
    prediction = predicted(TWO, [0.3, 0.7], 0.5, indeterminate=True)
    bars = probability_bars(prediction, card)
    assert decision_sentence(prediction, card) == ("Indeterminate: the model abstains. COVID-19: 70% (threshold 50%).")
    assert [bar.indeterminate_band for bar in bars] == [None, (0.4, 0.75)]
    assert not any(bar.predicted for bar in bars)
    assert "indeterminate 40–75%" in bars_html(bars)
    outside = predicted(TWO, [0.1, 0.9], 0.5, indeterminate=False)
    assert decision_sentence(outside, card).startswith("COVID-19: positive")


def test_the_test_performance_is_sensitivity_and_false_positive_rate() -> None:
    four, neither = card_of(FOUR, results=results_of(FOUR, 624, 0.8, BINARY)), results_of(NEITHER, 9, 0.8, None)
    assert held_out_performance(four) == "On 624 held-out test X-rays: sensitivity 100.0%, false-positive rate 36.0%."
    assert held_out_performance(card_of(NEITHER, results=neither)) == "On 9 held-out test X-rays: accuracy 80.0%."
    assert held_out_performance(card_of(FOUR)) == ""


def test_the_training_data_are_counted_with_their_sources() -> None:
    films = {"train": {"normal": 3, "viral": 1997}}
    card = card_of(FOUR, films=films, sources={"kermany": {"normal": 3}, "": {"viral": 1997}})
    assert trained_on(card) == "Trained on 2,000 X-rays from kermany and an unknown source."
    assert trained_on(card_of(FOUR)) == "Training data unknown."


def test_the_positive_label_is_the_other_class_or_their_group() -> None:
    assert positive_label(FOUR) == "pneumonia"
    assert positive_label(TWO) == "covid19"
    assert positive_label(LabelSpace(("normal", "bacterial", "other"), GROUPS)) == "any finding"


def test_the_threshold_is_on_the_bar_it_applies_to() -> None:
    four = probability_bars(predicted(FOUR, [0.2, 0.5, 0.2, 0.1], 0.4), card_of(FOUR))
    assert [bar.label for bar in four] == ["pneumonia", "normal", "bacterial", "viral", "covid19"]
    assert [bar.threshold for bar in four] == [0.4, None, None, None, None]
    assert [bar.predicted for bar in four] == [True, False, True, False, False]
    assert four[0].probability == pytest.approx(0.8)
    two = probability_bars(predicted(TWO, [0.3, 0.7], 0.5), card_of(TWO))
    assert [(bar.label, bar.threshold) for bar in two] == [("normal", None), ("covid19", 0.5)]
    neither = probability_bars(predicted(NEITHER, [0.1, 0.2, 0.7]), card_of(NEITHER))
    assert [bar.threshold for bar in neither] == [None] * 3


def test_the_bars_have_display_names_and_escape_them() -> None:
    html = bars_html(probability_bars(predicted(TWO, [0.3, 0.7], 0.5), card_of(TWO)))
    assert "<b>COVID-19</b><span>70%</span>" in html
    labels = LabelSpace(("normal", "<script>alert(1)</script>"))
    html = bars_html(probability_bars(predicted(labels, [0.4, 0.6], 0.5), card_of(labels)))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_model_without_an_input_check_says_so() -> None:
    card = card_of(FOUR)
    record = InputCheckRecord(films=9, kinds={"frontal": 18}, held_out=5, let_through=5, unquestioned=4)
    assert NO_INPUT_CHECK in limits(card)
    assert NO_INPUT_CHECK not in limits(card.model_copy(update={"gate": record}))


def test_the_figures_of_each_source_stand_beside_those_of_all_where_there_are_several() -> None:
    def value(share: float) -> dict[str, float]:
        return {"value": share, "low": share, "high": share}

    binary = {"n": 20, "accuracy": 0.8, "auc": 0.9, "sensitivity": 0.9, "specificity": 0.88}
    groups = [
        {"name": "here", "n": 10, "patients": 10, "binary.sensitivity": value(0.46), "binary.specificity": value(0.95)},
        {"name": "there", "n": 10, "patients": 10, "binary.sensitivity": value(0.99)},
    ]
    groups[1] |= {"positive": 6, "negative": 4}
    assert MIN_FILMS == subgroups.MIN_FILMS
    results = results_of(FOUR, 20, 0.8, binary)
    source = {"column": "source", "figure": "accuracy", "worst": "", "gap": value(0.0), "sentence": "."}
    by_source = (
        " By source, sensitivity and false-positive rate: here 46.0% and 5.0%, there unknown (only 6 X-rays) and –."
    )
    for count, expected in ((2, by_source), (1, "")):
        results["test"]["groups"] = {"source": source | {"groups": groups[:count]}}
        sentence = held_out_performance(card_of(FOUR, results=results))
        assert sentence == f"On 20 held-out test X-rays: sensitivity 90.0%, false-positive rate 12.0%.{expected}"
