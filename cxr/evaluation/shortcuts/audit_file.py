"""The file of a shortcut audit beside its model: written, read strictly, and migrated from older versions."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, get_args

from pydantic import ValidationError

from cxr.core.errors import RegistryError
from cxr.evaluation.shortcuts.report import Level, ShortcutAudit
from cxr.evaluation.shortcuts.verdict import verdict_on
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.verification import read_shortcuts

INVALID = "shortcuts-invalid"
CACHED = 32  # audits: a page asks for the same one several times each time it is drawn


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


@lru_cache(maxsize=CACHED)
def read_audit(data: bytes) -> ShortcutAudit:
    """The audit in these bytes, shared by all who ask, to be read only.

    RegistryError where a field is missing, unknown or wrong.
    """
    try:
        stored = json.loads(data)
        if not isinstance(stored, dict):
            raise RegistryError("The shortcut audit is not a JSON object.", code=INVALID)
        if stored.get("format") in (1, 2):
            return _from_older_format(stored)
        return ShortcutAudit.model_validate(stored)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"The shortcut audit is not valid: {_first_problem(error)}.", code=INVALID) from error


def _from_older_format(stored: dict[str, Any]) -> ShortcutAudit:
    """The audit of a file of format 1, whose verdict has no findings, or 2; neither measured image properties.

    The measurements are judged again, so that an acquittal that they do not carry is withdrawn. A more severe stored
    level stays, with its own reasons.
    """
    verdict, measured = stored.get("verdict"), stored.get("measured")
    if isinstance(verdict, dict):
        known = {name: value for name, value in verdict.items() if name != "findings" or stored["format"] == 1}
        stored = stored | {"verdict": {"findings": []} | known}
    if isinstance(measured, dict) and "properties" not in measured:
        stored = stored | {"measured": measured | {"properties": []}}
    audit = ShortcutAudit.model_validate(stored | {"format": 3})
    now, severity = verdict_on(audit.measurements), get_args(Level)
    if severity.index(now.level) < severity.index(audit.verdict.level):
        now = audit.verdict.model_copy(update={"remarks": now.remarks})
    return audit.model_copy(update={"verdict": now})


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is not JSON"
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
