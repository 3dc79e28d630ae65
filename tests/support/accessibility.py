"""What axe-core finds on a page: missing names, faint text, wrong roles. It looks into components as well."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import axe_playwright_python  # type: ignore[import-untyped]
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] });
  return violations.map(({ id, impact, nodes }) => ({
    id, impact, nodes: nodes.map(({ target, failureSummary }) => `${target.flat().join(' ')}: ${failureSummary}`),
  }));
}"""


@cache
def _axe() -> str:
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


def serious_findings(tab: Page, inside: str = "") -> list[str]:
    """The serious and critical findings of axe-core, one a line; only those in elements whose path has this text."""
    tab.evaluate(_axe())
    violations: list[dict[str, Any]] = tab.evaluate(RUN)
    return [
        f"{violation['id']} ({violation['impact']}): {node}"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
        if inside in node
    ]
