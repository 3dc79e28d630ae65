"""What every page shares: its frame, the models and datasets to choose from, errors as sentences."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from cxr import DISCLAIMER
from cxr.core.errors import CxrError
from cxr.films.isolation.pool import decoder_pool
from cxr.films.thumbnail import data_url
from cxr.presentation.duration import duration
from cxr.registry import registry
from cxr.ui import error_reports, sign_in

if TYPE_CHECKING:
    from cxr.datasets.catalogue import DatasetEntry
    from cxr.inference.classifier import Classifier
    from cxr.registry.card import Card
    from cxr.ui.components.charts.chart import Chart

T = TypeVar("T")
BAR_S = 0.1  # between two moves of a bar: more are not seen, and slow the work
MODELS_KEPT = 2  # in memory at once, for all who look
WARM_UP_AFTER_S = 2.0  # so that the first page is drawn before TensorFlow takes the processor
ENTERED, WANTED = "ui.entered", "ui.wanted"
OF_PAGE = "ui.of_page."
STYLE = Path(__file__).with_name("page.css")
# Within the page: as a file of its own it is not there for a moment whenever a page begins anew.
ICON = data_url(Path(__file__).with_name("icon.png").read_bytes(), "png")
# Streamlit follows the system's preference, and reading rooms are dark: so the first visit chooses, once, for the
# visitor, who may choose otherwise in the menu. Streamlit keeps a choice for the address at which it was made; another
# page that is opened by its address takes it over. Should Streamlit keep it elsewhere one day, nothing happens.
DARK_AT_FIRST = """<script>{
const key = `stActiveTheme-${window.location.pathname}-v2`, mark = (one) => `cxr-${one}`;
if (!localStorage.getItem(mark(key))) {
  const before = Object.keys(localStorage).find((one) => one.startsWith(mark("stActiveTheme-")));
  const chosen = (before && localStorage.getItem(before.slice(mark("").length))) || '"Dark"';
  localStorage.setItem(mark(key), "chosen once");
  localStorage.setItem(key, chosen);
  const light = window.matchMedia("(prefers-color-scheme: light)").matches;
  if (chosen === (light ? '"Dark"' : '"Light"')) window.location.reload();
}
}</script>"""


def open_requested_page() -> None:
    """Called by the entry once the list of pages is known; goes on to the page that was asked for before it was."""
    st.session_state[ENTERED] = True
    wanted = st.session_state.pop(WANTED, None)
    if wanted:
        page, query = wanted
        st.switch_page(page, query_params=query)


def start_page(title: str) -> None:
    """The frame of a page; called first by every page, as a direct hit on its address may run that page alone."""
    error_reports.watch()
    _through_the_entry(title)
    st.set_page_config(f"{title} - cxr", ICON, layout="wide", menu_items={"About": f"cxr. {DISCLAIMER}"})
    st.html(STYLE)
    st.html(DARK_AT_FIRST, unsafe_allow_javascript=True)
    st.html(f'<header class="cxr-header"><h1>{title}</h1><p role="note">{DISCLAIMER}</p></header>')
    sign_in.require_access(title)
    _forget_other_pages(title)
    _warm_up()


def of_page(title: str, name: str) -> str:
    """The key of something large that the session keeps for one page alone, and that goes when another is opened."""
    return f"{OF_PAGE}{title}.{name}"


def _forget_other_pages(title: str) -> None:
    kept = [str(key) for key in st.session_state]
    for key in kept:
        if key.startswith(OF_PAGE) and not key.startswith(of_page(title, "")):
            del st.session_state[key]


def _through_the_entry(title: str) -> None:
    """The first visit to a fresh server may run a page without the entry, and without the other pages in reach."""
    if ENTERED in st.session_state:
        return
    st.session_state[WANTED] = (f"pages/{title.lower()}.py", st.query_params.to_dict())
    with suppress(StreamlitPageNotFoundError):  # a page that is run by itself, as in a test
        st.switch_page("streamlit_app.py")


@contextmanager
def errors_shown() -> Iterator[None]:
    """What goes wrong on purpose inside becomes a sentence on the page."""
    place = st.empty()  # now, so that what an earlier run said here is gone while this one works
    try:
        yield
    except CxrError as error:
        from cxr.registry.hyperparameters import with_form_labels  # late: it reads every recipe's schema

        place.error(with_form_labels(str(error)))


def warn(sentence: str) -> None:
    """A warning, where there is anything to be warned of."""
    if sentence:
        st.warning(sentence)


def model_choice(label: str, key: str, empty: bool = False, in_address: bool = False) -> Card | None:
    """The card of the model that is chosen from the shelf, the one in use first; None where there is none.

    With `empty`, choosing none is possible and comes first. With `in_address`, the page's address may name the model,
    as in `?model=NAME`, and names another once one is chosen: so a reload finds it again.
    """
    cards = {card.name: card for card in registry.cards()}
    in_use = registry.default_name()
    names = sorted(cards, key=lambda name: name != in_use)
    if not names:
        return None

    def shown(name: str | None) -> str:
        return "-" if name is None else f"{name} (in use)" if name == in_use else name

    options: list[str | None] = [None, *names] if empty else [*names]
    if not in_address:
        chosen = choice(label, options, key, format_func=shown)
        return cards.get(chosen) if chosen else None
    asked = st.query_params.get("model")
    chosen = choice(label, options, key, format_func=shown, on_change=from_address("model", key, names, names[0]))
    if asked is not None and asked not in cards:
        st.warning(f"There is no model '{asked}' on the shelf; this is '{chosen}'.")
    return cards.get(chosen) if chosen else None


def from_address(name: str, key: str, options: Collection[str], usual: str) -> Callable[[], None]:
    """What is to be done when the widget of this key changes: its choice is written into the address, if unusual.

    There it outlives a reload. What the address says under this name is chosen now.
    """

    def write() -> None:
        chosen = st.session_state[key]
        if chosen == usual:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = chosen

    if st.query_params.get(name) in options:
        st.session_state[key] = st.query_params[name]
    elif name not in st.query_params and st.session_state.get(key) in options:
        write()  # chosen before in this session, and come back to by the menu
    return write


def several_from_address(name: str, key: str, options: Collection[str]) -> Callable[[], None]:
    """As `from_address`, where several are chosen, and none is usual."""

    def write() -> None:
        if st.session_state[key]:
            st.query_params[name] = st.session_state[key]
        else:
            st.query_params.pop(name, None)

    asked = [one for one in st.query_params.get_all(name) if one in options]
    if asked:
        st.session_state[key] = asked
    elif st.session_state.get(key):
        write()  # chosen before in this session, and come back to by the menu
    return write


def choice(label: str, options: Sequence[T], key: str, **more: Any) -> T | None:
    """What is chosen of these; a choice of the session that is no longer among them is the usual one again."""
    if st.session_state.get(key) not in (None, *options):
        usual = more.get("index", 0)
        # Were the choice merely forgotten, the browser would go on showing what is gone.
        st.session_state[key] = None if usual is None else options[usual]
    return cast("T | None", st.selectbox(label, options, key=key, persist_state="session", **more))


def dataset_choice(label: str, key: str, in_address: str = "") -> list[DatasetEntry]:
    """The datasets that are chosen from the catalogue; under that name in the page's address, if one is given."""
    from cxr.datasets import catalogue

    places = {place.name: place for place in catalogue.entries()}
    kept = [name for name in st.session_state.get(key, []) if name in places]
    if kept != st.session_state.get(key, kept):
        st.session_state[key] = kept
    changed = several_from_address(in_address, key, places) if in_address else None
    chosen = st.multiselect(label, list(places), key=key, persist_state="session", on_change=changed)
    return [places[name] for name in chosen]


