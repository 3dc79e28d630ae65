"""Drift watch: counts that hold no identity, weeks that are compared, and how often that is a false alarm."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from cxr.core.errors import CxrError
from cxr.drift import store
from cxr.drift.departure import DKW, Measure, features_p, input_check_p, scores_p
from cxr.drift.reference import (
    MEASURED,
    WEEKS,
    DriftReference,
    forget_reference,
    measure_reference,
    reference_of,
    take_weeks,
)
from cxr.drift.simulation import NULL, Shift, simulated_weeks, simulated_year
from cxr.drift.store import PLACES, add_readings, read_tally, week_of, weeks
from cxr.drift.tally import Observation, Tally, histogram
from cxr.drift.validation import drawn_like_all
from cxr.drift.watch import ALPHA, WEEKS_A_YEAR, watch, watch_weeks
from cxr.evaluation.scores import read_scores
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.registry import registry

VERSION, WEEK = "0123456789ab", "2026-W40"
RNG = np.random.default_rng


def observation(seed: int = 0, rejected: bool = False) -> Observation:
    rng = RNG(seed)
    own = rng.random()
    reasons = ("inverted",) if rejected else ()
    return Observation(None if rejected else own, rejected, reasons, None if rejected else rng.normal(size=5))


def readings(count: int, first: int = 0) -> list[tuple[str, Observation]]:
    return [
        (hashlib.sha256(bytes([seed % 256, seed // 256])).hexdigest()[:16], observation(seed))
        for seed in range(first, first + count)
    ]


def test_counts_of_parts_add_up_to_the_counts_of_the_whole() -> None:
    observed = [observation(seed, rejected=seed % 5 == 0) for seed in range(40)]
    whole = Tally.of(observed, "basis")
    parts = Tally.of(observed[:13], "basis").plus(Tally.of(observed[13:], "basis"))
    assert whole.readings == 40
    assert (whole.scored, whole.rejected, whole.checked, whole.questioned) == (32, 8, 40, 8)
    assert whole.reasons == {"inverted": 8}
    assert (parts.scores, parts.reasons, parts.places) == (whole.scores, whole.reasons, whole.places)
    places = np.stack([one.places for one in observed if one.places is not None])
    np.testing.assert_allclose(whole.mean, places.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(parts.covariance, np.cov(places.T), atol=1e-3)
    other = Tally.of(observed, "another")  # of another input check: its places cannot be added
    assert whole.plus(other).places == other.places
    assert whole.plus(other).scored == 64


def test_an_xray_counts_once_a_week_and_again_in_the_next(home: Path) -> None:
    assert add_readings(VERSION, WEEK, readings(30)) == 30
    assert add_readings(VERSION, WEEK, readings(30)) == 0
    assert add_readings(VERSION, "2026-W41", readings(30)) == 30
    assert [tally.readings for tally in weeks(VERSION).values()] == [30, 30]


def test_nothing_on_disk_names_an_xray_and_its_size_is_bounded(home: Path) -> None:
    for number in range(1, 53):
        add_readings(VERSION, f"2024-W{number:02d}", readings(3, 10 * number))
    for year in (2025, 2026):
        for number in range(1, 53):
            add_readings(VERSION, f"{year}-W{number:02d}", readings(3, 10 * number))
    add_readings(VERSION, "2026-W53", readings(200))
    files = list(store.folder_of(VERSION).iterdir())
    assert len(weeks(VERSION)) == store.MAX_WEEKS
    assert sum(path.stat().st_size for path in files) < 600_000
    content = b"".join(path.read_bytes() for path in files)
    assert not [film for film, _ in readings(200) if film.encode() in content or bytes.fromhex(film) in content]
    seen = store.folder_of(VERSION) / store.SEEN
    assert seen.stat().st_size < PLACES // 8 + 100
    key = seen.read_bytes()[8:24]
    add_readings(VERSION, "2027-W01", readings(1))
    assert seen.read_bytes()[8:24] != key  # of the past week nothing is left


def test_several_processes_count_at_once(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: add_readings(VERSION, WEEK, readings(5, 100 * part)), range(12)))
    assert weeks(VERSION)[WEEK].readings in range(57, 61)  # the filter takes a few for others
    assert not [path for path in store.folder_of(VERSION).iterdir() if path.name.startswith(f".{WEEK}")]


def test_it_can_be_switched_off_and_a_damaged_file_counts_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_DRIFT", "off")
    assert not store.is_enabled()
    monkeypatch.delenv("CXR_DRIFT")
    assert store.is_enabled()
    add_readings(VERSION, WEEK, readings(3))
    path = store.folder_of(VERSION) / f"{WEEK}.json"
    sizes = json.loads(path.read_text()) | {"scores": [1, 2]}
    for text in ("", "[]", json.dumps(sizes)):
        path.write_text(text)
        assert read_tally(path) is None
    assert weeks(VERSION) == {}
    assert add_readings(VERSION, WEEK, readings(3, 50)) == 3  # and is begun anew
    path.unlink()
    path.mkdir()
    assert add_readings(VERSION, WEEK, readings(3, 90)) == 0  # a failure to write stops no reading


def test_a_week_is_that_of_utc() -> None:
    assert week_of(datetime(2026, 12, 31, 23, tzinfo=UTC)) == "2026-W53"
    assert week_of(datetime(2027, 1, 4, tzinfo=UTC)) == "2027-W01"


def test_each_test_agrees_with_its_definition() -> None:
    first = Tally(checked=40, questioned=9, scores=histogram(np.full(40, 0.9)))
    second = Tally(checked=160, questioned=4, scores=histogram(np.full(60, 0.1)))
    exact = fisher_exact([[9, 31], [4, 156]], alternative="greater")
    assert input_check_p(first, second) == pytest.approx(exact.pvalue, rel=1e-9)
    assert scores_p(first, second) == pytest.approx(DKW * np.exp(-2 * 40 * 60 / 100))
    assert scores_p(first, Tally()) is None
    assert input_check_p(Tally(scores=first.scores), second) is None
    rng = RNG(0)
    p = [
        features_p(*(Tally.of([Observation(0.5, False, (), row) for row in rng.normal(size=(60, 4))]) for _ in "ab"))
        for _ in range(200)
    ]
    assert 0.02 < np.mean(np.array(p, float) < 0.1) < 0.2  # uniform where nothing differs


def test_a_year_without_drift_has_an_alarm_in_at_most_five_of_a_hundred() -> None:
    alarms = sum(bool(simulated_year(seed, NULL, weeks=WEEKS_A_YEAR, readings=30).departures) for seed in range(15))
    assert alarms <= 3  # P(more) below 0.01 at 5%; bench/drift.py has 500 years


@pytest.mark.parametrize(
    ("shift", "measure"),
    [
        (Shift(positives=0.35), Measure.SCORES),
        (Shift(questioned=0.12), Measure.INPUT_CHECK),
        (Shift(places=0.6), Measure.FEATURES),
    ],
)
def test_a_shift_is_seen_by_the_measure_that_it_moves(shift: Shift, measure: Measure) -> None:
    found = simulated_year(1, shift, weeks=13, readings=60)
    first = found.first(measure)
    assert first is not None
    assert first.p < ALPHA
    assert found.current(measure)
    assert {one.measure for one in found.departures} == {measure}
    json.dumps(found.as_dict(), allow_nan=False)


def test_weeks_can_become_the_reference(trained: Path) -> None:
    card = registry.get_card("first")
    of_weeks, _ = simulated_weeks(2, Shift(positives=0.4), weeks=12, readings=60)
    folder = store.folder_of(card.version)
    folder.mkdir(parents=True, exist_ok=True)
    for week, tally in of_weeks.items():
        store.write_tally(folder / f"{week}.json", tally)
    names = sorted(of_weeks)
    reference = take_weeks(card.name, names[0], names[3])
    assert (reference.kind, reference.tally.readings) == (WEEKS, sum(of_weeks[week].readings for week in names[:4]))
    assert reference_of(card) == reference
    assert watch(card).departures == ()  # the later weeks are like the first ones
    for first, last, code in (("now", names[1], "not-a-week"), ("2001-W01", "2001-W02", "too-few-readings")):
        with pytest.raises(CxrError) as error:
            take_weeks(card.name, first, last)
        assert error.value.code == f"registry.{code}"
    forget_reference(card.name)
    assert reference_of(card).kind == "validation"


def test_without_a_reference_nothing_is_tested() -> None:
    of_weeks, _ = simulated_weeks(0, NULL, weeks=3, readings=30)
    found = watch_weeks("m@1", of_weeks, DriftReference(MEASURED, Tally()))
    assert (found.tested, found.departures) == ((), ())
    assert found.readings > 0


def quiet(done: int, total: int, what: str = "") -> None:
    """No progress."""


def validation_patients() -> int:
    scores = read_scores(registry.evaluation_path("first"))
    return int(scores.loc[scores["role"] == "val", "patient"].nunique())


def test_a_training_leaves_what_validation_showed_as_the_reference(trained: Path, phantoms: Path) -> None:
    card = registry.get_card("first")
    stored = reference_of(card)
    assert stored.kind == "validation"
    assert stored.tally.scored + stored.tally.rejected == validation_patients()
    assert stored.tally.places == stored.tally.checked - stored.tally.rejected > 0
    assert store.changed_ns(card.version) == ()  # nothing has been counted in use
    measured = measure_reference("first", [str(phantoms)], quiet, fewest=5).tally
    assert (stored.tally.checked, stored.tally.basis) == (measured.checked, measured.basis)
    assert stored.tally.scores == measured.scores
    # The weights were not yet rounded to be stored, which moves the last axes of a tiny network a little.
    np.testing.assert_allclose(stored.tally.mean[:4], measured.mean[:4], atol=0.05)
    np.testing.assert_allclose(stored.tally.mean, measured.mean, atol=0.2)


def test_a_model_from_elsewhere_has_the_stored_validation_scores(trained: Path) -> None:
    card = registry.get_card("first")
    counted = reference_of(card)
    assert counted.tally.places
    other = card.model_copy(update={"gate_sha256": "f" * 64})
    (store.folder_of(card.version) / store.VALIDATED).rename(trained / "elsewhere.json")
    for one in (card, other):
        reference = reference_of(one)
        assert reference.kind == "validation"
        assert reference.tally.scored == validation_patients()
        assert card.gate is not None
        assert (reference.tally.checked, reference.tally.places) == (card.gate.held_out, 0)
        if one is card:  # and one whose input check is another than that of the training
            (trained / "elsewhere.json").replace(store.folder_of(card.version) / store.VALIDATED)


def test_the_sources_have_their_shares_among_all_validation_patients() -> None:
    """Of 100 patients of one source and 20 of another, with two X-rays each, equal numbers set the limits."""
    patient = np.repeat(np.arange(120), 2)
    source = np.where(patient < 100, "large", "small")
    scores = pd.DataFrame({"dataset": "set", "patient": patient, "role": "val", "source": source})
    rows = np.concatenate([np.flatnonzero(source == name)[:40] for name in ("small", "large")])
    drawn = drawn_like_all(scores, rows)
    taken = scores.iloc[drawn]
    assert not taken["patient"].duplicated().any()
    assert set(drawn) <= set(rows)
    assert taken["source"].value_counts().to_dict() == {"large": 20, "small": 4}


def test_a_source_with_later_x_rays_of_known_patients_alone_has_no_share() -> None:
    patient, source = [0, 0, 1, 2, 3], ["A", "B", "A", "A", "A"]
    scores = pd.DataFrame({"dataset": "set", "patient": patient, "role": "val", "source": source})
    drawn = drawn_like_all(scores, np.array([1, 2, 3]))
    assert drawn.tolist() == [2, 3]


def test_validation_xrays_are_read_once_more_to_compare_features_too(trained: Path, phantoms: Path) -> None:
    measured = measure_reference("first", [str(phantoms)], quiet, fewest=5)
    card = registry.get_card("first")
    stored = reference_of(card)
    assert stored == measured
    assert measured.kind == MEASURED
    assert measured.tally.readings == validation_patients()
    assert measured.tally.places == measured.tally.scored
    assert measured.tally.basis == (card.gate_sha256 or "")[:12]
    with pytest.raises(CxrError) as error:
        measure_reference("first", [str(draw_phantom_set(trained / "others", 12, size_px=64).parent)], quiet)
    assert error.value.code == "dataset.no-validation-films"
