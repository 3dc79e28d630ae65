"""The file of a shortcut audit beside its model: written, read strictly, and migrated from what version 0.1 wrote."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from cxr.core.errors import RegistryError
from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.evaluation.shortcuts.verdict import verdict_on
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.verification import read_shortcuts

INVALID = "shortcuts-invalid"


def save_audit(card: Card, audit: ShortcutAudit) -> Card:
    """The model's card once the audit is stored beside the model, in the place of an earlier one."""
    return registry.attach_shortcut_audit(card.name, card.version, (audit.model_dump_json(indent=1) + "\n").encode())


def load_audit(card: Card) -> ShortcutAudit | None:
    """The audit of this version of the model; None where there is none, or none that is valid."""
    try:
        data = read_shortcuts(card.name)
        audit = None if data is None else read_audit(data)
    except RegistryError:
        return None
    return audit if audit is not None and audit.model_version == card.version else None


def read_audit(data: bytes) -> ShortcutAudit:
    """The audit in these bytes; a RegistryError where a field is missing, unknown or wrong."""
    try:
        stored = json.loads(data)
        if not isinstance(stored, dict):
            raise RegistryError("The shortcut audit is not a JSON object.", code=INVALID)
        if stored.get("format") == 1:
            return _from_format_1(stored)
        return ShortcutAudit.model_validate(stored)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"The shortcut audit is not valid: {_first_problem(error)}.", code=INVALID) from error


def _from_format_1(stored: dict[str, Any]) -> ShortcutAudit:
    """The audit of a file of version 0.1, whose verdict has sentences without findings.

    Where the measurements still lead to the stored level, the findings are made from them again; otherwise the stored
    sentences stay.
    """
    verdict = stored.get("verdict")
    if isinstance(verdict, dict):
        stored = stored | {"verdict": {"findings": []} | verdict}
    audit = ShortcutAudit.model_validate(stored | {"format": 2})
    verdict_now = verdict_on(audit.measurements)
    return audit.model_copy(update={"verdict": verdict_now}) if verdict_now.level == audit.verdict.level else audit


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is not JSON"
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
