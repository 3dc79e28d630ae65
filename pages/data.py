"""Data: films are added, looked through, audited, counted and dealt into splits."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from cxr import DISCLAIMER
from cxr.core.access import Action
from cxr.core.paths import home
from cxr.datasets import catalogue
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import Audit, Finding
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.films.synthetic.phantom import FEWEST_FILMS
from cxr.jobs import run_store
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form, tiles
from cxr.ui.components.charts import data
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.progress import progress_bar
from cxr.ui.data import splits

A_PAGE = 24  # films
LARGE_PX = 640  # of the longer side; drawn at twice as many pixels, for fine screens
VIEWS = ("Browse", "Audit", "Charts", "Splits")
FILTERS = {"label": "Class", "split": "Split", "source": "Source", "view": "View"}
SEVERITY = {"error": "Errors", "warning": "Warnings", "info": "Notes"}
OWN_SET = """A folder with one folder a class, or with a `manifest.csv` that has the columns `path` and `label`
(and may have `patient_id`, `split`, `view`, `sex`, `age`, `source`); a ZIP of either; or the manifest itself."""


def add_films() -> None:
    """The ways in. Runs before a dataset is chosen, so that what is new is chosen."""
    known = len(catalogue.entries())
    if not known:
        st.info("There are no films yet. Draw a phantom set to try everything with, or add your own films.")
        if phantom_form.draw_button("data_draw_at_once"):
            take_in(phantom_form.draw_default_set)
    with st.expander("Add films", expanded=not known, key=f"data_add_{known}"):  # one more closes it
        by_path, by_zip, drawn = st.tabs(["On this machine", "Upload a ZIP", "Draw phantoms"], key="data_ways")
        with by_path:
            add_by_path(f"data_path_{known}")
        with by_zip:
            add_zip()
        with drawn:
            draw_with_options()


def add_by_path(key: str) -> None:
    st.caption(OWN_SET + " The films stay where they are.")
    if not sign_in.allowed(Action.ADD_DATASET):
        return
    with st.form("data_path_form", border=False):
        path = st.text_input("Path on this machine", key=key, placeholder="/home/me/films")
        pressed = st.form_submit_button("Add", key="data_path_add")
    if pressed:
        with st.spinner("Looking through the files ..."):
            take_in(lambda: catalogue.add(path))


def add_zip() -> None:
    st.caption("An uploaded ZIP is held in memory only, and is gone with the page, until you keep it.")
    # Any file may be chosen: the browser's own word on one that is no ZIP would stay, beside a better one, until it is
    # taken away by hand.
    upload = st.file_uploader("A ZIP of films", key="data_zip")
    if upload is None:
        return
    if not zipfile.is_zipfile(upload):
        st.error("This file is no ZIP. Pack the folder with your films into one, and choose that.")
        return
    name = st.text_input("Name", catalogue.to_valid_name(Path(upload.name).stem), key=f"data_zip_name_{upload.file_id}")
    if sign_in.button(Action.CREATE_DATASET, "Keep this ZIP on this machine", type="primary", key="data_zip_keep"):
        with st.spinner("Writing and opening the ZIP ..."):
            take_in(lambda: catalogue.create(name, lambda path: path.write_bytes(upload.getbuffer()), suffix=".zip"))


def draw_with_options() -> None:
    st.caption("Drawn films with known truth, free of anyone's data: good for trying out and teaching, for no finding.")
    with st.form("data_draw_form", border=False):
        columns = st.columns(4)
        name = columns[0].text_input("Name", phantom_form.NAME, key="data_draw_name")
        films = columns[1].number_input("Films", FEWEST_FILMS, 20_000, phantom_form.FILMS, 40, key="data_draw_films")
        size_px = columns[2].number_input("Size in pixels", 32, 1024, phantom_form.SIZE_PX, 32, key="data_draw_size")
        seed = columns[3].number_input("Seed", 0, 2**31 - 1, 0, key="data_draw_seed")
        pressed = st.form_submit_button("Draw", key="data_draw")
    if pressed:
        take_in(lambda: phantom_form.draw_set(name, films, size_px, seed))


def take_in(work: Callable[[], DatasetEntry]) -> None:
    """Choose the dataset that this adds, and begin the page anew with it."""
    with frame.errors_shown():
        place = work()
        st.session_state["data_place"] = place.name
        st.session_state["data_said"] = f"'{place.name}' is in the list now."
        st.rerun()


def choose() -> DatasetEntry | None:
    """The dataset that is looked at, with the way to take it off the list beside it."""
    places = {place.name: place for place in catalogue.entries()}
    if not places:
        return None
    if st.session_state.get("data_place") not in (None, *places):
        st.session_state["data_place"] = next(iter(places))  # merely forgotten, the browser would go on showing it
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Dataset", list(places), key="data_place", persist_state="session", width=360)
        place = places[name]
        if place.added and sign_in.button(Action.REMOVE_DATASET, "Take off the list", key="data_forget"):
            confirm_forget(place)
    if said := st.session_state.pop("data_said", ""):
        st.success(said)
    return place


@st.dialog("Take off the list")
def confirm_forget(place: DatasetEntry) -> None:
    if place.created_here:
        st.write(f"'{place.name}' was made here. Its films are deleted from this machine: `{place.path}`")
    else:
        st.write(f"'{place.name}' goes from the list. Its films stay where they are: `{place.path}`")
    if place.created_here and any(run.status.alive and place.path in run.job.datasets for run in run_store.all_runs()):
        st.warning("A training is using these films. Stop it on the page Train, or let it end first.")
    elif sign_in.button(
        Action.REMOVE_DATASET,
        "Delete the films" if place.created_here else "Take off the list",
        type="primary",
        key="data_forget_sure",
    ):
        with frame.errors_shown():
            catalogue.remove(place.name)
            st.rerun()


def shown_path(path: str) -> str:
    """Where films lie; of what lies within this installation, from its folder on."""
    inside = Path(path)
    return str(inside.relative_to(home())) if inside.is_relative_to(home()) else path


def show(place: DatasetEntry) -> None:
    if not place.exists:
        st.warning(f"There is nothing at `{place.path}` any more. Bring it back, or take the dataset off the list.")
        return
    with frame.errors_shown():
        dataset = Dataset.open(place.path)
        films, patients, classes = len(dataset), dataset.patients.nunique(), data.classes(dataset)
        st.caption(f"{films:,} films of {patients:,} patients: {', '.join(classes)}. `{shown_path(place.path)}`")
        view = st.segmented_control(
            "What to look at",
            VIEWS,
            default=VIEWS[0],
            required=True,
            key="data_view",
            persist_state="session",
            label_visibility="collapsed",
        )
        {"Browse": browse, "Audit": look_for_faults, "Charts": draw_charts, "Splits": splits.deal}[view](place, dataset)


def browse(place: DatasetEntry, dataset: Dataset) -> None:
    table, page_key = dataset.table, f"data_{place.name}_page"
    chosen = np.full(len(table), True)
    columns = [column for column in FILTERS if table[column].nunique() > 1]
    for slot, column in zip(st.columns(len(columns) + 1), [*columns, "path"], strict=True):
        with slot:
            chosen &= matching(table[column], f"data_{place.name}_{column}", page_key)
    grid(dataset, np.flatnonzero(chosen).tolist(), page_key)


def matching(column: pd.Series, key: str, page_key: str) -> np.ndarray:
    """Which films the filter of this column lets through; choosing another goes back to the first page."""

    def to_first_page() -> None:
        st.session_state[page_key] = 1

    if column.name == "path":
        text = st.text_input("Path contains", key=key, persist_state="session", on_change=to_first_page)
        return column.str.contains(text.strip(), case=False, regex=False).to_numpy(bool)
    values = sorted(column.unique())
    if not set(st.session_state.get(key, [])) <= set(values):
        del st.session_state[key]
    chosen = st.multiselect(
        FILTERS[str(column.name)],
        values,
        format_func=lambda value: value or "not known",
        key=key,
        persist_state="session",
        placeholder="All",
        on_change=to_first_page,
    )
    return column.isin(chosen or values).to_numpy(bool)


def grid(dataset: Dataset, rows: Sequence[int], key: str) -> None:
    """The films in these rows, a page of them at a time."""
    if not rows:
        st.info("No film is like that. Choose less above.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        told = st.empty()
        pages = math.ceil(len(rows) / A_PAGE)
        page = st.pagination(pages, key=key, persist_state="session") if pages > 1 else 1
    first = (page - 1) * A_PAGE
    shown = rows[first : first + A_PAGE]
    told.write(f"Films {first + 1:,} to {first + len(shown):,} of {len(rows):,}")
    with st.spinner("Reading films ..."):
        pictures = tiles.tiles(dataset, shown)
    with st.container(horizontal=True, gap="small", key=f"{key}_tiles"):
        for i, tile in zip(shown, pictures, strict=True):
            with st.container(width=tiles.SIDE_PX, gap="xxsmall"):
                one_tile(dataset, i, tile, key)


def one_tile(dataset: Dataset, i: int, tile: tiles.Tile, key: str) -> None:
    row = dataset.table.iloc[i]
    label, name = row["label"] or "no label", Path(row["path"]).name
    if tile.jpeg:
        frame.show_image(tile.jpeg, tiles.SIDE_PX, f"{label}, {name}")
    else:
        with st.container(border=True, height=tiles.SIDE_PX):
            st.caption(f"Cannot be read. {tile.reason}")
    short = name if len(name) <= 22 else f"{name[:11]}...{name[-8:]}"
    if st.button(short, type="tertiary", key=f"{key}_open_{i}"):
        enlarge(dataset, i)
    st.caption(", ".join(filter(None, (label, row["split"]))))


@st.dialog("Film", width="large")
def enlarge(dataset: Dataset, i: int) -> None:
    picture, facts = st.columns([3, 2], gap="medium")
    with picture, frame.errors_shown(), st.spinner("Reading the film ..."):
        film = dataset.read(i)
        width_px = round(min(LARGE_PX, LARGE_PX * film.width_px / film.height_px))
        frame.show_image(film.jpeg_thumbnail(2 * LARGE_PX), width_px, f"The film {dataset.table['path'].iat[i]}")
        st.caption(f"{film.width_px} x {film.height_px} pixels, {film.format}, {film.bits} bits. {DISCLAIMER}")
        for warning in film.warnings:
            st.warning(warning.sentence)
    row = dataset.table.iloc[i].drop(["root", "dataset"])
    known = row[row != ""].rename_axis("column").rename("value")
    facts.dataframe(known.reset_index(), hide_index=True, height="content", key="data_film_row")


def look_for_faults(place: DatasetEntry, dataset: Dataset) -> None:
    found = cached_audit(dataset)
    if found is not None:
        show_audit(place, dataset, found)
        return
    st.info(
        f"These films have not been audited as they are now. The audit reads all {len(dataset):,} of them and "
        "looks for copies, patients in two splits, broken films, and classes that something other than the lungs "
        "gives away."
    )
    if sign_in.button(Action.AUDIT_DATASET, "Audit these films", type="primary", key="data_audit"):
        reading = progress_bar("Reading films")
        with frame.errors_shown(), st.spinner("The films are read, then compared with each other ..."), reading as move:
            audit_or_cached(dataset, move)
            st.rerun()


def show_audit(place: DatasetEntry, dataset: Dataset, found: Audit) -> None:
    if not found.findings:
        st.success("Nothing was found that would spoil a training.")
        return
    counts = {severity: sum(one.severity == severity for one in found.findings) for severity in SEVERITY}
    severities = [severity for severity, count in counts.items() if count]
    key = f"data_{place.name}_severity"
    if st.session_state.get(key) not in (None, *severities):
        del st.session_state[key]
    severity = st.segmented_control(
        "Severity",
        severities,
        default=severities[0],
        required=True,
        format_func=lambda severity: f"{SEVERITY[severity]} ({counts[severity]})",
        key=key,
        persist_state="session",
        label_visibility="collapsed",
    )
    if set(dataset.table["source"]) == {"phantom"}:
        st.caption("Drawn films are more alike than real ones are: the audit takes some for copies that are none.")
    rows = {f"{name}/{path}": i for i, (name, path) in enumerate(dataset.table[["dataset", "path"]].to_numpy())}
    for number, finding in enumerate(found.findings):
        if finding.severity == severity:
            show_finding(dataset, finding, [rows[path] for path in finding.paths], f"data_{place.name}_{number}")
    lines = [(one.severity, one.kind, one.sentence, path) for one in found.findings for path in one.paths or ("",)]
    table = pd.DataFrame(lines, columns=["severity", "kind", "finding", "film"])
    st.download_button(
        "Download the findings as CSV",
        f"# {DISCLAIMER}\n{table.to_csv(index=False)}",
        f"{place.name}-audit.csv",
        "text/csv",
        key="data_audit_csv",
    )


def show_finding(dataset: Dataset, finding: Finding, rows: list[int], key: str) -> None:
    with st.container(border=True):
        st.text(finding.sentence)
        if rows:
            folded = st.expander("Its film" if len(rows) == 1 else f"Its {len(rows)} films", key=key, on_change="rerun")
            if folded.open:
                with folded:
                    grid(dataset, rows, f"{key}_page")


def draw_charts(place: DatasetEntry, dataset: Dataset) -> None:
    found = cached_audit(dataset)
    charts = {
        "split": ("Classes and splits", data.by_split(dataset)),
        "source": ("Where the films are from", data.by_source(dataset)),
        "size": ("How large they are", data.by_size(found) if found else None),
        "age": ("How old the patients are", data.by_age(dataset)),
        "sex": ("The patients' sex", data.by_sex(dataset)),
    }
    columns = st.columns(2)
    drawn = ((name, title, chart) for name, (title, chart) in charts.items() if chart)
    for place_of_chart, (name, title, chart) in enumerate(drawn):
        with columns[place_of_chart % 2]:
            st.markdown(f"**{title}**")
            show_chart(chart, f"data_{place.name}_by_{name}")
    if found is None:
        st.caption("The sizes of the films are counted by the audit.")


frame.start_page("Data")
chooser, adding = st.container(), st.container()
with adding:
    add_films()
with chooser:
    chosen_place = choose()
if chosen_place:
    show(chosen_place)
