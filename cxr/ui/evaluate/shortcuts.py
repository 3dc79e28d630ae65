"""An audit for shortcuts on a page: the verdict with its reasons, the numbers, the charts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.evaluation.shortcuts.verdict import figure
from cxr.presentation.evaluation_tables import shortcut_numbers
from cxr.ui.components.charts import shortcuts
from cxr.ui.components.charts.chart import show_chart

HALF_PX = 544
FIRST_REASONS = 3  # in sight; the others unfold
HEAD = (
    "A head, below, is a small classifier that the audit trains anew on features: what the inner layers of the model, "
    "its trunk, make of a film. It says what can be told from them, not what the model itself answers."
)


def shortcuts_panel(found: ShortcutAudit) -> None:
    """What an audit found, the verdict first."""
    tell = {"shown": st.error, "suspected": st.warning, "none found": st.success}[found.verdict.level]
    tell(found.verdict.sentence)
    st.caption(HEAD)
    reasons = [*found.verdict.reasons, *found.verdict.remarks]
    st.markdown(_list(reasons[:FIRST_REASONS]))
    if more := reasons[FIRST_REASONS:]:
        with st.expander(f"{len(more)} more", key="evaluate_reasons"):
            st.markdown(_list(more))
    _numbers(found)
    measured = found.measured
    with st.container(horizontal=True):
        with st.container(width=HALF_PX):
            st.markdown("**What tells the class, with and without the lungs**")
            show_chart(shortcuts.probe_chart(measured), "evaluate_told")
        with st.container(width=HALF_PX):
            if measured.heat:
                st.markdown("**Where the heat lies**")
                show_chart(shortcuts.lung_share_chart(measured.heat), "evaluate_heat")
            _sources(found)
    with st.container(horizontal=True):
        if measured.randomised:
            with st.container(width=HALF_PX):
                st.markdown("**Heatmaps while the model forgets**")
                show_chart(shortcuts.randomization_chart(measured.randomised), "evaluate_shuffled")
                st.caption("Weights are shuffled from the model's last layers, its own head, down to its first block.")
        if measured.deletion:
            with st.container(width=HALF_PX):
                st.markdown("**The score while the film is hidden**")
                show_chart(shortcuts.deletion_chart(measured.deletion), "evaluate_hidden")
    _films(found)


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _numbers(found: ShortcutAudit) -> None:
    with st.container(horizontal=True, gap="small"):
        for number in shortcut_numbers(found.measured):
            low_high = "{:.2f} to {:.2f}".format(*number.interval) if number.interval else None
            st.metric(
                number.name,
                f"{number.value:.2f}",
                low_high,
                delta_color="off",
                delta_arrow="off",
                help=number.meaning,
                width=150,
            )


def _sources(found: ShortcutAudit) -> None:
    rows = [
        {
            "Source": one.name,
            "Films": one.films,
            "AUC within it": figure(one.inside),
            "AUC trained without it": figure(one.outside),
            "Right, trained without it": figure(one.right),
        }
        for one in found.measured.sources
    ]
    if rows:
        st.markdown("**Each source by itself**")
        table = pd.DataFrame(rows).replace("nan", "cannot be told")
        st.table(table, border="horizontal", hide_index=True, alt="Each source by itself")
        st.caption("An AUC cannot be told where a source has films of one class alone.")


def _films(found: ShortcutAudit) -> None:
    """Which films were looked at, and where their lungs are from."""
    measured = found.measured
    counts = "; ".join(
        f"{source}: {', '.join(f'{count} {label}' for label, count in of.items())}"
        for source, of in measured.by_source.items()
    )
    seen = sum(count for role, count in measured.by_role.items() if role in ("train", "val"))
    lungs = "by their outlines" if measured.lungs == "outline" else "by a box, as not all films have outlines"
    st.caption(
        f"{measured.films} films of {measured.patients} patients ({counts}), {seen} of them from its training or "
        f"validation; lungs hidden {lungs}. Audited {found.made[:10]}. {' '.join(measured.notes)}"
    )
