"""Train: a recipe, its hyperparameters and films become a run; runs under way and ended."""

import time
from collections import Counter
from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import duration
from cxr.datasets.catalogue import entries
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.quality.audit import Audit
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.jobs import run_store, train
from cxr.jobs.estimate import estimate
from cxr.learning.augmentation_preview import PreviewFilm, preview_films
from cxr.learning.device import Device, device_without_tensorflow, find_device
from cxr.learning.film_selection import excluded_films, select
from cxr.presentation import model_card
from cxr.registry import registry
from cxr.registry.recipe import Recipe, built_in_names
from cxr.ui import frame, sign_in
from cxr.ui.address import choice_in_address
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.progress import progress_bar
from cxr.ui.train import runs as run_panels
from cxr.ui.train.recipe_form import recipe_form

NEW, RUNS = "New training", "Runs"
RECENT_S = 12 * 3600  # a run that ended overnight is what one comes back for


def page() -> None:
    frame.start_page("Train")
    every = run_store.all_runs()
    alive = [run for run in every if run.status.alive]
    if "train.next" in st.session_state:
        st.session_state["train.view"] = st.session_state.pop("train.next")
    recent = bool(alive) or any(time.time() - run.status.heartbeat < RECENT_S for run in every[:1])
    st.session_state.setdefault("train.view", RUNS if recent else NEW)  # who comes back finds the run
    view = st.segmented_control(
        "What to do",
        [NEW, RUNS],
        required=True,
        key="train.view",
        persist_state="session",
        label_visibility="collapsed",
    )
    if view == NEW:
        _new(bool(alive))
    else:
        run_panels.show(alive)


def _new(another: bool) -> None:
    paths = _paths()
    dataset = _films(paths)
    st.subheader("Recipe")
    recipe = recipe_form(_recipe(), ["imagenet", "none", *(f"shelf:{name}" for name in registry.names())])
    if dataset is None or recipe is None:
        return
    with frame.errors_shown():
        chosen, labels = select(recipe, dataset)
        _composition(chosen, labels.classes, excluded_films(recipe, labels, dataset))
        _augmentation(chosen, recipe)
        _start(recipe, chosen, paths, another)


def _paths() -> list[str]:
    st.subheader("Films")
    if not entries():
        phantom_form.offer_first_dataset("train.datasets")
        return []
    chosen = choose_datasets("Datasets (several are joined)", "train.datasets", in_address="films")
    if not chosen:
        st.caption("Choose the films to train with.")
    return [place.path for place in chosen]


def _films(paths: Sequence[str]) -> Dataset | None:
    """The chosen datasets as one, with its audit in one line."""
    if paths:
        with frame.errors_shown():
            dataset = open_datasets(paths)
            _audit(dataset)
            return dataset
    return None


def _audit(dataset: Dataset) -> None:
    found = cached_audit(dataset)
    if found is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{len(dataset)} films, not audited yet.", width="content")
            asked = sign_in.button(Action.AUDIT_DATASET, "Audit them (reads every film once)", key="train.audit")
        if not asked:
            return
        with progress_bar("Reading films") as move:
            audit_or_cached(dataset, move)
        st.rerun()
    _audit_line(found)


def _audit_line(found: Audit) -> None:
    counts = {
        severity: sum(one.severity == severity for one in found.findings) for severity in ("error", "warning", "info")
    }
    films = f"{found.films} films of {found.patients} patients."
    more = f" {counts['error']} grave, {counts['warning']} doubtful, {counts['info']} for information."
    if found.worst == "error":
        st.error(f"{films} Do not train on these as they are: {found.findings[0].sentence}{more}")
    elif found.worst == "warning":
        st.warning(f"{films} {found.findings[0].sentence}{more}")
    else:
        st.success(f"{films} The audit found nothing against training on them.{more if counts['info'] else ''}")


