"""The results of a cross-validation on a page: a table of its folds or sources, and the held-out scores."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from cxr import DISCLAIMER
from cxr.core.access import Action, current_person
from cxr.core.number_format import decimal, interval_range
from cxr.jobs.crossval_result import CrossvalResult, LeftOutSource, stored_result
from cxr.jobs.run import SCORES, Run
from cxr.ui.plain_text import plain, plain_table

SOURCES_NOTE = (
    "Each source was read by a model that was trained without it, at the threshold chosen on the others. AUC: of the "
    "source's own X-rays with a finding against its own normal ones."
)
FOLDS_NOTE = "Each X-ray was held out once. The last rows have the mean and standard deviation, and the range."
METRICS = {"accuracy": "Multiclass accuracy", "macro_f1": "Macro F1"}
BINARY = {"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity"}


def show_crossval(run: Run) -> None:
    """Shows the results of a finished cross-validation; nothing where there are none."""
    result = stored_result(run)
    if result is None:
        return
    table = sources_table(result.sources) if result.sources else folds_table(result)
    st.table(plain_table(table), border="horizontal", hide_index=True, width="content", alt="Cross-validation")
    st.caption(SOURCES_NOTE if result.sources else FOLDS_NOTE)
    for row in result.sources:
        if row.same_patients:
            st.caption(plain(f"{row.source}: {row.same_patients_sentence}"))
    for source, reason in result.impossible.items():
        st.caption(plain(f"{source} was not left out: {reason}"))
    with st.container(horizontal=True):
        content = json.dumps({"note": DISCLAIMER} | result.as_dict(), indent=2)
        st.download_button(
            "Result (JSON)", content, f"{run.id}.json", "application/json", key=f"crossval_{run.id}", on_click="ignore"
        )
        if current_person().may(Action.VIEW_DATASETS) and (run.result_folder / SCORES).is_file():
            st.download_button(
                "Out-of-fold scores (CSV)",
                (run.result_folder / SCORES).read_bytes(),
                f"{run.id}.csv",
                "text/csv",
                key=f"crossval_scores_{run.id}",
                on_click="ignore",
            )


def folds_table(result: CrossvalResult) -> pd.DataFrame:
    """A row for each fold, then mean with standard deviation, and the range."""
    rows = [{"Fold": str(n), "X-rays": f"{fold['n']:,}"} | _figures(fold) for n, fold in enumerate(result.folds, 1)]
    values = pd.DataFrame([_numbers(fold) for fold in result.folds]).astype(float)
    mean, low, high = values.mean(), values.min(), values.max()
    spread = values.std(ddof=1).fillna(0.0)
    names = [str(name) for name in values]
    rows.append(
        {"Fold": "Mean ± SD", "X-rays": ""}
        | {name: f"{decimal(mean[name])} ± {decimal(spread[name])}" for name in names}
    )
    rows.append({"Fold": "Range", "X-rays": ""} | {name: interval_range(low[name], high[name]) for name in names})
    return pd.DataFrame(rows).fillna("")


def sources_table(sources: tuple[LeftOutSource, ...]) -> pd.DataFrame:
    """A row for each source that was left out."""
    rows = [
        {
            "Source": row.source,
            "Normal": f"{row.normal:,}",
            "With a finding": f"{row.finding:,}",
            "Specificity": row.specificity.text(),
            "Sensitivity": row.sensitivity.text(),
            "AUC within it": decimal(row.auc),
        }
        for row in sources
    ]
    return pd.DataFrame(rows)


def _numbers(fold: dict[str, Any]) -> dict[str, float | None]:
    binary = fold.get("binary") or {}
    figures = {title: fold.get(key) for key, title in METRICS.items()}
    return figures | {title: binary[key] for key, title in BINARY.items() if binary.get(key) is not None}


def _figures(fold: dict[str, Any]) -> dict[str, str]:
    return {title: decimal(value) for title, value in _numbers(fold).items()}
