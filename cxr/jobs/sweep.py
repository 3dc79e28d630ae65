"""Studies as jobs: the trials of a search one after the other, then the best one's model, judged once on test X-rays.

A trial that has ended is not trained again when the job is resumed, and the one that was broken off goes on after its
last epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from cxr.cluster.configuration import cluster_address
from cxr.core.atomic_files import write_atomically
from cxr.core.errors import RunError
from cxr.core.number_format import counted, decimal
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.jobs import run_store, train
from cxr.jobs.copies_in_run import films_of_run
from cxr.jobs.job import Job
from cxr.jobs.parameters import SweepParameters, TrainParameters
from cxr.jobs.rate_test import range_test
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import stop_if_requested
from cxr.jobs.study_trials import StudyTrainer, TrialJournal, keep_for_model, trial_run
from cxr.jobs.train import Stages
from cxr.jobs.training_plan import Composition, composition, plan
from cxr.learning.device import Device, find_device
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.registry.study_record import METRIC_NAMES, StudyRecord
from cxr.studies.proposals import PresetName
from cxr.studies.search import Search, import_optuna
from cxr.studies.space import Space
from cxr.studies.storage import FILE, open_storage
from cxr.studies.trials import ProposedTrial, Trial, TrialState, ranked, read_trials, stored_proposal

MAX_TRIALS = 1000
FAILED_AT_FIRST = 3  # trials; the study ends where none of them could be trained


def sweep_job(recipe: Recipe, paths: Sequence[str], asked: SweepParameters, dataset: Dataset | None = None) -> Job:
    """The job of a study of this recipe, or an error that says what to change; `asked` has no recipe yet."""
    if not 1 <= asked.trials <= MAX_TRIALS:
        raise RunError(f"A study has 1 to {MAX_TRIALS:,} trials.", code="trials")
    if asked.preset != PresetName.RATE_TEST:
        import_optuna()
        Space.from_toml(asked.space_toml).check(recipe)
    planned = plan(recipe, paths, asked.model, dataset=dataset)
    return Job(replace(asked, recipe_toml=planned.training.recipe_toml), planned.inputs)


def extend(study: Run, more: int) -> None:
    """Start a study that has finished again, for so many more trials.

    What they try depends on all trials before. The best of all becomes a model with a name of its own, whose card says
    that it was chosen among so many.
    """
    job = study.job
    asked = job.parameters_as(SweepParameters)
    if asked.preset == PresetName.RATE_TEST:
        raise RunError("A learning-rate range test has one training.", code="trials")
    if study.status.state != "finished":
        raise RunError("This study has not finished. Resume it first.", code="not-finished")
    if not 1 <= more <= MAX_TRIALS - asked.trials:
        raise RunError(f"A study has 1 to {MAX_TRIALS:,} trials; this one has {asked.trials:,}.", code="trials")
    run_store.resume(study, replace(job, parameters=replace(asked, trials=asked.trials + more)))


def search_of(asked: SweepParameters) -> Search:
    """The search that a study asks for."""
    return Search(Space.from_toml(asked.space_toml), asked.metric, asked.seed, asked.trials)


def run(job: Job, journal: RunJournal, stages: Stages | None = None) -> str:
    """How a study ended, in a sentence: its best trial's model is stored."""
    asked = job.parameters_as(SweepParameters)
    if asked.preset == PresetName.RATE_TEST:
        device, chosen = _prepared(job, journal)
        return range_test(Recipe.from_toml(asked.recipe_toml), chosen, device, journal)
    trainer = trainer_of(job, journal)
    search = trainer.search
    trials = _train_all(trainer)
    best = ranked(trials, search.metric)
    if not best:
        raise RunError(f"No trial was trained to its end. {trials[-1].sentence if trials else ''}", code="no-trial")
    name = None if asked.model is None else _store_best(trainer, asked.model, trials, stages)
    return _sentence(trials, best[0], search, name)


def trainer_of(job: Job, journal: RunJournal) -> StudyTrainer:
    """What trains the trials of the study in this process."""
    asked = job.parameters_as(SweepParameters)
    device, chosen = _prepared(job, journal)
    recipe = Recipe.from_toml(asked.recipe_toml)
    return StudyTrainer(recipe, search_of(asked), chosen.films, chosen.labels, device, journal, job.inputs)


def _prepared(job: Job, journal: RunJournal) -> tuple[Device, Composition]:
    """The device, and the films of the study with their roles."""
    recipe = Recipe.from_toml(job.parameters_as(SweepParameters).recipe_toml)
    device = find_device(recipe.training.precision)  # before all that imports TensorFlow, as it silences the import
    journal.update(device=device.name)
    chosen = composition(recipe, films_of_run(journal.run, open_datasets(job.inputs), journal))
    train.check_same_films(journal.run, chosen.films)
    return device, chosen


