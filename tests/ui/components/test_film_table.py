"""A judged film that is opened beside its heatmap."""

import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.access import LOCAL, Action, Person
from cxr.core.audit_trail import read_entries
from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.films.film import film_id
from cxr.inference.batch import read_sources
from cxr.inference.loading import load_classifier
from cxr.inference.sources import source_on_disk
from cxr.registry import registry


@pytest.fixture
def row(trained, phantoms):
    """A film of a dataset in the catalogue, as scores have it."""
    catalogue.add(phantoms)
    dataset = Dataset.open(phantoms)
    place = dataset.table.iloc[0]
    return {key: place[key] for key in ("dataset", "path", "label")} | {"film": film_id(dataset.read_bytes(0))}


def opened(row, person=LOCAL):
    """A page that shows this film to that person as the model in use reads it."""

    def page(row, person):
        import pandas as pd

        from cxr.core.access import acting_as
        from cxr.ui import frame
        from cxr.ui.components.film_table import show_film_with_heatmap

        with acting_as(person), frame.errors_shown():
            show_film_with_heatmap(registry.get_card("first"), pd.Series(row))

    return AppTest.from_function(page, default_timeout=120, args=(row, person)).run()


def test_a_film_that_is_opened_leaves_the_line_that_a_reading_leaves_once(row, phantoms):
    list(read_sources(load_classifier("first"), [source_on_disk(phantoms / row["path"])]))
    line = read_entries()[-1]
    app = opened(row)
    assert not app.exception and not app.error
    app.run()  # what was read is kept, and not read again
    readings = [one for one in read_entries() if one.action == Action.READ_FILMS]
    assert len(readings) == 2
    assert vars(readings[1]) | {"when": ""} == vars(line) | {"when": ""}


def test_who_may_not_read_films_is_shown_none(row):
    app = opened(row, Person("nobody", None))
    assert not [one for one in read_entries() if one.action == Action.READ_FILMS]
    assert 'need the role "reader" to read X-rays' in app.error[0].value
