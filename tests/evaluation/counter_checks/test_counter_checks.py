"""Counter-checks: what each change leaves of an image, and what they say of models whose evidence is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxr.core.errors import CxrError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.counter_checks.changes import (
    CORNER,
    HOTTEST_SHARE,
    Change,
    CheckedImage,
    CheckKind,
    filled,
    text_mask,
)
from cxr.evaluation.counter_checks.counter_check import NOTABLE, CounterCheck, CounterChecks, run_counter_checks
from cxr.evaluation.shortcuts.lungs import bounding_rectangle
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.classifier import Prediction
from cxr.presentation import counter_check_text as words
from cxr.presentation.counter_check_picture import COLUMNS, TEXT_PX, TILE_PX, cell_texts, counter_check_png

SIDE = 128
Pixels = NDArray[np.uint8]
CLASSES = ("normal", "bacterial", "viral")


class RuleClassifier:
    """A classifier whose probability of a finding is a known function of the pixels."""

    def __init__(self, rule: Callable[[Pixels], float], classes: Sequence[str] = CLASSES) -> None:
        self.labels, self.size_px, self.rule = LabelSpace(tuple(classes)), SIDE, rule

    def read_batch(self, films: list[Film]) -> list[Prediction]:
        return [self._read(film.fitted(self.size_px)) for film in films]

    def _read(self, pixels: Pixels) -> Prediction:
        share, classes = float(np.clip(self.rule(pixels), 0, 1)), self.labels.classes
        probabilities = np.array([1 - share, 0.75 * share, 0.25 * share][: len(classes)], np.float32)
        probabilities[-1] += 1 - probabilities.sum()
        heat = np.zeros((len(classes), 8, 8), np.float32)
        heat[:, 5:7, 1:3] = 1  # the right lower lung
        threshold = 0.5
        decision = classes[int(self.labels.decide(probabilities[None], threshold)[0])]
        score = float(1 - probabilities[0])
        return Prediction(classes, probabilities, decision, threshold, heat, heat.max((1, 2)), score, heat[0], 1.0)


def phantom(finding: str = "bacterial", seed: int = 3, size_px: int = 256) -> Film:
    return Film.from_pixels(draw_phantom(finding, seed, size_px).pixels)


def checks_of(rule: Callable[[Pixels], float], film: Film | None = None, **options: Any) -> CounterChecks:
    classifier: Any = RuleClassifier(rule)
    return run_counter_checks(classifier, film or phantom(), **options)


def marked_corner() -> Film:
    pixels = draw_phantom("bacterial", 3, 256).pixels.copy()
    pixels[-20:, :20] = 250
    return Film.from_pixels(pixels)


def by_corner(pixels: Pixels) -> float:
    return 0.9 if pixels[-4:, :4].mean() > 200 else 0.1


def by_hot_region(pixels: Pixels) -> float:
    """High while the right lower lung has its texture."""
    return 0.9 if pixels[84:108, 20:44].astype(float).std() > 0.6 * REFERENCE else 0.2


REFERENCE = float(phantom().fitted(SIDE)[84:108, 20:44].astype(float).std())


def test_a_model_that_reads_a_mark_in_a_corner_is_shown_to_do_so() -> None:
    checks = checks_of(by_corner, marked_corner())
    assert checks.probability == pytest.approx(0.9)
    corners, lungs = checks.of(Change.HIDE_CORNERS), checks.of(Change.HIDE_LUNGS)
    assert corners
    assert corners.shift == pytest.approx(-0.8)
    assert corners.decision_changes
    assert lungs
    assert not lungs.notable
    sentences = " ".join(words.findings(checks))
    assert words.STABLE_WITHOUT_LUNGS in sentences
    assert "from 90.0% to 10%" in sentences or "from 90% to 10%" in sentences
    assert words.NOTHING_NOTABLE not in sentences


def test_a_model_that_reads_the_hot_region_loses_its_finding_there_and_not_elsewhere() -> None:
    checks = checks_of(by_hot_region)
    hottest, elsewhere = checks.of(Change.HIDE_HOTTEST), checks.of(Change.HIDE_ELSEWHERE)
    assert hottest
    assert hottest.decision_changes
    assert elsewhere
    assert not elsewhere.notable
    lungs, corners = checks.of(Change.HIDE_LUNGS), checks.of(Change.HIDE_CORNERS)
    assert lungs
    assert lungs.decision_changes
    assert corners
    assert not corners.notable


def test_a_model_that_reads_nothing_of_the_image_is_not_called_sound() -> None:
    checks = checks_of(lambda pixels: 0.9)
    assert not any(check.notable for check in checks.checks)
    assert words.NOTHING_NOTABLE not in words.findings(checks)  # it needs neither lungs nor the hottest region


def test_the_brightness_of_an_image_is_not_evidence() -> None:
    level = float(phantom().fitted(SIDE).mean())
    checks = checks_of(lambda pixels: 0.1 + 0.8 * (pixels.mean() > level + 10))
    unstable = [check.change for check in checks.checks if check.notable and check.change.kind is CheckKind.HARMLESS]
    assert unstable == [Change.BRIGHTEN]


def test_a_class_can_be_asked_about() -> None:
    checks = checks_of(by_corner, marked_corner(), target="viral")
    assert checks.target == "viral"
    assert checks.probability == pytest.approx(0.225, abs=1e-3)
    classifier: Any = RuleClassifier(by_corner, ("viral", "covid19", "bacterial"))
    assert run_counter_checks(classifier, marked_corner()).target  # without a negative class: the predicted one
    with pytest.raises(CxrError):
        checks_of(by_corner, target="pneumothorax")


def test_the_json_has_a_row_for_each_change_and_those_that_were_not_made() -> None:
    content = checks_of(by_corner).as_dict()
    made = [row["change"] for row in content["checks"]]
    assert {*made, *content["not_made"]} == {change.value for change in Change}
    assert not set(made) & set(content["not_made"])
    assert all(row["shift"] == pytest.approx(row["probability"] - content["probability"]) for row in content["checks"])
    assert 0 < NOTABLE < 0.5


def image_of(film: Film) -> CheckedImage:
    heat = np.zeros((8, 8), np.float32)
    heat[5:7, 1:3] = 1
    return CheckedImage(film, heat, SIDE)


def test_each_change_touches_what_it_should_and_nothing_else() -> None:
    image = image_of(phantom())
    own = image.pixels
    touched = {change: made != own for change in Change if (made := image.changed(change)) is not None}
    rectangle, side = bounding_rectangle(image.lungs), SIDE // CORNER
    assert not touched[Change.HIDE_LUNGS][~rectangle].any()
    assert not touched[Change.LUNGS_ONLY][image.lungs].any()
    assert not touched[Change.HIDE_CORNERS][side:-side].any()
    assert touched[Change.HIDE_HOTTEST].mean() <= HOTTEST_SHARE
    assert touched[Change.HIDE_HOTTEST][72:120, 8:56].sum() == touched[Change.HIDE_HOTTEST].sum()
    inverted = image.changed(Change.INVERT)
    assert inverted is not None
    assert (inverted == 255 - own).all()


def test_a_blank_heatmap_has_no_hottest_region() -> None:
    image = CheckedImage(phantom(), np.zeros((8, 8), np.float32), SIDE)
    assert image.changed(Change.HIDE_HOTTEST) is None
    assert image.changed(Change.HIDE_ELSEWHERE) is None


def written(text: str, at: tuple[int, int], level: int = 255) -> tuple[Pixels, Pixels]:
    """A phantom of 512 px without and with this text."""
    plain = draw_phantom("normal", 5, 512).pixels
    image = Image.fromarray(np.minimum(plain, 200).astype(np.uint8))
    before = np.asarray(image).copy()
    ImageDraw.Draw(image).text(at, text, level, ImageFont.load_default(28))
    return before, np.asarray(image)


def test_burned_in_text_is_found_and_filled_with_its_surroundings() -> None:
    before, after = written("PORTABLE AP 12:30", (20, 20))
    letters, found = after != before, text_mask(after)
    assert found is not None
    assert (found & letters).sum() >= 0.95 * letters.sum()
    assert found.mean() < 0.08
    hidden = filled(after, found)
    assert hidden[letters].max() <= before[:80].max() + 10
    assert (hidden[~found] == after[~found]).all()


def test_an_image_without_text_has_none_to_hide() -> None:
    before, _ = written("", (0, 0))
    assert text_mask(before) is None
    assert image_of(Film.from_pixels(before)).changed(Change.HIDE_TEXT) is None


def test_the_picture_has_a_cell_for_each_image_and_words_for_those_who_cannot_see_it(tmp_path: Any) -> None:
    checks = checks_of(by_corner, marked_corner())
    path = tmp_path / "checks.png"
    path.write_bytes(counter_check_png(checks))
    with Image.open(path) as picture:
        assert "Disclaimer" in picture.info
        assert picture.width > COLUMNS * 200
    alt = words.picture_alt(checks)
    assert all(words.check_line(check) in alt for check in checks.checks)


def test_every_line_of_the_picture_fits_below_its_image() -> None:
    font = ImageFont.load_default(TEXT_PX)
    pixels = np.zeros((4, 4), np.uint8)
    checks = [CounterCheck(change, pixels, 0.001, -0.998, "normal", True, False) for change in Change]
    lines = [line for check in checks for line in cell_texts(check.change.caption, check.probability, check)]
    assert len(lines) == 3 * len(Change)
    assert {line: font.getlength(line) for line in lines if font.getlength(line) > TILE_PX} == {}
