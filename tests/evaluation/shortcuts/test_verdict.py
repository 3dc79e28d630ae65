"""What an audit comes to: levels, reasons and remarks, from measures made by hand."""

from math import nan

import pytest

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.report import DeletionCurve, HeatmapShare, ProbeResult, RandomizationStep, SourceResult
from cxr.evaluation.shortcuts.verdict import SHOWN, SUSPECTED, TOGETHER, verdict_on
from tests.support.score_tables import about, measured, told


def heads(**lows):
    names = ("whole film", "lungs only", "lungs hidden", "thumbnail")
    return tuple(told(name, lows.get(name.replace(" ", "_"), 0.45)) for name in names)


def probes(**lows):
    return tuple(told(name, lows.get(name, 0.45)) for name in ("corners", "border", "brightness", "sharpness", "shape"))


def test_where_nothing_is_told_without_the_lungs_none_is_found_and_what_could_have_been_missed_is_said():
    verdict = verdict_on(measured(heads=heads(lungs_hidden=0.5)))
    assert verdict.level == "none found" and verdict.sentence == "No shortcut found on 200 films of 150 patients."
    assert "AUC of 0.55 (0.50 to 0.60)" in verdict.reasons[0] and "reaches 0.60" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("low", "level"), [(SHOWN, "shown"), (SUSPECTED, "suspected"), (SUSPECTED - 0.01, "none found")]
)
def test_the_lower_end_of_the_interval_decides(low, level):
    assert verdict_on(measured(heads=heads(lungs_hidden=low))).level == level
    assert verdict_on(measured(probes=probes(corners=low))).level == level


def test_a_wide_interval_shows_nothing_however_high_its_middle():
    wide = ProbeResult(name="border", auc=Interval(0.95, 0.6, 1))
    assert verdict_on(measured(probes=(wide,))).level == "none found"


def test_an_interval_that_is_not_known_shows_nothing():
    unknown = ProbeResult(name="border", auc=Interval(1, nan, nan))
    assert verdict_on(measured(probes=(unknown,))).level == "none found"


def test_the_verdict_names_what_tells_the_class_the_surest_first():
    verdict = verdict_on(measured(probes=probes(corners=0.85, brightness=0.9)))
    assert verdict.sentence == (
        "Shortcut shown: normal and covid19 can be told without the lungs (AUC up to 0.95); it shows in brightness and "
        "contrast outside of the lungs and the corners."
    )
    assert (
        verdict.reasons[1]
        == "From the corners alone, normal and covid19 are told apart at an AUC of 0.90 (0.85 to 0.95)."
    )


def test_of_several_classes_the_one_that_is_told_is_named():
    border = told("border", 0.5, {"viral": about(0.93), "normal": about(0.6)})
    verdict = verdict_on(measured(classes=("normal", "viral", "covid19"), probes=(border,)))
    assert (
        verdict.level == "shown"
        and "viral can be told without the lungs (AUC up to 0.93); it shows in the border" in verdict.sentence
    )
    assert verdict.reasons[0].startswith("From the border alone, viral is told from the rest at an AUC of 0.93")


def test_shape_and_size_alone_raise_a_suspicion_only_as_the_model_does_not_see_them():
    assert verdict_on(measured(probes=probes(shape=0.99))).level == "suspected"


def test_the_models_own_score_without_lungs_is_a_reason():
    own = (told("whole film", 0.9), told("lungs only"), told("lungs hidden", 0.82))
    verdict = verdict_on(measured(own=own))
    assert verdict.level == "shown"
    assert verdict.reasons[0].startswith("With the lungs hidden, the model itself tells normal and covid19 apart")
    assert verdict.reasons[0].endswith("of the whole film, 0.95 (0.90 to 1.00).")


@pytest.mark.parametrize(("without", "said"), [(0.55, True), (SHOWN - 0.05, False)])
def test_where_a_head_tells_without_the_lungs_what_the_model_itself_does_not_that_is_said(without, said):
    own = (told("whole film", 0.9), told("lungs only"), told("lungs hidden", without))
    verdict = verdict_on(measured(heads=heads(lungs_hidden=SHOWN), own=own))
    assert verdict.level == "shown"
    assert any("makes less use of what is not lung than it could" in remark for remark in verdict.remarks) == said


def test_nothing_is_said_of_a_shortcut_unused_where_there_is_none():
    own = (told("whole film", 0.9), told("lungs only"), told("lungs hidden", 0.45))
    assert not verdict_on(measured(heads=heads(whole_film=0.9), own=own)).remarks


