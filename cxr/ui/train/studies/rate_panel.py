"""The result of a learning-rate range test, and a training or a study with the rate that it suggests."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import UNKNOWN
from cxr.jobs.parameters import SweepParameters
from cxr.jobs.run import Run
from cxr.registry.hyperparameters import with_values
from cxr.registry.recipe import Recipe, built_in_names
from cxr.studies.rate_range import read_rate_range
from cxr.ui import frame
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.studies import rate_range_chart
from cxr.ui.plain_text import plain
from cxr.ui.train.clone import use_settings

NO_RESULT = "The test has no result."
MEANING = (
    "Below the suggested rate the network learns slowly; where the smoothed loss turns up, training diverges. The test "
    "looks at the training loss alone, so confirm its rate by a study or a training."
)


def show_rate_range(run: Run, asked: SweepParameters) -> None:
    """Shows the loss at rising rates, and offers a training with the suggested one."""
    found = read_rate_range(run.result_folder)
    if found is None or not found.rates:
        st.caption(NO_RESULT)
        return
    figures = {"Loss falls fastest at": found.steepest, "Loss is lowest at": found.lowest, "Suggested": found.suggested}
    with st.container(horizontal=True):
        for name, rate in figures.items():
            st.metric(plain(name), UNKNOWN if rate is None else f"{rate:.1g}", width="content")
    show_chart(rate_range_chart(found), f"rate_range_{run.id}")
    st.caption(plain(MEANING))
    if found.suggested is None:
        return
    with frame.errors_shown():
        recipe = with_values(Recipe.from_toml(asked.recipe_toml), {"optimiser.rate": found.suggested})
        if recipe.name in built_in_names():
            label = f"Use the learning rate {found.suggested:g}"
            st.button(plain(label), key=f"rate_use_{run.id}", on_click=use_settings, args=(recipe, run.job.inputs))
