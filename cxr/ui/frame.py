"""What every page shares: its shell, the way through the entry, errors as sentences, links and images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from cxr import DISCLAIMER
from cxr.core.errors import CxrError
from cxr.films.image_file import data_url
from cxr.jobs.running import running_runs
from cxr.ui import error_reports, sign_in
from cxr.ui.loaded_model import warm_up
from cxr.ui.plain_text import plain

ENTERED, REQUESTED = "frame_entered", "frame_requested"
PAGE_ONLY = "page_only_"
JOB_ENDED = "jobs_ended_notice"  # session key: the ID of the job that ended last
JOBS_TITLE = "Jobs"  # of the page that shows all jobs itself
STYLE = Path(__file__).with_name("page.css")
# Embedded in the page: as a file of its own it is missing for a moment whenever a page starts again.
ICON = data_url(Path(__file__).with_name("icon.png").read_bytes(), "png")
# No page may frame this one, lest a visitor click on what is hidden. The server's headers say so to every browser;
# should a proxy remove them, nothing of a framed page is shown.
# Streamlit follows the system's preference, and reading rooms are dark: so the first visit chooses dark, once, and the
# visitor may choose otherwise in the menu. Streamlit stores a choice for the address at which it was made; another
# page opened by its address takes it over. Should Streamlit store it elsewhere one day, nothing happens.
# On a narrow screen the list of pages is opened by a button, which is gone then; the focus goes on into the list.
# Popovers and dialogs lie beside the page, not in it; they have its color scheme from the root of the document.
SCRIPT = """<script>{
if (window.top !== window.self) document.documentElement.hidden = true;
const key = `stActiveTheme-${window.location.pathname}-v2`, mark = (name) => `cxr-${name}`;
if (!localStorage.getItem(mark(key))) {
  const before = Object.keys(localStorage).find((name) => name.startsWith(mark("stActiveTheme-")));
  const chosen = (before && localStorage.getItem(before.slice(mark("").length))) || '"Dark"';
  localStorage.setItem(mark(key), "chosen once");
  localStorage.setItem(key, chosen);
  const light = window.matchMedia("(prefers-color-scheme: light)").matches;
  if (chosen === (light ? '"Dark"' : '"Light"')) window.location.reload();
}
window.cxrOpenedPages ??= (event) => {
  const link = () => document.querySelector("[data-testid=stSidebarNavLink]")?.focus();
  if (event.target.closest?.("[data-testid=stExpandSidebarButton]")) setTimeout(link, 300);
};
document.addEventListener("click", window.cxrOpenedPages);
const app = document.querySelector("[data-testid=stApp]");
if (app) {
  const follow = () => { document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme; };
  window.cxrScheme?.disconnect();
  window.cxrScheme = new MutationObserver(follow);
  window.cxrScheme.observe(app, { attributeFilter: ["class"] });  // another theme is another class
  follow();
}
}</script>"""


def open_requested_page() -> None:
    """Goes on to the page that was requested before the entry knew the list of pages; called by the entry."""
    st.session_state[ENTERED] = True
    requested = st.session_state.pop(REQUESTED, None)
    if requested:
        page, query = requested
        st.switch_page(page, query_params=query)


def start_page(title: str) -> None:
    """Draws the shell of a page; every page calls it first, as a direct hit on its address may run that page alone."""
    error_reports.watch()
    _go_through_entry(title)
    st.set_page_config(f"{title} - cxr", ICON, layout="wide", menu_items={"About": f"cxr. {DISCLAIMER}"})
    st.html(STYLE)
    st.html(SCRIPT, unsafe_allow_javascript=True)
    st.html(f'<header class="cxr-header"><h1>{title}</h1><p role="note">{DISCLAIMER}</p></header>')
    sign_in.require_access(title)
    _show_running_jobs(title)
    _forget_other_pages(title)
    warm_up()


def _show_running_jobs(title: str) -> None:
    """Shows the indicator of running jobs; where none runs, a look into an empty folder is all that is done."""
    ended = st.session_state.pop(JOB_ENDED, "")
    if ended or (title != JOBS_TITLE and running_runs()):
        from cxr.ui.components.jobs.indicator import show_end, show_indicator  # late: seldom needed

        if ended:
            show_end(ended)
        else:
            show_indicator()


def page_only_key(title: str, name: str) -> str:
    """The session key of something large that belongs to one page and is dropped when another page opens."""
    return f"{PAGE_ONLY}{title}_{name}"


def _forget_other_pages(title: str) -> None:
    for key in [str(key) for key in st.session_state]:
        if key.startswith(PAGE_ONLY) and not key.startswith(page_only_key(title, "")):
            del st.session_state[key]


def _go_through_entry(title: str) -> None:
    """The first visit to a new server may run a page without the entry, and without links to the other pages."""
    if ENTERED in st.session_state:
        return
    st.session_state[REQUESTED] = (f"pages/{title.lower().replace(' ', '_')}.py", st.query_params.to_dict())
    with suppress(StreamlitPageNotFoundError):  # a page that is run by itself, as in a test
        st.switch_page("streamlit_app.py")


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows an expected error raised inside as a sentence on the page."""
    place = st.empty()  # made first, so that an earlier error disappears while this run works
    try:
        yield
    except CxrError as error:
        from cxr.registry.hyperparameters import with_form_labels  # late: it reads every recipe's schema

        place.error(plain(with_form_labels(str(error))))


def warn(sentence: str) -> None:
    """Shows a warning, unless it is empty."""
    if sentence:
        st.warning(plain(sentence))


def link(page: str, label: str, **query: str) -> None:
    """Shows a link to another page; a plain address where this page was opened without the list of pages."""
    try:
        st.page_link(f"pages/{page}.py", label=plain(label), query_params=query)
    except StreamlitPageNotFoundError:
        st.markdown(f"[{plain(label)}](/{page}{'?' if query else ''}{urlencode(query)})")


def show_image(jpeg_bytes: bytes, width_px: int, alt: str) -> None:
    """Shows an image embedded in the page, no wider than its column.

    As a file of its own it could be gone before the browser asks for it.
    """
    words = escape(alt, quote=True)
    st.html(f'<img src="{data_url(jpeg_bytes)}" width="{width_px}" alt="{words}" style="max-width: 100%">')
