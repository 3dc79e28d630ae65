"""A table of evaluated X-rays to select from, and the selected one with its heatmap."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.audit_trail import audited
from cxr.core.errors import FilmError
from cxr.core.number_format import probability
from cxr.datasets.film_lookup import find_film
from cxr.datasets.labels import display_name
from cxr.films.image_file import data_url
from cxr.films.isolation.pool import read_isolated
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.ui.components.read_this import offer_reading
from cxr.ui.components.table import ONE_ROW, choose_page, number_columns, rounded, selected_row
from cxr.ui.components.viewer.show_viewer import ViewerHeatmaps, show_viewer
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from cxr.ui.loaded_model import load_classifier
from cxr.ui.one_image.look_alikes import show_look_alikes
from cxr.ui.plain_text import plain

ROWS_PER_PAGE = 6
THUMBNAIL_PX = 96
MAX_THUMBNAILS = 600  # of a session, of about 3 kB each
IMAGE, DATASET, PATH = "Image", "Dataset", "X-ray"  # columns: the thumbnail, and what not everybody sees
NAMELESS = "X-ray {}"  # on Predict, for whom the file's name is not shown
SHOWN_ANYWAY = "film_table_shown_anyway"  # session key: the X-rays whose prediction somebody insisted on
REJECTED = "Rejected: no prediction."
CORRECT = "Read it on Predict to correct the image."
THUMBNAILS, READINGS = "film_table_thumbnails", "film_table_readings"  # session keys
OPEN_AT_ONCE = 2  # X-rays on a page: a rejected one, and one of the section that is shown


def select_film(films: pd.DataFrame, table: pd.DataFrame, key: str, alt: str) -> pd.Series | None:
    """The selected row of `films`; each is shown with its thumbnail and its row of `table`, a page at a time.

    Who may not view datasets sees neither their names nor those of files.
    """
    if not _may_see_names():
        table = table.drop(columns=[DATASET, PATH], errors="ignore")
    pages = -(-len(films) // ROWS_PER_PAGE)
    page = choose_page(pages, f"{key}_page_{len(films)}")
    rows_here = slice((page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE)
    rows = films.iloc[rows_here].reset_index(drop=True)
    shown = table.iloc[rows_here].reset_index(drop=True)
    with st.spinner("Reading X-rays ..."):
        # Stored in this session, not in a cache that all visitors share.
        images, reasons = _thumbnails(rows, st.session_state.setdefault(THUMBNAILS, {}))
    decimals = {str(name): 3 for name in shown.select_dtypes("float")}
    shown = rounded(shown, decimals)
    if any(images):
        shown.insert(0, IMAGE, images)
    event = st.dataframe(
        shown,
        column_config=number_columns(decimals) | {IMAGE: st.column_config.ImageColumn(width="small")},
        hide_index=True,
        height="content",
        row_height=72,
        on_select="rerun",
        selection_mode=ONE_ROW,
        key=f"{key}_{'_'.join(rows['film'])}",
        alt=alt,
    )
    for reason in reasons:
        st.caption(plain(reason))
    selected = selected_row(event["selection"], len(rows))
    return None if selected is None else rows.iloc[selected]


def show_film_with_heatmap(card: Card, row: pd.Series, place: str) -> None:
    """Shows an X-ray beside its heatmap, with the model's probabilities; `place` tells it from others on the page."""
    image, prediction = _read_once(card, row)
    if _is_withheld(image, prediction):
        _show_withheld(image, prediction, row, place)
        return
    groups = tuple(prediction.group_heatmaps)
    heatmaps = {name: prediction.heatmap(name) for name in (*card.classes, *groups)}
    show_viewer(image, ViewerHeatmaps(heatmaps, prediction.decision, groups=groups), key=f"film_table_viewer_{place}")
    for sentence in prediction.input_check.sentences if prediction.input_check else ():
        st.warning(plain(sentence))
    values = ", ".join(f"{display_name(name)} {probability(prediction.probability(name))}" for name in card.classes)
    st.caption(plain(f"Reference: {display_name(row['label'])}. Probabilities: {values}."))
    _offer_reading(row, place)
    show_look_alikes(card, prediction, str(row["film"]), place)


def _is_withheld(image: ViewerFilm, prediction: Prediction) -> bool:
    """Whether the input check rejects the X-ray, and nobody insisted on its prediction."""
    rejected = prediction.input_check is not None and prediction.input_check.rejected
    return rejected and image.key not in st.session_state.get(SHOWN_ANYWAY, ())


def _show_withheld(image: ViewerFilm, prediction: Prediction, row: pd.Series, place: str) -> None:
    """Shows a rejected X-ray without heatmap and probabilities, why, and how to see or to correct it."""

    def show_anyway() -> None:
        st.session_state[SHOWN_ANYWAY] = {*st.session_state.get(SHOWN_ANYWAY, ()), image.key}

    for sentence in prediction.input_check.sentences if prediction.input_check else ():
        st.error(plain(sentence))
    show_viewer(image, key=f"film_table_viewer_{place}")
    st.caption(plain(f"{REJECTED} Reference: {display_name(row['label'])}. {CORRECT}"))
    st.button("Show anyway", key=f"film_table_anyway_{place}_{row['film']}", on_click=show_anyway)
    _offer_reading(row, place)


def _offer_reading(row: pd.Series, place: str) -> None:
    film = str(row["film"])
    key, name = f"{row['dataset']}/{row['path']}", Path(row["path"]).name
    if not _may_see_names():
        key, name = f"evaluated-{film}", NAMELESS.format(film[:8])
    read = partial(find_film, row["dataset"], row["path"], film)
    offer_reading(key, name, read, f"read_this_{place}_{film}")


def _may_see_names() -> bool:
    """Whether the visitor may know the names of datasets, and of their files, which are often patients'."""
    return current_person().may(Action.VIEW_DATASETS)


def _read_once(card: Card, row: pd.Series) -> tuple[ViewerFilm, Prediction]:
    """The X-ray and its prediction; the last ones stay in the session, so that no control reads them again."""
    key = f"{card.version}-{row['film']}"
    held: dict[str, tuple[ViewerFilm, Prediction]] = st.session_state.setdefault(READINGS, {})
    if key in held:
        held[key] = held.pop(key)  # the newest are last
    else:
        film = read_isolated(find_film(row["dataset"], row["path"], row["film"]), deep=True)
        with st.spinner("Reading the X-ray ..."):
            classifier = load_classifier(card)
            with audited(Action.READ_FILMS, card.name, classifier.card.version, film=row["film"]):
                prediction = classifier.read(film)
        held[key] = ViewerFilm.from_film(film, key), prediction
        for other in [*held][:-OPEN_AT_ONCE]:
            del held[other]
    return held[key]


def _thumbnails(films: pd.DataFrame, known: dict[str, str]) -> tuple[list[str | None], list[str]]:
    """A data URL of each X-ray's thumbnail, and the reasons why some have none.

    Those in `known`, by digest, are not read again; new ones are added to it.
    """
    reasons: dict[str, None] = {}
    others = [digest for digest in known if digest not in set(films["film"])]
    for digest in others[: max(0, len(known) - MAX_THUMBNAILS)]:  # the oldest
        del known[digest]
    for dataset, path, digest in zip(films["dataset"], films["path"], films["film"], strict=True):
        try:
            if digest not in known:
                film = read_isolated(find_film(dataset, path, digest))
                known[digest] = data_url(film.jpeg_thumbnail(THUMBNAIL_PX))
        except FilmError as error:
            reasons[str(error)] = None
    return [known.get(digest) for digest in films["film"]], list(reasons)