def test_a_thumbnail_may_see_large_disease_and_is_no_ground():
    kept = Interval(0.95, 0.9, 1)
    thumb = (*heads(whole_film=0.9)[:3], told("thumbnail", 0.95, kept=kept))
    verdict = verdict_on(measured(heads=thumb))
    assert (
        verdict.level == "none found"
        and "64 grey values" in verdict.remarks[0]
        and "95% (90% to 100%)" in verdict.remarks[0]
    )


@pytest.mark.parametrize(("low", "level"), [(TOGETHER, "suspected"), (TOGETHER - 0.01, "none found")])
def test_class_and_source_that_go_together_raise_a_suspicion(low, level):
    verdict = verdict_on(measured(together=Interval(0.6, low, 0.7), source=told("source", 0.9)))
    assert verdict.level == level
    if level == "suspected":
        assert verdict.sentence.startswith(
            "Shortcut suspected: class and source go together in these films (Cramer's V 0.60"
        )
        assert "source is told from the features at an AUC of 0.95" in verdict.reasons[0]


def source(inside=0.95, outside=0.95, right=0.9):
    return SourceResult(
        name="north", films=50, auc_within=about(inside), auc_held_out=about(outside), accuracy_held_out=about(right)
    )


def test_a_head_that_does_worse_on_a_source_that_it_has_not_seen_raises_a_suspicion():
    assert verdict_on(measured(heads=heads(whole_film=0.9), sources=(source(),))).level == "none found"
    for worse, said in (
        (source(outside=0.6), "Trained without north and asked"),
        (source(inside=0.6), "Within north alone"),
    ):
        verdict = verdict_on(measured(heads=heads(whole_film=0.9), sources=(worse,)))
        assert verdict.level == "suspected" and verdict.reasons[0].startswith(said)


def test_a_source_that_is_called_wrong_more_often_than_by_chance_raises_a_suspicion():
    verdict = verdict_on(measured(heads=heads(whole_film=0.9), sources=(source(right=0.1),)))
    assert verdict.reasons == (
        "Trained without north, a head calls 10% (5% to 15%) of its films what they are: chance does better.",
    )


def test_what_a_source_cannot_tell_is_no_reason():
    unknown = Interval(nan, nan, nan)
    one = SourceResult(name="north", films=50, auc_within=unknown, auc_held_out=unknown, accuracy_held_out=unknown)
    assert verdict_on(measured(heads=heads(whole_film=0.9), sources=(one,))).level == "none found"


def test_heat_beside_the_lungs_is_remarked_and_no_ground():
    beside = HeatmapShare(label="covid19", lungs="outline", films=50, share=about(0.2), uniform=0.3)
    verdict = verdict_on(measured(heat=(beside, beside.model_copy(update={"uniform": 0.2}))))
    assert verdict.level == "none found"
    assert verdict.remarks == (
        "The heatmaps of covid19 films lie less in the lungs (20% (15% to 25%)) than a map without any preference "
        "would (30%).",
    )


@pytest.mark.parametrize(
    ("value", "said"), [(0.1, "depend on what the model learnt:"), (0.8, "hardly depend"), (0.5, "cannot be told")]
)
def test_heatmaps_that_stay_when_all_is_forgotten_are_no_evidence(value, said):
    steps = (
        RandomizationStep(block="head", correlation=about(0.9), ssim=0.9),
        RandomizationStep(block="b1", correlation=about(value), ssim=0.5),
    )
    assert said in verdict_on(measured(randomised=steps)).remarks[0]


def test_heatmaps_that_vanish_when_all_is_forgotten_are_no_evidence_either():
    (remark,) = verdict_on(
        measured(randomised=(RandomizationStep(block="b1", correlation=about(0, 0), ssim=0.0),))
    ).remarks
    assert remark == "The heatmaps vanish once all weights are shuffled, which says little of what they show before."


@pytest.mark.parametrize(
    ("gap", "last", "said"),
    [
        (0.2, 0.3, "more than elsewhere"),
        (-0.2, 0.3, "less than elsewhere"),
        (0.01, 0.3, "as much as elsewhere"),
        (0.2, 0.99, "so sure that it does not miss half of a film"),
    ],
)
def test_what_hiding_the_hottest_does_is_told(gap, last, said):
    curve = DeletionCurve(films=9, shares=(0, 0.5), hottest=(1, last), random=(1, last), area_between=about(gap))
    assert said in verdict_on(measured(deletion=curve)).remarks[0]