def lead_to_a_model() -> None:
    """What a page without any model says, and the way out."""
    st.info("There is no model yet. This is how to get one, from drawn films or from your own:")
    steps = (
        ("data", "Data", "add your films, or draw a set of phantoms with one click."),
        ("train", "Train", "choose them and press Start. Drawn films take a few minutes."),
        ("predict", "Predict", "drop a film, and see what the model makes of it and where it looked."),
    )
    for number, (page, label, words) in enumerate(steps, 1):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"{number}.", width="content")
            link(page, label)
            st.markdown(words, width="content")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("Or take in a model that was exported elsewhere:", width="content")
        link("models", "Models")


def link(page: str, label: str, **query: str) -> None:
    """A way to another page; a plain address where this page was opened without the list of pages."""
    try:
        st.page_link(f"pages/{page}.py", label=label, query_params=query)
    except StreamlitPageNotFoundError:
        st.markdown(f"[{label}](/{page}{'?' if query else ''}{urlencode(query)})")


def picture(jpeg_bytes: bytes, width_px: int, alt: str) -> None:
    """A picture within the page, no wider than its column: as a file of its own, a quick visitor would find it gone."""
    words = escape(alt, quote=True)
    st.html(f'<img src="{data_url(jpeg_bytes)}" width="{width_px}" alt="{words}" style="max-width: 100%">')


