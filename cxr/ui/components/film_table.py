"""Films that a model was judged by: a table to choose from, and the one that is chosen with its heatmap."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.datasets.film_lookup import find_film
from cxr.films.isolation.pool import read_isolated
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.ui.components.thumbnails import thumbnails
from cxr.ui.components.viewer import ViewerFilm, viewer
from cxr.ui.loaded_model import load_classifier

FILMS_A_PAGE = 6
THUMBNAIL_PX = 96


def select_film(films: pd.DataFrame, told: pd.DataFrame, key: str, alt: str) -> pd.Series | None:
    """The row that is chosen of judged films, shown a page at a time: their pictures, and what is told of each."""
    pages = -(-len(films) // FILMS_A_PAGE)
    page = st.pagination(pages, key=f"{key}_page_{len(films)}", persist_state="session") if pages > 1 else 1
    here = slice((page - 1) * FILMS_A_PAGE, page * FILMS_A_PAGE)
    rows, shown = films.iloc[here].reset_index(drop=True), told.iloc[here].reset_index(drop=True)
    with st.spinner("Reading films ..."):
        # Kept for this visit, not in a cache that all visitors share.
        pictures, missing = thumbnails(rows, THUMBNAIL_PX, st.session_state.setdefault("thumbnails", {}))
    scores = _decimals([str(name) for name in shown.select_dtypes("float")])
    shown.insert(0, "Film", pictures)
    chosen = st.dataframe(
        shown,
        column_config=scores | {"Film": st.column_config.ImageColumn(width="small")},
        hide_index=True,
        height="content",
        row_height=72,
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}_{'_'.join(rows['film'])}",
        alt=alt,
    )
    for sentence in missing:
        st.caption(sentence)
    places = chosen["selection"]["rows"]
    return rows.iloc[places[0]] if places else None


def film_with_heatmap(card: Card, row: pd.Series) -> None:
    """A film, and beside it where the model found what speaks for a class."""
    picture, prediction = _reading(card, row)
    heatmaps = {name: prediction.heatmap(name) for name in card.classes}
    viewer(picture, heatmaps, prediction.decision, "Grad-CAM", f"film_panel_viewer_{picture.key}")
    for sentence in prediction.input_check.sentences if prediction.input_check else ():
        st.warning(sentence)
    said = ", ".join(f"{name} {prediction.probability(name):.3f}" for name in card.classes)
    st.caption(f"Labelled {row['label']}. The model's probabilities: {said}.")


def _reading(card: Card, row: pd.Series) -> tuple[ViewerFilm, Prediction]:
    """The film and what the model makes of it. The last one of this visit is kept, so that no slider reads again."""
    key = f"{card.version}-{row['film']}"
    if st.session_state.get("film_panel_reading", (None,))[0] != key:
        film = read_isolated(find_film(row["dataset"], row["path"], row["film"]))
        with st.spinner("Reading the film ..."):
            classifier = load_classifier(card)
            with audited(Action.READ_FILMS, card.name, classifier.card.version, film=row["film"]):
                prediction = classifier.read(film)
        st.session_state["film_panel_reading"] = (key, ViewerFilm.from_film(film, key), prediction)
    _, picture, prediction = st.session_state["film_panel_reading"]
    return picture, prediction


def _decimals(names: list[str]) -> dict[str, Any]:
    """The column settings of a table that shows these columns with three decimals."""
    return {name: st.column_config.NumberColumn(format="%.3f") for name in names}
