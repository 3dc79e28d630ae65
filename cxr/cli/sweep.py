"""`cxr sweep`: a study of a recipe, trial by trial, judged on validation X-rays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr.cli import console
from cxr.cli.options import Data, Json, Overrides, RecipeName, Wait, takes_options

if TYPE_CHECKING:
    from cxr.jobs.run import Run
    from cxr.registry.recipe import Recipe
    from cxr.studies.space import Space


class PresetOption(StrEnum):
    """The presets, by the names that `cxr.studies.proposals` has; written here so that help is quick."""

    quick = "quick"
    balanced = "balanced"
    thorough = "thorough"
    rate_test = "rate-test"


class MetricOption(StrEnum):
    """What a study may choose by."""

    val_auc = "val_auc"
    val_loss = "val_loss"
    val_accuracy = "val_accuracy"


@dataclass
class SweepOptions:
    """The options of a study."""

    recipe: RecipeName
    data: Data
    space: Annotated[Path | None, typer.Option(help="A TOML file with the ranges to search; instead of a preset.")] = (
        None
    )
    preset: Annotated[PresetOption, typer.Option(help="Ranges and number of trials for those who choose none.")] = (
        PresetOption.quick
    )
    trials: Annotated[int | None, typer.Option(help="The number of trials; by default, the preset's.")] = None
    metric: Annotated[MetricOption, typer.Option(help="What the best trial is chosen by.")] = MetricOption.val_auc
    seed: Annotated[int, typer.Option(min=0, help="The seed of the search.")] = 0
    name: Annotated[str | None, typer.Option(help="The name of the best trial's model in the registry.")] = None
    show_space: Annotated[bool, typer.Option("--show-space", help="Print the ranges as TOML, and start nothing.")] = (
        False
    )
    set_: Overrides = None
    wait: Wait = True
    as_json: Json = False


@takes_options(SweepOptions)
def sweep(options: SweepOptions) -> None:
    """Search for hyperparameters: trials on validation X-rays, then the best model, judged once on test X-rays."""
    from cxr.jobs import run_store
    from cxr.jobs.model_names import free_name
    from cxr.jobs.parameters import SweepParameters
    from cxr.jobs.sweep import sweep_job
    from cxr.registry.recipe import Recipe
    from cxr.studies.proposals import PRESETS, PresetName

    recipe = Recipe.read(options.recipe, options.set_ or ())
    preset, space = PRESETS[PresetName(options.preset.value)], _space(options, recipe)
    if options.show_space:
        typer.echo(space.to_toml().strip())
        return
    asked = SweepParameters(
        recipe_toml="",
        space_toml=space.to_toml(),
        trials=options.trials or preset.trials,
        model=options.name or free_name(recipe.name),
        metric=options.metric.value,
        seed=options.seed,
        preset="" if options.space else preset.name,
    )
    run = run_store.start(sweep_job(recipe, options.data, asked), f"sweep-{recipe.name}")
    if not options.wait:
        message = f"Started study {run.id}. Show its progress: cxr jobs show {run.id}"
        console.print_json({"run": run.id}) if options.as_json else typer.echo(message)
        return
    console.follow_to_end(run, options.as_json, quiet=True)
    print_study(run, options.as_json)


def print_study(run: Run, as_json: bool) -> None:
    """Print how a study has ended, with its trials."""
    console.print_json(study_dict(run)) if as_json else typer.echo(study_text(run))


def study_dict(run: Run) -> dict[str, Any]:
    """A study with its trials, ready for JSON."""
    from cxr.jobs.sweep import search_of
    from cxr.studies.rate_range import read_rate_range
    from cxr.studies.trials import best_trial, read_trials

    if (rates := read_rate_range(run.result_folder)) is not None:
        facts = {"suggested": rates.suggested, "lowest": rates.lowest, "steepest": rates.steepest}
        return console.run_dict(run) | facts | {"rates": list(rates.rates), "losses": list(rates.losses)}
    search, trials = search_of(run.job.parameters), read_trials(run.folder)  # type: ignore[arg-type]
    best = best_trial(trials, search.metric)
    found = {
        "metric": search.metric,
        "best": best.number if best else None,
        "importances": search.importances(trials),
        "trials": [asdict(trial) for trial in trials],
    }
    return console.run_dict(run) | found


def study_text(run: Run) -> str:
    """How a study ended, and a line for each trial, the best first."""
    from cxr.presentation.study_tables import trials_table
    from cxr.studies.proposals import PresetName
    from cxr.studies.space import Space
    from cxr.studies.trials import read_trials

    asked: Any = run.job.parameters
    if asked.preset == PresetName.RATE_TEST:
        return run.status.sentence
    table = trials_table(Space.from_toml(asked.space_toml), read_trials(run.folder), asked.metric)
    return f"{run.status.sentence}\n\n{table.to_string(index=False)}"


def _space(options: SweepOptions, recipe: Recipe) -> Space:
    from cxr.studies.proposals import PresetName, preset_space
    from cxr.studies.space import Space

    if options.space is not None:
        return Space.read(options.space)
    return preset_space(recipe, PresetName(options.preset.value))
