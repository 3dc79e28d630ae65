"""Maps of datasets as jobs: features once, then the projection and what separates, and the map in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import atomic_path, write_atomically
from cxr.datasets.dataset import open_datasets
from cxr.evaluation.data_map.data_map import DataMap, MapSettings, make_map
from cxr.evaluation.data_map.projection import Method
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.jobs.job import Job
from cxr.jobs.parameters import MapParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.image_features import IMAGENET
from cxr.learning.journal import Phase
from cxr.presentation.data_map_text import extent_sentence, verdict_sentences
from cxr.registry import registry

ABOUT, FILMS = "map.json", "map.parquet"  # in the run's result folder


def map_job(data: Sequence[str], features: str = IMAGENET, settings: MapSettings | None = None) -> Job:
    """The job of the map of these datasets, by features of ImageNet's backbone or of a stored model's."""
    authorize(Action.AUDIT_DATASET)
    settings = settings or MapSettings()
    version = "" if features == IMAGENET else registry.get_card(features).version
    parameters = MapParameters(features, version, settings.method.value, settings.most)
    return Job(parameters, tuple(str(Path(path).resolve()) for path in data))


def run(job: Job, journal: RunJournal) -> str:
    """What is on the map, in a sentence; it is in the run's folder."""
    asked = job.parameters_as(MapParameters)
    if asked.version:
        card_of(asked.features, asked.version)
    dataset = open_datasets(job.inputs)
    steps = FinishedSteps(journal.run.steps_folder)
    steps.check_unchanged("films", dataset.digest)
    settings = MapSettings(Method(asked.method), asked.most)
    made = make_map(asked.features, dataset, settings, progress_of(journal, Phase.COMPUTING_FEATURES), steps)
    folder = journal.run.result_folder
    folder.mkdir(exist_ok=True)
    with atomic_path(folder / FILMS) as partial:
        made.films.to_parquet(partial, index=False)
    write_atomically(folder / ABOUT, json.dumps(made.as_dict() | {"dataset": dataset.digest}))
    return " ".join([extent_sentence(made), *verdict_sentences(made)])


@dataclass(frozen=True, eq=False)
class StoredMap:
    """The map that a finished job has made, and the digest of the dataset that it is of."""

    map: DataMap
    dataset: str


def stored_map(run: Run) -> StoredMap | None:
    """The map that a finished job has made; None where there is none, or it is damaged."""
    try:
        films = pd.read_parquet(run.result_folder / FILMS)
        about = json.loads((run.result_folder / ABOUT).read_bytes())
        return StoredMap(DataMap.from_dict(about, films), str(about["dataset"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
