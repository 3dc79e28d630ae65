"""An evaluated X-ray that is opened with its heatmap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxr.core.access import LOCAL, Action, Person
from cxr.core.audit_trail import AuditEntry, read_entries
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.films.film import film_id
from cxr.inference.batch import read_sources
from cxr.inference.input_check.findings import SENTENCES, InputCheckCode
from cxr.inference.loading import load_classifier
from cxr.inference.sources import source_on_disk

Row = dict[str, str]


@pytest.fixture
def row(trained: Path, phantoms: Path) -> Row:
    """An X-ray of a dataset in the catalog, as a score table has it."""
    catalog.add(phantoms)
    dataset = Dataset.open(phantoms)
    film = dataset.table.iloc[0]
    return {key: film[key] for key in ("dataset", "path", "label")} | {"film": film_id(dataset.read_bytes(0))}


def opened(row: Row, person: Person = LOCAL, places: tuple[str, ...] = ("cell",)) -> AppTest:
    """A page that shows this X-ray to that person with the default model's heatmap, once at each place."""

    def page(row, person, places):  # a script of its own, without the names of this module
        import pandas as pd

        from cxr.core.access import acting_as
        from cxr.registry.registry import get_card
        from cxr.ui import frame
        from cxr.ui.components.film_table import show_film_with_heatmap

        with acting_as(person), frame.errors_shown():
            for place in places:
                show_film_with_heatmap(get_card("first"), pd.Series(row), place)

    return AppTest.from_function(page, default_timeout=120, args=(row, person, places)).run()


def readings() -> list[AuditEntry]:
    return [entry for entry in read_entries() if entry.action == Action.READ_FILMS]


def test_an_opened_film_is_read_once_and_recorded_as_any_reading_is(row: Row, phantoms: Path) -> None:
    list(read_sources(load_classifier("first"), [source_on_disk(phantoms / row["path"])]))
    (expected,) = readings()
    app = opened(row)
    assert not app.exception
    assert not app.error
    app.run()
    assert [vars(entry) | {"when": ""} for entry in readings()] == [vars(expected) | {"when": ""}] * 2


def test_two_tables_of_a_page_may_have_the_same_film_open(row: Row) -> None:
    app = opened(row, places=("rejected", "cell"))
    assert not app.exception
    assert not app.error
    assert len(readings()) == 1
    assert sum("Probabilities" in caption.value for caption in app.caption) == 2


def test_who_may_not_read_films_sees_the_reason(row: Row) -> None:
    person = Person("nobody", None)
    app = opened(row, person)
    assert not readings()
    assert [error.value for error in app.error] == [person.denial_reason(Action.READ_FILMS)]


def test_a_rejected_film_has_no_probability_until_somebody_insists(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films" / "normal"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(folder / "blank.png")
    catalog.add(tmp_path / "films")
    dataset = Dataset.open(tmp_path / "films")
    film = dataset.table.iloc[0]
    row = {key: film[key] for key in ("dataset", "path", "label")} | {"film": film_id(dataset.read_bytes(0))}
    app = opened(row)
    assert SENTENCES[InputCheckCode.BLANK] in [error.value for error in app.error]
    assert not any("Probabilities" in caption.value for caption in app.caption)
    (insist,) = (button for button in app.button if button.label == "Show anyway")
    insist.click()
    app.run()
    assert not app.error
    assert any("Probabilities" in caption.value for caption in app.caption)


READER, TRAINER = Person("r", "reader"), Person("t", "trainer")


@pytest.mark.parametrize(("person", "named"), [(READER, False), (TRAINER, True)])
def test_names_of_datasets_and_files_are_for_those_who_may_view_datasets(row: Row, person: Person, named: bool) -> None:
    def page(row, person):
        import pandas as pd

        from cxr.core.access import acting_as
        from cxr.ui.components.film_table import select_film

        table = pd.DataFrame({"Score": [0.5], "X-ray": [row["path"]], "Dataset": [row["dataset"]]})
        with acting_as(person):
            select_film(pd.DataFrame([row]), table, "films", "X-rays")

    (table,) = AppTest.from_function(page, default_timeout=120, args=(row, person)).run().dataframe
    assert list(table.value) == ["Image", "Score", *(["X-ray", "Dataset"] if named else [])]

    app = opened(row, person)
    app.button(key=f"read_this_cell_{row['film']}").click().run()
    (source,) = app.session_state["predict_session"].sources.values()
    assert (source.name == Path(row["path"]).name) == named
    assert (row["path"] in source.key) == named
