"""A reading in words: every kind of model, and the sentence that belongs to its numbers."""

import pytest

from cxr.datasets.labels import LabelSpace
from cxr.presentation import model_card
from cxr.presentation.reading_summary import (
    bars_html,
    decision_sentence,
    finding_name,
    limits,
    percent,
    probability_bars,
    test_record,
)
from cxr.registry.card import AgeRange, InputCheckRecord
from cxr.registry.recipe import Recipe
from tests.support.predictions import FOUR, GROUPS, NEITHER, TWO, card_of, predicted


@pytest.mark.parametrize(
    ("labels", "p", "threshold", "words"),
    [
        (
            FOUR,
            [0.2, 0.5, 0.2, 0.1],
            0.4,
            "finds pneumonia: it gives pneumonia 80 %, at or above its threshold of 40 %",
        ),
        (FOUR, [0.2, 0.3, 0.25, 0.25], 0.4, "at or above its threshold of 40 %."),  # no class has most of it
        (FOUR, [0.7, 0.1, 0.1, 0.1], 0.4, "decides for normal: it gives pneumonia 30 %, below its threshold of 40 %."),
        (
            FOUR,
            [0.7, 0.1, 0.1, 0.1],
            0.25,
            "would not rule out pneumonia: it gives pneumonia 30 %, at or above its",
        ),
        (FOUR, [0.3, 0.5, 0.1, 0.1], 0.8, "below its threshold of 80 %, though bacterial is the likeliest class."),
        (TWO, [0.3, 0.7], 0.5, "The model finds covid19: it gives covid19 70 %, at or above its threshold of 50 %."),
        (TWO, [0.3, 0.7], None, "The model decides for covid19, 70 %, the likeliest class."),
        (NEITHER, [0.1, 0.2, 0.7], None, "The model decides for right, 70 %, the likeliest class."),
    ],
)
def test_the_sentence_says_what_was_decided_and_why(labels, p, threshold, words):
    assert words in decision_sentence(predicted(labels, p, threshold), card_of(labels))


def test_within_the_unsure_band_the_reader_is_asked_to_read():
    card = card_of(TWO, unsure=(0.4, 0.75))
    unsure = predicted(TWO, [0.3, 0.7], 0.5, unsure=True)
    assert "unsure: it gives covid19 70 %" in decision_sentence(
        unsure, card
    ) and "Read it yourself" in decision_sentence(unsure, card)
    assert [bar.unsure for bar in probability_bars(unsure, card)] == [None, (0.4, 0.75)]
    assert not any(bar.decided for bar in probability_bars(unsure, card))
    assert "unsure from 40 % to 75 %" in bars_html(probability_bars(unsure, card))
    assert "finds covid19" in decision_sentence(predicted(TWO, [0.1, 0.9], 0.5, unsure=False), card)


def test_how_often_it_was_wrong_is_said_of_its_test_films():
    figures = {
        "n": 624,
        "negative": "normal",
        "accuracy": 0.8,
        "binary": {"n": 600, "sensitivity": 1, "specificity": 0.64},
    }
    said = test_record(card_of(FOUR, results={"test": figures}))
    assert "On 600 test films" in said and "over 99.9 % of pneumonia" in said
    assert "called 36 % of the normal films pneumonia too" in said
    assert "80 % were right" in test_record(
        card_of(NEITHER, results={"test": {"n": 9, "accuracy": 0.8, "binary": None}})
    )
    assert test_record(card_of(FOUR)) == ""


def test_the_finding_is_named_by_the_other_class_or_their_group():
    assert finding_name(FOUR) == "pneumonia"
    assert finding_name(TWO) == "covid19"
    assert finding_name(LabelSpace(("normal", "bacterial", "other"), GROUPS)) == "any finding"


def test_the_threshold_is_on_the_bar_it_applies_to():
    four = probability_bars(predicted(FOUR, [0.2, 0.5, 0.2, 0.1], 0.4), card_of(FOUR))
    assert [bar.name for bar in four] == ["pneumonia", "normal", "bacterial", "viral", "covid19"]
    assert [bar.threshold for bar in four] == [0.4, None, None, None, None]
    assert [bar.decided for bar in four] == [True, False, True, False, False]
    assert four[0].probability == pytest.approx(0.8)
    two = probability_bars(predicted(TWO, [0.3, 0.7], 0.5), card_of(TWO))
    assert [(bar.name, bar.threshold) for bar in two] == [("normal", None), ("covid19", 0.5)]
    assert [bar.threshold for bar in probability_bars(predicted(NEITHER, [0.1, 0.2, 0.7]), card_of(NEITHER))] == [
        None
    ] * 3


def test_a_class_s_name_is_only_ever_text():
    labels = LabelSpace(("normal", "<script>alert(1)</script>"))
    html = bars_html(probability_bars(predicted(labels, [0.4, 0.6], 0.5), card_of(labels)))
    assert "<script>" not in html and "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "under 0.1 %"), (1, "over 99.9 %"), (0.5, "50 %"), (0.051, "5.1 %"), (0.977, "97.7 %"), (0.999, "99.9 %")],
)
def test_no_probability_is_said_to_be_certain(share, words):
    assert percent(share) == words


def test_a_model_without_a_gate_says_so_and_one_with_a_gate_does_not():
    card = card_of(FOUR)
    guarded = card.model_copy(
        update={"gate": InputCheckRecord(films=9, kinds={"frontal": 18}, held_out=5, let_through=5, unquestioned=4)}
    )
    assert any("no gate" in one for one in limits(card)) and not any("no gate" in one for one in limits(guarded))
    assert any("no gate" in one for one in model_card.limits(card))
    facts = dict(model_card.facts(guarded, Recipe(name="tiny")).itertuples(index=False))
    assert "5 of 5 validation films pass, 4 without a warning" in facts["Gate"] and facts["Ages"] == "not known"
    aged = guarded.model_copy(update={"ages": AgeRange(youngest=20.5, oldest=80, known=30, films=50)})
    assert (
        "20 to 80 years (known for 30 of 50"
        in dict(model_card.facts(aged, Recipe(name="tiny")).itertuples(index=False))["Ages"]
    )