def record_of(study: Run, number: int, trials: Sequence[Trial]) -> StudyRecord:
    """The place of a complete trial among the others, for the card of its model."""
    asked = study.job.parameters_as(SweepParameters)
    order = ranked(trials, asked.metric)
    rank = next((place for place, trial in enumerate(order, 1) if trial.number == number), 0)
    if not rank:
        raise RunError(f"Trial {number} was not trained to its end, so it has no model.", code="no-weights")
    return StudyRecord(
        run=study.id,
        trial=number,
        trials=len(trials),
        complete=len(order),
        rank=rank,
        metric=asked.metric,
        value=order[rank - 1].value,
        searched=tuple(dimension.key for dimension in Space.from_toml(asked.space_toml).dimensions),
    )


def save_trial(study: Run, number: int, name: str) -> Run:
    """The run, started now, that evaluates a complete trial's model on test X-rays and stores it under this name."""
    trial = trial_run(study, number)
    record = record_of(study, number, read_trials(study.folder))
    recipe_toml = trial.job.training.recipe_toml
    job = Job(TrainParameters(recipe_toml, name, study=record), study.job.inputs)
    registry.check_name_free(name)
    return run_store.start(job, Recipe.from_toml(recipe_toml).name, lambda run: keep_for_model(trial, run))


def models_of(study: Run) -> dict[int, Card]:
    """The models that are stored of a study's trials, by the number of the trial; of two of one trial, the newer."""
    cards = [card for card in reversed(registry.cards()) if card.study is not None and card.study.run == study.id]
    return {card.study.trial: card for card in cards if card.study is not None}


def _train_all(trainer: StudyTrainer) -> list[Trial]:
    """All trials of the study, those that had ended before too; one after the other, or side by side in a cluster."""
    folder, search = trainer.journal.run.folder, trainer.search
    trials = read_trials(folder)
    storage = open_storage(folder / FILE, search, trials)
    proposed = _proposed(trainer, trials)
    if cluster_address():
        from cxr.jobs.cluster_parts import trials_in_cluster

        ended = trials_in_cluster(proposed, search.planned, trainer.journal, lambda: len(trials))
    else:
        ended = (trainer.train(one.number, one.values, list(one.before)) for one in proposed)
    with closing(ended):
        for trial in ended:
            storage.add_trial(search.frozen(trial))
            trials.append(trial)
            if len(trials) == FAILED_AT_FIRST and all(one.state is TrialState.FAILED for one in trials):
                raise RunError(f"The first trials could not be trained. {trial.sentence}", code="no-trial")
    return trials


def _proposed(trainer: StudyTrainer, trials: list[Trial]) -> Iterator[ProposedTrial]:
    """The trials that are to be trained, each proposed when it is asked for, by those that have ended until then."""
    search, at_work = trainer.search, dict[int, Trial]()
    before = {trial.number for trial in trials}
    for number in (n for n in range(1, search.planned + 1) if n not in before):
        stop_if_requested(trainer.journal)
        ended = {trial.number for trial in trials}
        known = [*trials, *(trial for trial in at_work.values() if trial.number not in ended)]
        own = search.first_values(trainer.recipe) if number == 1 else None
        folder = trial_run(trainer.journal.run, number).folder
        values = stored_proposal(folder, partial(_first_or_next, own, search, number, known))
        if values is None:
            trainer.journal.note("All values that the space has were tried.")
            return
        at_work[number] = Trial(number, values, TrialState.FAILED)  # not to be tried again meanwhile
        yield ProposedTrial(number, values, tuple(trials))


def _first_or_next(
    own: dict[str, str | float] | None, search: Search, number: int, known: Sequence[Trial]
) -> dict[str, str | float] | None:
    return own or search.propose(number, known)


def _store_best(trainer: StudyTrainer, name: str, trials: Sequence[Trial], stages: Stages | None) -> str:
    """The name of the best trial's model in the registry, evaluated on the test X-rays."""
    study = trainer.journal.run
    best = ranked(trials, trainer.search.metric)[0]
    trial = trial_run(study, best.number)
    recipe_toml = trial.job.training.recipe_toml
    job = Job(
        TrainParameters(recipe_toml, name, study=record_of(study, best.number, trials)), trainer.inputs, study.job.by
    )
    write_atomically(trial.folder / "job.json", job.to_json())
    keep_for_model(trial, trial)
    journal = TrialJournal(trainer.journal, trial, lambda _: False)
    train.run(job, journal, stages)
    return journal.stored_model


def _sentence(trials: Sequence[Trial], best: Trial, search: Search, name: str | None) -> str:
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    stopped = f", {pruned} of them pruned" if pruned else ""
    saved = f" Saved as model '{name}'." if name else ""
    metric = METRIC_NAMES[search.metric]
    return (
        f"Finished {counted(len(trials), 'trial')}{stopped}. Best: trial {best.number}, {metric} "
        f"{decimal(best.value)}.{saved}"
    )
