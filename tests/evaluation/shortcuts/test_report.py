"""An audit that is kept with its model, and goes where the model goes."""

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.audit_file import load_audit, save_audit
from cxr.evaluation.shortcuts.report import ProbeResult
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.presentation import model_card, reading_summary
from cxr.registry import package, registry
from cxr.registry.card import SHORTCUTS, ModelDraft
from tests.support.score_tables import measured, told
from tests.support.training import tiny_recipe

SCORES = "dataset,path,label,role\n"


def store(name="tiny"):
    from cxr.learning.network import build
    from cxr.registry.weights_file import arrays_of

    network = build(tiny_recipe(), 2)
    draft = ModelDraft(name=name, classes=("normal", "covid19"))
    return registry.store(registry.NewModel(draft, tiny_recipe(), arrays_of(network.model.weights), SCORES))


def test_an_audit_comes_back_as_it_was_kept(home):
    card = store()
    unknown = ProbeResult(name="border", auc=Interval(1, np.nan, np.nan))
    found = conclude(card, measured(probes=(unknown,)), ["One film was left out."])
    save_audit(card, found)
    assert load_audit(card).model_dump_json() == found.model_dump_json()
    back = load_audit(card).measurements
    assert isinstance(back.probes_outside_lungs[0].auc, Interval) and np.isnan(back.probes_outside_lungs[0].auc.low)
    assert back.notes == ("One film was left out.",) and load_audit(card).verdict == found.verdict


def test_what_is_not_known_is_null_in_json(home):
    found = conclude(store(), measured(probes=(ProbeResult(name="border", auc=Interval(1, np.nan, np.nan)),)))
    assert found.as_dict()["measured"]["probes"][0]["auc"] == {"value": 1, "low": None, "high": None}


def test_a_model_without_an_audit_has_none(home):
    assert load_audit(store()) is None


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"format": 2}', "\x00"])
def test_an_audit_that_cannot_be_read_is_none(home, damage):
    card = store()
    (registry.model_folder("tiny") / SHORTCUTS).write_text(damage)
    assert load_audit(card) is None


def test_an_audit_of_another_version_is_none(home):
    card = store()
    save_audit(card, conclude(card.model_copy(update={"version": "another"}), measured()))
    assert load_audit(card) is None


def test_an_audit_of_a_model_that_is_gone_is_refused(home):
    card = store()
    found = conclude(card, measured())
    with pytest.raises(RegistryError, match="no model"):
        save_audit(card.model_copy(update={"name": "gone"}), found)


def test_an_audit_stays_with_a_model_under_a_new_name(home):
    card = store()
    save_audit(card, conclude(card, measured()))
    assert load_audit(registry.rename("tiny", "renamed")).verdict.level == "none found"


def test_card_and_report_say_what_an_audit_found_or_that_there_was_none(home):
    card, none = store(), "Whether it reads the lungs or the scanner has not been audited."
    assert none in model_card.limits(card) and none in reading_summary.limits(card)
    found = conclude(card, measured(probes=(told("corners", 0.9),)))
    save_audit(card, found)
    for limits in (model_card.limits(card), reading_summary.limits(card)):
        assert found.verdict.sentence in limits and none not in limits


@pytest.mark.parametrize("audited", [True, False])
def test_an_audit_travels_with_an_exported_model(home, tmp_path, audited):
    card = store()
    if audited:
        save_audit(card, conclude(card, measured()))
    file = package.export_model("tiny", tmp_path / "tiny.zip")
    again = package.import_model(file, "again")
    assert (load_audit(again) is not None) == audited
    assert (SHORTCUTS in registry.files_of(again)) == audited
