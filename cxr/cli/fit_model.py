"""`cxr models fit`: a model fitted to one hospital's labeled X-rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.jobs import model_card, start_in_background
from cxr.cli.options import Data, Json, takes_options
from cxr.core.number_format import counted

if TYPE_CHECKING:
    from cxr.jobs.local_fit import FitReport


@dataclass(frozen=True)
class FitOptions:
    """The arguments of `cxr models fit`."""

    name: Annotated[str, typer.Argument(help="A model in the registry.")]
    data: Data
    new: Annotated[
        str | None, typer.Option("--name", help="The name of the fitted model; without one, nothing is stored.")
    ] = None
    specificity: Annotated[float | None, typer.Option(help="The specificity to reach: 0.5 to 0.99.")] = None
    sensitivity: Annotated[float | None, typer.Option(help="The sensitivity to reach, instead.")] = None
    width: Annotated[float, typer.Option(help="The wanted width of the 95% intervals.")] = 0.1
    coverage: Annotated[float, typer.Option(help="The coverage of prediction sets: 0.5 to 0.99.")] = 0.9
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False
    as_json: Json = False


@takes_options(FitOptions)
def fit_model(options: FitOptions) -> None:
    """Fit a model to the labeled X-rays of one hospital, and compare it with the model as it is.

    Temperature, threshold and indeterminate band are fitted, and the last layer where there are enough patients. The
    figures are of X-rays that were not used for the fit. The old model stays as it is.
    """
    from cxr.core.errors import CxrError
    from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
    from cxr.jobs import local_fit

    specificity, sensitivity = options.specificity, options.sensitivity
    if specificity is not None and sensitivity is not None:
        raise CxrError("Give a specificity or a sensitivity, not both.", code="two-targets")
    target = (
        OperatingTarget(TargetKind.SENSITIVITY, sensitivity)
        if sensitivity is not None
        else OperatingTarget(TargetKind.SPECIFICITY, 0.9 if specificity is None else specificity)
    )
    settings = local_fit.FitSettings(target, options.width, options.coverage)
    if options.detach:
        from cxr.jobs.fit import fit_job

        job = fit_job(model_card(options.name), options.new, options.data, settings)
        start_in_background(job, options.as_json)
        return
    with console.bar("Reading X-rays") as progress:
        report = local_fit.fit_model(options.name, options.new, options.data, settings, progress)
    console.print_json(_as_json(report)) if options.as_json else typer.echo(_text(report))


def _text(report: FitReport) -> str:
    from cxr.presentation.fit_text import FIT_ROWS, fit_figure, fit_sentence, missing_sentence, sets_sentence

    record, missing = report.record, report.missing
    lines = [
        fit_sentence(record, report.threshold),
        "",
        f"{'on X-rays not used for the fit':32}{'before':24}after",
    ]
    lines += [
        f"{title:32}{fit_figure(record.before, key):24}{fit_figure(record.after, key)}"
        for key, title in FIT_ROWS.items()
    ]
    lines += ["", missing_sentence(missing)]
    if record.prediction_sets:
        lines.append(sets_sentence(record.prediction_sets))
    if report.unreadable:
        lines.append(f"{counted(len(report.unreadable), 'X-ray')} could not be read.")
    stored = f"Saved as model '{report.model}'." if report.model else "Nothing was saved; give --name to save it."
    return "\n".join([*lines, stored])


def _as_json(report: FitReport) -> dict[str, object]:
    return {
        "fit": report.record.model_dump(mode="json"),
        "threshold": report.threshold,
        "missing": vars(report.missing),
        "unreadable": report.unreadable,
        "model": report.model,
    }
