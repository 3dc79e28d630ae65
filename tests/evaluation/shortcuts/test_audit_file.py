"""A stored audit: read strictly, migrated from version 0.1, and kept with its model wherever that goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.audit_file import INVALID, load_audit, read_audit, save_audit
from cxr.evaluation.shortcuts.report import ProbeResult, ShortcutAudit, ShortcutFindingCode
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.presentation.reading_summary import shortcut_line
from cxr.registry import package, registry
from cxr.registry.card import SHORTCUTS, Card, ModelDraft
from tests.support.score_tables import audit_measurements, probe_result
from tests.support.small_models import CLASSES, TABLE, random_arrays, small_recipe

SHIPPED = Path(__file__).parents[2] / "data" / "shortcuts-0.1.json"  # as version 0.1 wrote it
UNBOUNDED = ProbeResult(name="border", auc=Interval(1, np.nan, np.nan))


@pytest.fixture
def card(home: Path) -> Card:
    recipe = small_recipe()
    draft = ModelDraft(name="tiny", classes=CLASSES)
    return registry.store(registry.NewModel(draft, recipe, random_arrays(recipe), TABLE))


def audit(card: Card, **facts: Any) -> ShortcutAudit:
    return conclude(card, audit_measurements(**facts), ["One X-ray was left out."])


def stored(card: Card) -> ShortcutAudit:
    found = load_audit(card)
    assert found is not None
    return found


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SHIPPED.read_text("utf-8"))
    return found


def read(table: object) -> ShortcutAudit:
    return read_audit(json.dumps(table).encode())


def test_an_audit_comes_back_as_it_was_stored(card: Card) -> None:
    saved = audit(card, probes_outside_lungs=(UNBOUNDED,))
    save_audit(card, saved)
    assert stored(card).model_dump_json() == saved.model_dump_json()
    back = stored(card).measurements
    assert isinstance(back.probes_outside_lungs[0].auc, Interval)
    assert np.isnan(back.probes_outside_lungs[0].auc.low)
    assert back.notes == ("One X-ray was left out.",)
    assert stored(card).verdict == saved.verdict


def test_an_unknown_bound_is_null_in_json(card: Card) -> None:
    table = audit(card, probes_outside_lungs=(UNBOUNDED,)).as_dict()
    assert table["measured"]["probes"][0]["auc"] == {"value": 1, "low": None, "high": None}


def test_the_keys_are_those_of_version_0_1_with_findings_and_properties_added(card: Card) -> None:
    old, new = shipped(), read(shipped()).as_dict()
    assert old["format"] == 1
    assert new["format"] == 3
    assert set(new) == set(old)
    assert set(new["verdict"]) == {*old["verdict"], "findings"}
    assert new["measured"] == old["measured"] | {"properties": []}


def test_an_audit_of_version_0_1_gets_findings_where_they_lead_to_its_level() -> None:
    verdict = read(shipped()).verdict
    assert verdict.level == "shown"
    assert verdict.findings[0].code is ShortcutFindingCode.FEATURES_WITHOUT_LUNGS
    assert verdict.findings[0].classes == ("viral",)
    assert len(verdict.findings) == len(verdict.reasons) + len(verdict.remarks)


def test_an_audit_of_version_0_1_with_another_level_keeps_its_sentences() -> None:
    table = shipped()
    table["verdict"] |= {"level": "shown", "sentence": "As it was.", "reasons": ["Old."], "remarks": ["Old."]}
    for probes in ("heads", "own", "probes"):
        table["measured"][probes] = []
    table["measured"] |= {"together": None, "sources": []}
    table["measured"]["heads"] = shipped()["measured"]["heads"][:1]
    verdict = read(table).verdict
    assert (verdict.level, verdict.sentence, verdict.reasons, verdict.findings) == (
        "shown",
        "As it was.",
        ("Old.",),
        (),
    )
    assert "Old." not in verdict.remarks


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_acquittal_is_withdrawn(card: Card, version: int) -> None:
    """Neither version measured image properties, and both cleared models behind a box."""
    table = audit(card, lungs="box").as_dict() | {"format": version}
    del table["measured"]["properties"]
    table["verdict"] = {"level": "none found", "sentence": "None.", "reasons": ["None."], "remarks": []}
    table["verdict"] |= {"findings": []} if version == 2 else {}
    verdict = read(table).verdict
    assert verdict.level == "cannot tell"
    assert {finding.code for finding in verdict.findings} >= {
        ShortcutFindingCode.BOX_HIDES,
        ShortcutFindingCode.PROPERTIES_UNTESTED,
    }


def test_a_remark_of_format_2_that_is_no_longer_made_is_dropped() -> None:
    table = read(shipped()).as_dict() | {"format": 2}
    del table["measured"]["properties"]
    table["verdict"]["remarks"].append("It relies less on what lies outside the lungs.")
    table["verdict"]["findings"].append({"code": "less-used-by-model"})
    verdict = read(table).verdict
    assert verdict.level == "shown"
    assert "It relies less on what lies outside the lungs." not in verdict.remarks
    assert len(verdict.findings) == len(verdict.reasons) + len(verdict.remarks)


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: _inner(table, path).__delitem__(path[-1])


def with_value(value: object, *path: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: _inner(table, path).__setitem__(path[-1], value)


def _inner(table: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path[:-1]:
        table = table[key]
    return table


@pytest.mark.parametrize(
    "change",
    [
        without("verdict"),
        without("measured"),
        without("verdict", "level"),
        without("measured", "together"),
        without("measured", "source", "auc", "high"),
        with_value(1, "extra"),
        with_value(1, "verdict", "extra"),
        with_value(1, "measured", "extra"),
        with_value(1, "measured", "together", "extra"),
        with_value("sure", "verdict", "level"),
        with_value("many", "measured", "films"),
        with_value([], "measured", "together"),
        with_value({"value": [], "low": 0, "high": 1}, "measured", "together"),
        with_value("everywhere", "measured", "lungs"),
        with_value("none", "verdict"),
        with_value(4, "format"),
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_missing_unknown_or_wrong_field_is_refused(change: Callable[[dict[str, Any]], None], version: int) -> None:
    table = shipped() if version == 1 else read(shipped()).as_dict()
    if version == 2:
        table["format"] = 2
        del table["measured"]["properties"]
    change(table)
    with pytest.raises(RegistryError) as refused:
        read(table)
    assert refused.value.code == f"registry.{INVALID}"


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[1]", b'{"format": 1}', b'{"format": 2}', b'{"format": 3}', b"\x00", b"\xff", b"[" * 9999]
)
def test_a_damaged_audit_is_refused_and_its_model_counts_as_not_audited(card: Card, damage: bytes) -> None:
    with pytest.raises(RegistryError) as refused:
        read_audit(damage)
    assert refused.value.code == f"registry.{INVALID}"
    (registry.model_folder("tiny") / SHORTCUTS).write_bytes(damage)
    assert load_audit(card) is None


def test_a_model_without_an_audit_has_none(card: Card) -> None:
    assert load_audit(card) is None


def test_an_audit_of_another_version_is_none(card: Card) -> None:
    data = audit(card.model_copy(update={"version": "another"})).model_dump_json().encode()
    registry.attach_shortcut_audit(card.name, card.version, data)
    assert load_audit(card) is None


def test_an_audit_of_a_model_that_is_gone_is_refused(card: Card) -> None:
    with pytest.raises(RegistryError):
        save_audit(card.model_copy(update={"name": "gone"}), audit(card))


def test_an_audit_stays_with_a_model_under_a_new_name(card: Card) -> None:
    save_audit(card, audit(card))
    assert stored(registry.rename("tiny", "renamed")).verdict.level == "none found"


def test_a_reading_shows_the_verdict_of_the_audit(card: Card) -> None:
    before = shortcut_line(card)
    saved = audit(card, probes_outside_lungs=(probe_result("corners", 0.9),))
    save_audit(card, saved)
    assert shortcut_line(card) == saved.verdict.sentence != before


@pytest.mark.parametrize("audited", [True, False])
def test_an_audit_travels_with_an_exported_model(card: Card, tmp_path: Path, audited: bool) -> None:
    if audited:
        save_audit(card, audit(card))
    again = package.import_model(package.export_model("tiny", tmp_path / "tiny.zip"), "again")
    assert (load_audit(again) is not None) == audited
    assert (registry.model_folder("again") / SHORTCUTS).is_file() == audited