def decimals(names: Sequence[str]) -> dict[str, Any]:
    """These columns of a table with three decimals."""
    return {name: st.column_config.NumberColumn(format="%.3f") for name in names}


def chart(drawn: Chart, key: str) -> None:
    """A chart, and below it the numbers it is made of, as a table and as a file."""
    from cxr.ui.components.charts.chart import CONFIG

    st.plotly_chart(drawn.figure, key=key, config=CONFIG, alt=drawn.alt)
    numbers_of(drawn, key)


def numbers_of(drawn: Chart, key: str) -> None:
    """The numbers of a chart, folded away until they are asked for."""
    folded = st.expander("The numbers", key=f"{key}_numbers", on_change="rerun")
    if folded.open:
        with folded:
            st.dataframe(drawn.table, hide_index=True, height=240, key=f"{key}_table")
            st.download_button("Download as CSV", drawn.csv(), f"{key}.csv", "text/csv", key=f"{key}_csv")


def classifier(card: Card) -> Classifier:
    """The model of this card, ready to read; loaded once for everyone, with a sentence while that lasts."""
    with st.spinner("Getting the model ready ..."):
        return _loaded(card.name, card.version, card.gate_sha256)


@st.cache_resource(max_entries=MODELS_KEPT, show_spinner=False)
def _loaded(name: str, version: str, gate: str | None) -> Classifier:
    return registry.load(name)


@contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
    """A bar with an estimate of the time left, moved by a callback of (done, total); gone when it is over.

    A part of the work that has a name of its own, given as a third argument, has an estimate of its own.
    """
    bar = st.progress(0.0, text=title)
    part = ""
    started = time.monotonic()
    moved = 0.0

    def move(done: int, total: int, what: str = "") -> None:
        nonlocal moved, part, started
        now = time.monotonic()
        if what != part:
            part, started, moved = what, now, 0.0
        if now - moved < BAR_S and done < total:
            return
        moved = now
        left_s = (now - started) / max(done, 1) * (total - done)
        left = f", about {duration(left_s)} left" if 0 < done < total else ""
        bar.progress(done / total if total else 0.0, text=f"{what or title}: {done} of {total}{left}")

    try:
        yield move
    finally:
        bar.empty()


@st.cache_resource(show_spinner=False)
def _warm_up() -> None:
    """Have TensorFlow, the model in use and a reader of films ready before somebody waits; once for the server."""

    def work() -> None:
        time.sleep(WARM_UP_AFTER_S)
        decoder_pool().warm_up()
        from cxr.learning.device import import_tensorflow

        import_tensorflow()
        _keep_keras()
        with suppress(CxrError):  # whoever asks for the model is told
            name = registry.default_name()
            if name:
                card = registry.get_card(name)
                _loaded(name, card.version, card.gate_sha256)
        gc.freeze()  # Streamlit collects garbage after each run: what is loaded now stays, and need not be searched

    threading.Thread(target=work, name="warm-up", daemon=True).start()


def _keep_keras() -> None:
    """Keep Streamlit from clearing Keras after each run of a page, as it does for scripts that build models in pages.

    It would throw away the compiled kernels of the model in use (0.2 s a page), and reset, in the middle of it, what
    another visitor's page is building.
    """
    import keras

    keras.backend.clear_session = lambda free_memory=True: None
