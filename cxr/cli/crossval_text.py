"""The result of a cross-validation on the command line: metrics over folds, or each source that was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cxr.cli import console
from cxr.cli.evaluation_text import METRIC_WIDTH, metric_name
from cxr.core.errors import RunError
from cxr.core.number_format import counted, decimal, interval_range

if TYPE_CHECKING:
    from cxr.jobs.crossval_result import CrossvalResult
    from cxr.jobs.run import Run


def print_result(run: Run, as_json: bool = False) -> None:
    """Print what a finished cross-validation has found; RunError where that is gone."""
    from cxr.jobs.crossval_result import stored_result

    result = stored_result(run)
    if result is None:
        raise RunError(f"Job {run.id} has no result.", code="no-result")
    if as_json:
        console.print_json({"run": run.id} | result.as_dict())
    elif result.sources:
        _print_sources(result)
    else:
        _print_folds(result)


def _print_folds(result: CrossvalResult) -> None:
    films = counted(sum(fold["n"] for fold in result.folds), "X-ray")
    typer.echo(f"{len(result.folds)} folds; {films}, each held out once. Mean ± SD (range):")
    for metric, value in result.spread.items():
        spread_text = f"{decimal(value['mean'])} ± {decimal(value['sd'])}"
        typer.echo(
            f"  {metric_name(metric):{METRIC_WIDTH}} {spread_text}  ({interval_range(value['min'], value['max'])})"
        )


def _print_sources(result: CrossvalResult) -> None:
    typer.echo("Each source read by a model trained without it, at the threshold chosen on the others:")
    typer.echo(f"  {'source':24}{'normal':>8}{'finding':>9}  {'specificity':24}{'sensitivity':24}AUC within it")
    for row in result.sources:
        typer.echo(
            f"  {row.source:24}{row.normal:>8,}{row.finding:>9,}  {row.specificity.text():24}"
            f"{row.sensitivity.text():24}{decimal(row.auc)}"
        )
    for row in result.sources:
        if row.same_patients:
            typer.echo(f"  {row.source:24}{row.same_patients_sentence}")
    for source, reason in result.impossible.items():
        typer.echo(f"  {source:24}not left out: {reason}")
