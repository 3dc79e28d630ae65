"""Look-alikes of an X-ray: the training X-rays of other patients that the model's backbone finds most similar.

Shown only where the index was built on this machine, and to those who may see its datasets.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import percent
from cxr.datasets.labels import display_name
from cxr.evaluation.look_alikes.index import LookAlike, LookAlikeIndex, has_index, index_path, load_index
from cxr.films.image_file import data_url
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.into_view import announce
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "Look-alikes among the training X-rays"
ABOUT = (
    "The most similar training X-rays of other patients, as the model's backbone sees them. Similar may mean the same "
    "scanner or view rather than the same disease. The percentage says how many training X-rays have a nearest "
    "look-alike that is farther away: above 50% is close, near 0% is far from all of them."
)
APPROXIMATE = "Of so many training X-rays, a few of the nearest may be missed."
SAME_SHOWN, OTHER_SHOWN = 6, 3
THUMBNAIL_PX = 200


def show_look_alikes(card: Card, prediction: Prediction, film_id: str, place: str) -> None:
    """Shows the look-alikes of an X-ray once the section is opened; nothing where there is no index."""
    model = f"{card.name}@{card.version}"
    if not has_index(model) or not current_person().may(Action.VIEW_DATASETS):
        return
    section = st.expander(TITLE, key=f"look_alikes_{place}_{film_id}", on_change="rerun")
    if not section.open:
        return
    with section, frame.errors_shown():
        index = _index(model, index_path(model).stat().st_mtime_ns)
        features = prediction.features[-index.directions.shape[1] :]
        nearest = index.nearest(features, SAME_SHOWN, film=film_id)
        counts = ", ".join(_counts(nearest))
        summary = f"Nearest {len(nearest)}: {counts}."
        st.markdown(plain(summary))
        announce(f"{TITLE}. {summary}", f"look_alikes_{place}")
        _show(nearest)
        labels = {look_alike.label for look_alike in nearest}
        for label in sorted(set(index.texts["label"]) - labels):
            others = index.nearest(features, OTHER_SHOWN, film=film_id, label=str(label))
            if others:
                st.markdown(plain(f"Nearest {display_name(str(label))}:"))
                _show(others)
        st.caption(ABOUT if index.graph is None else f"{ABOUT} {APPROXIMATE}")


@st.cache_resource(max_entries=2, show_spinner="Loading the index ...")
def _index(model: str, changed_ns: int) -> LookAlikeIndex:
    return load_index(model)


def _counts(nearest: Sequence[LookAlike]) -> list[str]:
    """How many of them have each label, the most frequent first."""
    labels = [look_alike.label for look_alike in nearest]
    return [
        f"{labels.count(name)} {display_name(name)}" for name in sorted(set(labels), key=lambda k: -labels.count(k))
    ]


def _show(found: Sequence[LookAlike]) -> None:
    """Shows X-rays side by side, each with its label, source and closeness."""
    cells = []
    for look_alike in found:
        closeness, label = percent(1 - look_alike.rank), display_name(look_alike.label)
        source = f", {look_alike.source}" if look_alike.source else ""
        cells.append(
            f'<figure style="margin:0;width:{THUMBNAIL_PX}px">{_image(look_alike, label)}'
            f"<figcaption>{escape(label + source)}<br>{closeness}</figcaption></figure>"
        )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(cells)}</div>')


def _image(look_alike: LookAlike, label: str) -> str:
    """The thumbnail as HTML, or the reason why there is none."""
    from cxr.core.errors import FilmError
    from cxr.datasets.film_lookup import find_film
    from cxr.films.isolation.pool import read_isolated

    try:
        film = read_isolated(find_film(look_alike.dataset, look_alike.path, look_alike.film))
    except FilmError as error:
        return f"<p>{escape(str(error))}</p>"
    url = data_url(film.jpeg_thumbnail(THUMBNAIL_PX))
    return f'<img src="{url}" alt="Training X-ray: {escape(label, quote=True)}" style="width:100%">'
