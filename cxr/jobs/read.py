"""Readings of archives as jobs: a million X-rays in constant memory, part by part, and resumed after the last part."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from enum import Enum, auto
from itertools import groupby
from pathlib import Path

from filelock import FileLock

from cxr import DISCLAIMER
from cxr.cluster.configuration import cluster_address
from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import AuditEntry, append_entry
from cxr.core.errors import DatasetError, RunError
from cxr.core.number_format import counted
from cxr.core.paths import runs_dir
from cxr.core.remote_files import AnyPath, RemotePath, absolute, path_of
from cxr.datasets import catalog
from cxr.datasets.archive import MANIFEST
from cxr.drift.recording import count_archive
from cxr.inference.archive import parts
from cxr.inference.archive.listing import file_reader, film_paths, listed_from, write_listing
from cxr.inference.archive.overview import ArchiveSummary, summarize, write_index, write_summary
from cxr.inference.archive.parts import ReadingsTable
from cxr.inference.archive.reading import decoders, read_files
from cxr.inference.engines.int8 import INT8, check_int8_usable
from cxr.inference.loading import load_classifier
from cxr.jobs.job import Job, adapter
from cxr.jobs.parameters import Precision, ReadParameters
from cxr.jobs.places import try_lock
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of, stop_if_requested
from cxr.learning.journal import Phase
from cxr.registry.card import Card
from cxr.registry.verification import load_verified

LISTING, SETTINGS, LOCK = "files.jsonl", "archive.json", ".lock"
WAITING_FOR_ROOM = "Waiting for room in the cluster."


class Event(Enum):
    """What has happened when more files were read."""

    START = auto()  # of the time by which the speed is known: workers are at work, and the model is loaded
    READ = auto()
    STORED = auto()


@dataclass(frozen=True)
class ArchiveSettings:
    """What the readings in a folder are of; a reading that goes on there must have the same."""

    source: str
    model: str
    version: str
    heatmaps: bool
    paths: bool
    part_rows: int
    files: int
    precision: Precision = "auto"
    int8: str = ""  # the SHA-256 of the numbers of the model's int8 engine, where it reads


def reading_job(
    card: Card,
    source: str,
    out: str = "",
    heatmaps: bool = False,
    paths: bool = True,
    precision: Precision = "auto",
) -> Job:
    """The job of reading an archive with this version of a model, into the folder `out` or into one of the run's own.

    AccessError for a person who may only read the datasets that this installation knows, DatasetError where there is no
    archive, and CxrError where int8 is asked for and not to be had.
    """
    authorize(Action.READ_ARCHIVE)
    if precision == INT8:
        check_int8_usable(card)
    place = absolute(source)
    if not is_known(place):
        authorize(Action.ADD_DATASET)
    next(iter(film_paths(place)), None)  # an error where it is no archive
    target = str(absolute(out)) if out else ""
    return Job(ReadParameters(card.name, card.version, target, heatmaps, paths, precision=precision), (str(place),))


def is_known(source: AnyPath) -> bool:
    """Whether this is a dataset of this installation, or its manifest, which whoever sees datasets may read."""
    if isinstance(source, RemotePath):
        return False
    known = {Path(entry.path).resolve() for entry in catalog.entries()}
    return source in known or (source.name == MANIFEST and source.parent in known)


def check_target(out: AnyPath, resume: bool) -> ArchiveSettings | None:
    """The settings of the readings in this folder, which are to go on; None where it is empty or new.

    RunError where it has readings that are not to go on, or something else.
    """
    if (out / SETTINGS).exists():
        if not resume:
            raise RunError(f"There are readings in {out.name} already. Add --resume to go on.", code="has-readings")
        return stored_settings(out)
    if out.exists() and (
        not out.is_dir() or any(path.name not in (parts.FOLDER, LISTING, LOCK) for path in out.iterdir())
    ):
        raise RunError(f"{out.name} is not an empty folder. Choose another one.", code="not-empty")
    return None


def stored_settings(folder: AnyPath) -> ArchiveSettings | None:
    """The settings of the readings in this folder; None where there are none."""
    try:
        return adapter(ArchiveSettings).validate_json((folder / SETTINGS).read_bytes())
    except OSError:
        return None
    except ValueError as error:
        raise RunError(f"{SETTINGS} in {folder.name} cannot be read.", code="damaged") from error


def run(job: Job, journal: RunJournal) -> str:
    """How the reading of an archive ended, in a sentence; what was read is in the folder of the readings."""
    asked = job.parameters_as(ReadParameters)
    card = card_of(asked.model, asked.version)
    if asked.precision == INT8:
        check_int8_usable(card)
    person = authorize(Action.READ_ARCHIVE)
    folder = path_of(asked.out) if asked.out else journal.run.result_folder
    try:
        (folder / parts.FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder.name} cannot be written to: {error.strerror or error}.", code="not-writable"
        ) from error
    lock = _lock_of(folder)
    if not try_lock(lock):
        raise RunError(f"Another job writes to {folder.name}.", code="in-progress")
    try:
        settings = _settings(folder, job, card, journal)
        append_entry(AuditEntry(Action.READ_ARCHIVE, card.name, card.version, run=journal.run.id), person)
        _read_missing_parts(folder, settings, journal)
        summary = _finish(folder, settings, card, journal)
    finally:
        lock.release()
    journal.update(result=str(folder))
    unreadable = summary.outcomes.get("unreadable", 0)
    missing = f" {counted(unreadable, 'file')} could not be read." if unreadable else ""
    precision = " in int8" if settings.precision == INT8 else ""
    return f"Read {counted(summary.read, 'X-ray')} with '{card.name}'{precision} into {folder}.{missing}"


def _lock_of(folder: AnyPath) -> FileLock:
    """The lock of whoever writes into this folder; for an object store, which has none, that of this installation."""
    if isinstance(folder, RemotePath):
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        return FileLock(runs_dir() / f"readings-{name}.lock")
    return FileLock(folder / LOCK)


def _settings(folder: AnyPath, job: Job, card: Card, journal: RunJournal) -> ArchiveSettings:
    """The settings of these readings, stored with the list of files before the first is read."""
    (source,), asked = job.inputs, job.parameters_as(ReadParameters)
    wanted = ArchiveSettings(
        source=source,
        model=card.name,
        version=card.version,
        heatmaps=asked.heatmaps,
        paths=asked.paths,
        part_rows=max(1, asked.part_rows),
        files=0,
        precision=asked.precision,
        int8=card.int8_sha256 or "" if asked.precision == INT8 else "",
    )
    stored = stored_settings(folder)
    if stored is None:
        for partial in folder.glob(f".{LISTING}.*"):  # what a killed process left
            partial.unlink(missing_ok=True)
        progress = progress_of(journal, Phase.LISTING_FILES)
        files = write_listing(path_of(source), folder / LISTING, lambda count: progress(count, 0))
        if not files:
            raise DatasetError("There are no X-rays in this archive.", code="no-films")
        stored = replace(wanted, files=files)
        write_atomically(folder / SETTINGS, json.dumps(asdict(stored)), durable=True)
    if stored != replace(wanted, files=stored.files):
        raise RunError(
            f"The readings in {folder.name} are of another archive, model or setting. Choose another folder.",
            code="other-readings",
        )
    return stored


def _read_missing_parts(folder: AnyPath, settings: ArchiveSettings, journal: RunJournal) -> None:
    """Read the files of each part that is not there yet, and store it."""
    parts.remove_partial_files(folder)
    finished = set(parts.finished_parts(folder))
    done = sum(max(0, min(settings.part_rows, settings.files - part * settings.part_rows)) for part in finished)
    if done == settings.files:
        return
    journal.phase(Phase.LOADING_MODEL)
    missing = (file for file in listed_from(folder / LISTING, 0) if file[0] // settings.part_rows not in finished)
    begun = first = 0.0
    read = _in_cluster if cluster_address() else _in_this_process
    with closing(read(folder, settings, missing, journal)) as counts:
        for count, event in counts:
            done += count
            journal.phase(Phase.READING_IMAGES, done, settings.files)
            if event is Event.START:
                begun, first = time.monotonic(), done
            elif event is Event.STORED:
                journal.update(films_s=round((done - first) / (time.monotonic() - begun), 2))
    count_archive(folder, card_of(settings.model, settings.version))


def _in_this_process(
    folder: AnyPath, settings: ArchiveSettings, files: Iterator[tuple[int, str]], journal: RunJournal
) -> Generator[tuple[int, Event], None, None]:
    """How many files more were read, and what that means; first none, when the model is loaded."""
    classifier = load_classifier(settings.model, settings.precision)
    yield 0, Event.START
    table = _table(settings, classifier.card)
    with (
        closing(decoders()) as pool,
        closing(read_files(classifier, files, file_reader(path_of(settings.source)), pool, settings.heatmaps)) as rows,
    ):
        for part, together in groupby(rows, lambda row: row["number"] // settings.part_rows):
            kept = []
            for row in together:
                kept.append(row)
                yield 1, Event.READ
                stop_if_requested(journal)
            parts.write_part(folder, part, kept, table)
            yield 0, Event.STORED


def _in_cluster(
    folder: AnyPath, settings: ArchiveSettings, files: Iterator[tuple[int, str]], journal: RunJournal
) -> Generator[tuple[int, Event], None, None]:
    """The same, where workers of a cluster read the parts."""
    from cxr.cluster.reading import read_parts

    most_workers = 1

    def check(workers: int) -> None:
        nonlocal most_workers
        most_workers = max(most_workers, workers)
        stop_if_requested(journal)
        journal.update(sentence=f"{counted(workers, 'worker')} of the cluster." if workers else WAITING_FOR_ROOM)

    model = load_verified(settings.model)
    by_part = groupby(files, lambda file: file[0] // settings.part_rows)
    numbered = ((part, tuple(together)) for part, together in by_part)
    with closing(
        read_parts((settings.source, str(folder), _table(settings, model.card)), model, numbered, check)
    ) as counts:
        for number, count in enumerate(counts):  # of the first part of each worker, it is not known when it began
            yield count, Event.START if number < most_workers else Event.STORED


def _table(settings: ArchiveSettings, card: Card) -> ReadingsTable:
    """What the columns of the readings are made of."""
    return ReadingsTable(
        f"{card.name}@{card.version}",
        card.classes,
        card.threshold,
        settings.paths,
        settings.heatmaps,
        settings.part_rows,
        settings.precision,
    )


def _finish(folder: AnyPath, settings: ArchiveSettings, card: Card, journal: RunJournal) -> ArchiveSummary:
    """Summarize what was read; the list of files goes where their paths are not to be kept."""
    journal.phase(Phase.SUMMARIZING)
    write_index(folder)
    summary = summarize(folder)
    facts: dict[str, object] = {
        "model": f"{card.name}@{card.version}",
        "classes": list(card.classes),
        "threshold": card.threshold,
        "precision": settings.precision,
        "run": journal.run.id,
        "disclaimer": DISCLAIMER,
    }
    write_summary(folder, summary, facts)
    if not settings.paths:
        (folder / LISTING).unlink(missing_ok=True)
    return summary
