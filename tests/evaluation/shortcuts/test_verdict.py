"""The verdict of an audit: its level and findings, from measurements made by hand."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.findings import LEVEL_NAMES, PROPERTY_NAMES, REGION_NAMES, SENTENCES, sentence_of
from cxr.evaluation.shortcuts.report import (
    COMPRESSION,
    FILE,
    LUNGS_ONLY,
    MARKS,
    MASKED,
    NOISE,
    THUMBNAIL,
    WHOLE,
    DeletionCurve,
    HeatmapShare,
    Level,
    ProbeResult,
    RandomizationStep,
    ShortcutFinding,
    ShortcutFindingCode,
    ShortcutVerdict,
    SourceResult,
)
from cxr.evaluation.shortcuts.verdict import FOLLOWED, SHOWN, SUSPECTED, TOGETHER, verdict_on
from tests.support.score_tables import audit_measurements, interval_around, probe_result, property_result

UNKNOWN = Interval(nan, nan, nan)


def verdict(**facts: Any) -> ShortcutVerdict:
    return verdict_on(audit_measurements(**facts))


def codes(found: ShortcutVerdict) -> list[ShortcutFindingCode]:
    return [finding.code for finding in found.findings]


def on_features(**lows: float) -> tuple[ProbeResult, ...]:
    lows = {"lungs_only": lows.get("whole", 0.45)} | lows
    names = {"whole": WHOLE, "lungs_only": LUNGS_ONLY, "masked": MASKED, "thumbnail": THUMBNAIL}
    return tuple(probe_result(name, lows.get(key, 0.45)) for key, name in names.items())


def outside(**lows: float) -> tuple[ProbeResult, ...]:
    return tuple(probe_result(name, lows.get(name, 0.45)) for name in REGION_NAMES)


def of_model(masked: float) -> tuple[ProbeResult, ...]:
    return probe_result(WHOLE, 0.9), probe_result(LUNGS_ONLY, 0.9), probe_result(MASKED, masked)


def test_every_code_has_a_sentence_and_every_level_a_name() -> None:
    assert set(SENTENCES) == set(ShortcutFindingCode)
    assert set(LEVEL_NAMES) == {"none found", "cannot tell", "suspected", "shown"}
    for code in ShortcutFindingCode:
        assert sentence_of(ShortcutFinding(code=code, about="border", classes=("normal", "covid19")))


def test_where_nothing_is_predictable_without_the_lungs_the_limit_of_what_is_excluded_is_a_finding() -> None:
    found = verdict(probes_on_features=on_features(masked=0.5))
    assert found.level == "none found"
    (finding,) = found.findings
    assert finding.code is ShortcutFindingCode.NOT_EXCLUDED
    assert finding.value is not None
    assert finding.compared_with is not None
    assert (finding.value.low, finding.value.high) == (0.5, pytest.approx(0.6))
    assert finding.compared_with.value == pytest.approx(0.6)
    assert found.reasons == (sentence_of(finding),)
    assert found.remarks == ()


def test_without_a_probe_on_masked_lungs_there_are_too_few_films() -> None:
    masked = ProbeResult(name=MASKED, auc=UNKNOWN)
    found = verdict(probes_on_features=(probe_result(WHOLE), masked))
    assert codes(found) == [ShortcutFindingCode.TOO_FEW_FILMS]
    assert found.level == "cannot tell"


def test_an_interval_that_reaches_a_high_risk_acquits_nobody() -> None:
    wide = ProbeResult(name=MASKED, auc=Interval(0.6, 0.4, SHOWN))
    found = verdict(probes_on_features=(probe_result(WHOLE), wide))
    assert found.level == "cannot tell"
    assert codes(found) == [ShortcutFindingCode.NOT_EXCLUDED]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"lungs": "box"}, ShortcutFindingCode.BOX_HIDES),
        ({"properties": ()}, ShortcutFindingCode.PROPERTIES_UNTESTED),
    ],
)
def test_what_hides_the_question_turns_an_acquittal_into_cannot_tell(
    facts: dict[str, Any], code: ShortcutFindingCode
) -> None:
    found = verdict(**facts)
    assert found.level == "cannot tell"
    assert codes(found) == [code, ShortcutFindingCode.NOT_EXCLUDED]
    assert found.reasons[0] in found.sentence


def test_what_hides_the_question_hides_no_suspicion() -> None:
    assert verdict(lungs="box", probes_outside_lungs=outside(corners=SUSPECTED)).level == "suspected"


@pytest.mark.parametrize(
    ("only", "level"), [(Interval(0.59, 0.53, 0.65), "suspected"), (Interval(0.8, 0.7, 0.88), "none found")]
)
def test_a_model_that_certainly_loses_with_the_lungs_only_raises_a_suspicion(only: Interval, level: Level) -> None:
    """Issue: own score 0.91 on the whole image, 0.59 on the lungs only, and cleared."""
    whole = ProbeResult(name=WHOLE, auc=Interval(0.91, 0.87, 0.95))
    found = verdict(model_scores=(whole, ProbeResult(name=LUNGS_ONLY, auc=only), probe_result(MASKED)))
    assert found.level == level
    if level == "suspected":
        assert codes(found) == [ShortcutFindingCode.MODEL_LOSES_WITH_LUNGS_ONLY]
        assert (found.findings[0].value, found.findings[0].compared_with) == (only, whole.auc)


def test_a_probe_that_certainly_loses_one_class_with_the_lungs_only_raises_a_suspicion() -> None:
    whole = probe_result(WHOLE, 0.7, {"viral": interval_around(0.95), "normal": interval_around(0.6)})
    only = probe_result(LUNGS_ONLY, 0.65, {"viral": interval_around(0.7), "normal": interval_around(0.6)})
    found = verdict(probes_on_features=(whole, only, probe_result(MASKED)))
    assert codes(found) == [ShortcutFindingCode.FEATURES_LOSE_WITH_LUNGS_ONLY]
    assert found.findings[0].classes == ("viral",)


@pytest.mark.parametrize(
    ("name", "low", "level"),
    [
        (COMPRESSION, SHOWN, "shown"),
        (MARKS, SUSPECTED, "suspected"),
        (FILE, 0.99, "suspected"),
        (NOISE, 0.6, "none found"),
    ],
)
def test_an_image_property_that_predicts_the_class_within_a_source_is_a_shortcut(
    name: str, low: float, level: Level
) -> None:
    found = verdict(properties=(property_result(name, low),))
    assert found.level == level
    if level != "none found":
        assert codes(found) == [ShortcutFindingCode.IMAGE_PROPERTY]
        assert (found.findings[0].about, found.findings[0].within) == (name, "here")
        assert PROPERTY_NAMES[name] in found.sentence


@pytest.mark.parametrize(("name", "remarked"), [(NOISE, True), (FILE, False)])
def test_a_score_that_follows_a_property_beyond_the_label_is_remarked(name: str, remarked: bool) -> None:
    found = verdict(properties=(property_result(name, followed=interval_around(FOLLOWED + 0.05)),))
    assert found.level == "none found"
    assert (ShortcutFindingCode.MODEL_FOLLOWS_PROPERTY in codes(found)) == remarked


@pytest.mark.parametrize(
    ("low", "level"), [(SHOWN, "shown"), (SUSPECTED, "suspected"), (SUSPECTED - 0.01, "none found")]
)
def test_the_lower_bound_of_the_interval_decides(low: float, level: Level) -> None:
    assert verdict(probes_on_features=on_features(masked=low)).level == level
    assert verdict(probes_outside_lungs=outside(corners=low)).level == level


def test_a_wide_interval_shows_nothing_however_high_its_value() -> None:
    assert verdict(probes_outside_lungs=(ProbeResult(name="border", auc=Interval(0.95, 0.6, 1)),)).level == "none found"


def test_an_unknown_interval_shows_nothing() -> None:
    assert verdict(probes_outside_lungs=(ProbeResult(name="border", auc=Interval(1, nan, nan)),)).level == "none found"


def test_findings_name_the_regions_with_the_most_certain_first() -> None:
    found = verdict(probes_outside_lungs=outside(corners=0.85, brightness=0.9))
    assert [finding.about for finding in found.findings[:2]] == ["brightness", "corners"]
    assert found.findings[1].classes == ("normal", "covid19")
    assert found.findings[1].value == probe_result("corners", 0.85).auc
    assert REGION_NAMES["corners"] in found.sentence
    assert REGION_NAMES["brightness"] in found.sentence


def test_of_several_classes_the_predictable_one_is_named() -> None:
    border = probe_result("border", 0.5, {"viral": interval_around(0.93), "normal": interval_around(0.6)})
    found = verdict(classes=("normal", "viral", "covid19"), probes_outside_lungs=(border,))
    assert found.level == "shown"
    assert found.findings[0].classes == ("viral",)
    assert found.findings[0].value == interval_around(0.93)


def test_shape_alone_raises_a_suspicion_only_as_the_model_does_not_see_it() -> None:
    assert verdict(probes_outside_lungs=outside(shape=0.99)).level == "suspected"


def test_the_models_own_score_with_the_lungs_masked_is_a_reason() -> None:
    found = verdict(model_scores=of_model(0.82))
    assert found.level == "shown"
    assert found.findings[0].code is ShortcutFindingCode.MODEL_WITHOUT_LUNGS
    assert found.findings[0].compared_with == probe_result(WHOLE, 0.9).auc


def test_no_remark_speaks_for_a_model_that_can_do_without_what_is_predictable_outside_the_lungs() -> None:
    """A model that knows a token alone has a low AUC with the box masked, as the box masks the token too."""
    found = verdict(probes_on_features=on_features(masked=SHOWN), model_scores=of_model(0.45))
    assert found.level == "shown"
    assert found.remarks == ()


def test_a_thumbnail_that_suffices_is_remarked_and_does_not_affect_the_level() -> None:
    thumbnail = probe_result(THUMBNAIL, 0.95, retained=Interval(0.95, 0.9, 1))
    found = verdict(probes_on_features=(*on_features(whole=0.9)[:3], thumbnail))
    assert found.level == "none found"
    assert codes(found)[1:] == [ShortcutFindingCode.THUMBNAIL_SUFFICES]
    assert "95% (90–100%)" in found.remarks[0]


@pytest.mark.parametrize(("low", "level"), [(TOGETHER, "suspected"), (TOGETHER - 0.01, "none found")])
def test_an_association_of_class_and_source_raises_a_suspicion(low: float, level: Level) -> None:
    found = verdict(class_by_source=Interval(0.6, low, 0.7), source=probe_result("source", 0.9))
    assert found.level == level
    if level == "suspected":
        (finding,) = found.findings
        assert finding.code is ShortcutFindingCode.CLASS_BY_SOURCE
        assert (finding.value, finding.compared_with) == (Interval(0.6, low, 0.7), probe_result("source", 0.9).auc)
        assert found.reasons[0] in found.sentence


def source(within: float = 0.95, held_out: float = 0.95, accuracy: float = 0.9) -> SourceResult:
    return SourceResult(
        name="north",
        films=50,
        auc_within=interval_around(within),
        auc_held_out=interval_around(held_out),
        accuracy_held_out=interval_around(accuracy),
    )


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (source(held_out=0.6), ShortcutFindingCode.WORSE_WITHOUT_SOURCE),
        (source(within=0.6), ShortcutFindingCode.WORSE_WITHIN_SOURCE),
        (source(accuracy=0.1), ShortcutFindingCode.BELOW_CHANCE_WITHOUT_SOURCE),
    ],
)
def test_a_probe_that_is_worse_on_a_source_raises_a_suspicion(result: SourceResult, code: ShortcutFindingCode) -> None:
    found = verdict(probes_on_features=on_features(whole=0.9), sources=(result,))
    assert found.level == "suspected"
    assert codes(found) == [code]
    assert found.findings[0].about == "north"


@pytest.mark.parametrize(
    "result",
    [source(), SourceResult(name="s", films=9, auc_within=UNKNOWN, auc_held_out=UNKNOWN, accuracy_held_out=UNKNOWN)],
)
def test_a_source_that_is_as_good_or_unknown_is_no_reason(result: SourceResult) -> None:
    assert verdict(probes_on_features=on_features(whole=0.9), sources=(result,)).level == "none found"


def test_heatmaps_outside_the_lungs_are_remarked_and_do_not_affect_the_level() -> None:
    share = HeatmapShare(label="covid19", lungs="outline", films=50, share=interval_around(0.2), uniform=0.3)
    found = verdict(heatmap_shares=(share, share.model_copy(update={"uniform": 0.2})))
    assert found.level == "none found"
    assert codes(found)[1:] == [ShortcutFindingCode.HEATMAPS_OUTSIDE_LUNGS]
    assert found.findings[1].classes == ("covid19",)
    assert "20% (15–25%)" in found.remarks[0]


@pytest.mark.parametrize(
    ("correlation", "code"),
    [
        (interval_around(0.1), ShortcutFindingCode.RANDOMIZATION_PASSED),
        (interval_around(0.8), ShortcutFindingCode.RANDOMIZATION_FAILED),
        (interval_around(0.5), ShortcutFindingCode.RANDOMIZATION_UNCLEAR),
        (interval_around(0, 0), ShortcutFindingCode.RANDOMIZATION_VANISHED),
    ],
)
def test_the_last_step_of_the_randomization_decides_its_check(correlation: Interval, code: ShortcutFindingCode) -> None:
    steps = (
        RandomizationStep(block="head", correlation=interval_around(0.9), ssim=0.9),
        RandomizationStep(block="b1", correlation=correlation, ssim=0.5),
    )
    assert codes(verdict(randomization=steps))[1:] == [code]


@pytest.mark.parametrize(
    ("gap", "last", "code"),
    [
        (0.2, 0.3, ShortcutFindingCode.DELETION_FASTER),
        (-0.2, 0.3, ShortcutFindingCode.DELETION_SLOWER),
        (0.01, 0.3, ShortcutFindingCode.DELETION_EQUAL),
        (0.2, 0.99, ShortcutFindingCode.DELETION_INSENSITIVE),
    ],
)
def test_the_area_between_the_deletion_curves_decides_their_check(
    gap: float, last: float, code: ShortcutFindingCode
) -> None:
    curve = DeletionCurve(
        films=9, shares=(0, 0.5), hottest=(1, last), random=(1, last), area_between=interval_around(gap)
    )
    assert codes(verdict(deletion=curve))[1:] == [code]
