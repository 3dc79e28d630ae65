"""Copies of one image in a run: found once, one patient's from then on, and a warning on the card."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from cxr.core.errors import RunError
from cxr.datasets.dataset import Dataset
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import run_store
from cxr.jobs.copies_in_run import films_of_run
from cxr.jobs.job import training_job
from cxr.jobs.run import COPIES, FILMS, Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.training_plan import MERGED_COPIES
from cxr.registry import registry
from tests.support.notes import recorded_notes
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder of 60 drawn films of 59 patients without splits; 24 are copies in pairs, each of two patients."""
    folder = draw_phantom_set(tmp_path / "set", 60, size_px=64).parent
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table["split"], table["patient_id"] = "", [f"p{i}" for i in range(len(table))]
    table.loc[30, "patient_id"] = "p26"  # two films of one drawn patient, which look alike
    same_label = table.groupby("label")["path"].apply(list)
    for label in same_label.index:
        for i in range(0, 6, 2):
            shutil.copy(folder / same_label[label][i], folder / same_label[label][i + 1])
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.fixture
def journal(home: Path) -> RunJournal:
    return RunJournal(run_store.create(training_job("", (), None), "tiny"))


def sides(run: Run, folder: Path) -> pd.Series:
    """The number of roles among the films of each image."""
    table = pd.read_csv(run.folder / FILMS, keep_default_na=False)
    return table["role"].groupby([(folder / path).read_bytes() for path in table["path"]]).nunique()


def test_no_copy_is_in_training_and_validation_or_test_and_the_log_says_how_many(
    home: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = recorded_notes(monkeypatch)
    recipe = tiny_recipe(training={"epochs": 1}, data={"validation": 0.3, "test": 0.3})
    run = carry_out(recipe, [copied], stages=WITHOUT_INPUT_CHECK)
    assert sides(run, copied).max() == 1
    assert registry.get_card("tiny").warnings == ()  # nothing makes its results too good
    assert MERGED_COPIES.format("24 images") in notes
    scores = pd.read_csv(run.folder / "evaluation.csv")
    assert scores["patient"].nunique() == 47


def test_a_resumed_run_keeps_the_copies_that_it_started_with(copied: Path, journal: RunJournal) -> None:
    run, dataset = journal.run, Dataset.open(copied)
    first = films_of_run(run, dataset, journal)
    assert first.patients.nunique() == 47
    (copied / str(dataset.table["path"].iat[0])).write_bytes(b"damaged meanwhile")
    assert films_of_run(run, dataset, journal).patients.equals(first.patients)


def test_a_run_of_an_older_version_goes_on_without_looking_for_copies(copied: Path, journal: RunJournal) -> None:
    run, dataset = journal.run, Dataset.open(copied)
    (run.folder / FILMS).write_text("dataset,path,label,role\n")
    assert films_of_run(run, dataset, journal) is dataset
    assert not (run.folder / COPIES).exists()


def test_the_search_for_copies_ends_when_the_run_is_stopped(copied: Path, journal: RunJournal) -> None:
    (journal.run.folder / "stop").touch()
    with pytest.raises(RunError) as stopped:
        films_of_run(journal.run, Dataset.open(copied), journal)
    assert stopped.value.code == "run.stopped"
    assert not (journal.run.folder / COPIES).exists()
