"""A learning curve as a chart: measured AUCs with their intervals, the power law, and twice as many patients."""

from __future__ import annotations

import numpy as np

from cxr.evaluation.dataset_curve import DatasetCurve
from cxr.evaluation.learning_curve import power_law
from cxr.presentation.learning_curve_text import AUC, PATIENTS, curve_table, gain_sentence
from cxr.ui.components.charts.chart import MARK_LINE, Chart, blank_figure, colors

HEIGHT_PX, POINTS = 400, 60
MEASURED, EXPECTED, LAW = "Measured", "Expected", "Power law"


def learning_curve_chart(found: DatasetCurve) -> Chart:
    """AUC against patients in training, on a log scale."""
    curve, table = found.curve, curve_table(found)
    figure = blank_figure(f"{PATIENTS} in training", AUC, HEIGHT_PX)
    counts = np.geomspace(curve.patients[0], 2 * curve.patients[-1], POINTS)
    figure.add_scatter(
        x=counts,
        y=[1 - power_law(float(count), *curve.power_law) for count in counts],
        name=LAW,
        mode="lines",
        line=MARK_LINE,
        hoverinfo="skip",
    )
    hues = colors([MEASURED, EXPECTED])
    parts = {MEASURED: (table.iloc[:-1], "circle"), EXPECTED: (table.iloc[-1:], "diamond-open")}
    for name, (rows, symbol) in parts.items():
        figure.add_scatter(
            x=rows["patients"],
            y=rows["auc"],
            name=name,
            mode="markers",
            marker={"color": hues[name], "symbol": symbol, "size": 9},
            error_y={"array": rows["high"] - rows["auc"], "arrayminus": rows["auc"] - rows["low"]},
        )
    marks = list(table["patients"])
    figure.update_xaxes(type="log", tickvals=marks, ticktext=[f"{count:,}" for count in marks])
    first, last = table.iloc[0], table.iloc[-2]
    alt = (
        f"Learning curve: AUC {first['auc']:.3f} with {int(first['patients']):,} patients, {last['auc']:.3f} with "
        f"{int(last['patients']):,}. {gain_sentence(found)}"
    )
    return Chart(figure, alt, table)