def _recipe() -> Recipe:
    names = sorted(built_in_names(), key=lambda name: name != "vgg16-default")
    changed = choice_in_address("recipe", "train.recipe", names, names[0])
    name = st.selectbox("Recipe", names, key="train.recipe", persist_state="session", on_change=changed)
    recipe = Recipe.read(name)
    table = model_card.shelf_table([card for card in registry.cards() if card.recipe == name], None)
    made = table.dropna(subset="test films").to_dict("records")
    reached = [
        f"{row['model']}: right class {row['right class']:.3f} on {row['test films']:.0f} test films" for row in made
    ]
    said = {"What it is": recipe.about, "From": recipe.origin, "Published": recipe.published}
    said["On this shelf"] = "; ".join(reached)
    st.markdown("  \n".join(f"{title}: {text}" for title, text in said.items() if text))
    return recipe


def _composition(dataset: Dataset, classes: Sequence[str], without: Sequence[str]) -> None:
    roles = dataset.table["role"].value_counts()
    st.subheader("What it will do")
    st.markdown(
        f"Learn to tell {', '.join(classes)} from {roles.get('train', 0)} films, choose by {roles.get('val', 0)}, "
        f"be tested on {roles.get('test', 0)}; patients are kept together."
    )
    for sentence in without:
        st.caption(sentence)


def _augmentation(dataset: Dataset, recipe: Recipe) -> None:
    with st.expander("What augmentation does to four of these films", key="train.preview"):
        if not recipe.augmentation.active:
            st.write("This recipe shows the films as they are.")
            return
        view = st.session_state.setdefault("train.look", 0)
        shown = _samples(dataset, recipe.input.size_px)
        for column, one in zip(st.columns(max(len(shown), 1)), shown, strict=False):
            column.image(one.pixels, f"{one.label}, as it is", width="stretch", alt=f"A film labelled {one.label}")
            seen = one.view(recipe, view)
            column.image(seen, f"view {view + 1}", width="stretch", alt=f"The same film, augmented, view {view + 1}")
        if st.button("Another view", key="train.another"):
            st.session_state["train.look"] = view + 1
            st.rerun()


def _samples(dataset: Dataset, size_px: int) -> list[PreviewFilm]:
    """Read once for a choice of films and size, and kept for this visitor alone."""
    wanted = (dataset.name, tuple(dataset.table["path"]), size_px)
    kept = st.session_state.get("train.samples")
    if kept is None or kept[0] != hash(wanted):
        kept = (hash(wanted), preview_films(dataset, size_px))
        st.session_state["train.samples"] = kept
    return kept[1]


def _start(recipe: Recipe, dataset: Dataset, paths: Sequence[str], another: bool) -> None:
    name = _name(recipe)
    button, facts = st.container(), st.container()
    if another:
        st.caption("Another training is under way; this one will wait in line.")
    with button:
        pressed = sign_in.button(Action.START_RUN, "Start training", type="primary", key="train.start")
    if pressed:
        job = train.plan(recipe, paths, name)
        run_panels.watch([run_store.start(job, recipe.name).id])
        st.session_state[_offered(recipe)] = name  # it is promised now: the next one gets another
        st.session_state["train.next"] = RUNS
        st.rerun()
    with facts:  # last: where there may be a GPU, TensorFlow is asked, and that takes seconds
        device = _device(recipe.training.precision)
        found = estimate(recipe, Counter(dataset.table["role"]), device, run_store.all_runs())
        took, memory = found.seconds, found.memory_bytes
        st.markdown(
            f"On {device.name} in {device.precision}, {device.why}: "
            f"about {duration(took.low)} to {duration(took.high)}, "
            f"{memory.low / 1e9:.1f} to {memory.high / 1e9:.1f} GB of memory."
        )
        st.caption(found.rests_on)


def _name(recipe: Recipe) -> str:
    """The new model's name: the one that was typed, or else the first that is free now."""
    key, free = f"train.name.{recipe.name}", train.free_name(recipe.name)
    if st.session_state.get(key) == st.session_state.get(_offered(recipe)):
        st.session_state[key] = free
    st.session_state[_offered(recipe)] = free
    return st.text_input("The model's name", max_chars=64, key=key, persist_state="session")


def _offered(recipe: Recipe) -> str:
    """Where the session keeps the name that nobody typed."""
    return f"train.offered.{recipe.name}"


def _device(precision: str) -> Device:
    return device_without_tensorflow(precision) or _asked(precision)


@st.cache_resource(show_spinner="Looking for the device ...")
def _asked(precision: str) -> Device:
    return find_device(precision)


page()
