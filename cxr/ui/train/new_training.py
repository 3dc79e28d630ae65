"""A new training: recipe, composition of the data, augmentation preview, name, start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.errors import RegistryError
from cxr.core.number_format import counted, decimal, duration, gigabytes
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.jobs import run_store
from cxr.jobs.estimate import estimate
from cxr.jobs.model_names import free_name
from cxr.jobs.training_plan import COPIES_UNKNOWN, Composition, known_composition, plan
from cxr.learning.augmentation_preview import PreviewFilm, preview_films
from cxr.learning.device import Device, device_without_tensorflow, find_device
from cxr.learning.missing_weights import MissingWeights, check_download, missing_weights
from cxr.learning.starting_weights import STORED_MODEL
from cxr.registry import default_model, registry
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe, built_in_names
from cxr.ui import frame, sign_in
from cxr.ui.address import choice_in_address
from cxr.ui.plain_text import plain
from cxr.ui.train.cross_validation import CROSS_VALIDATE, choose_task, offer_cross_validation
from cxr.ui.train.recipe_form import recipe_form, start_from
from cxr.ui.train.runs import show_next_time, watch
from cxr.ui.train.training_data import NOT_CHOSEN, choose_training_data

FIRST_RECIPE = "vgg16-default"
INVALID = "Correct the values above first."
QUEUED = "Another training run is in progress; this one will wait for it."


def show_new_training(queued: bool) -> None:
    """Shows the form of a new training; `queued` says that another run is in progress."""
    dataset, paths = choose_training_data()
    st.header("Recipe")
    base = choose_recipe()
    recipe = recipe_form(base, ["imagenet", "none", *(f"{STORED_MODEL}{name}" for name in registry.names())])
    missing = missing_weights(recipe) if recipe else None
    if recipe and missing:
        _show_missing(recipe, missing)
    if dataset is None or recipe is None:
        _show_disabled_start(NOT_CHOSEN if dataset is None else INVALID)
        return
    with frame.errors_shown():
        chosen = known_composition(recipe, dataset)
        show_composition(chosen)
        _show_augmentation(chosen.films, recipe)
        if choose_task() == CROSS_VALIDATE:
            offer_cross_validation(recipe, dataset, paths, missing)
        else:
            _offer_start(recipe, dataset, chosen.films, paths, queued, missing)
        return
    _show_disabled_start(INVALID)


def _show_disabled_start(why: str) -> None:
    st.button("Start training", key="train_start_disabled", type="primary", disabled=True, help=plain(why))
    st.caption(plain(why))


def _show_missing(recipe: Recipe, missing: MissingWeights) -> None:
    """Shows that the weights to start from are not here, and offers a stored model of the same backbone instead."""
    (st.info if missing.can_start else st.error)(plain(missing.sentence))
    default = default_model.default_name()
    if default and registry.get_recipe(default).trunk.backbone == recipe.trunk.backbone:
        label = f"Start from the default model {default} instead"
        st.button(plain(label), key="train_start_from_default", on_click=start_from, args=(default, recipe))


def choose_recipe() -> Recipe:
    """The recipe that is chosen, with a few facts about it."""
    names = sorted(built_in_names(), key=lambda name: name != FIRST_RECIPE)
    changed = choice_in_address("recipe", "train_recipe", names, names[0])
    name = st.selectbox("Recipe", names, key="train_recipe", persist_state="session", on_change=changed)
    recipe = Recipe.read(name)
    models = [card for card in registry.cards() if card.recipe == name]
    facts = {
        "About": recipe.about,
        "Source": recipe.origin,
        "Published": recipe.published,
        "Models trained with it": "; ".join(filter(None, map(_test_accuracy, models))),
    }
    st.markdown("  \n".join(f"{title}: {plain(text)}" for title, text in facts.items() if text))
    return recipe


def _test_accuracy(card: Card) -> str:
    """The name of a model with its accuracy on its test set, empty where it has none."""
    test = card.results.test
    if test is None:
        return ""
    return f"{card.name} (multiclass accuracy {decimal(test.accuracy)} on {counted(test.n, 'test X-ray')})"


def show_composition(chosen: Composition) -> None:
    """Shows the classes, the sizes of the splits, how labels are grouped and, in red, what is left out."""
    roles = Counter(chosen.films.table["role"])
    st.header("Summary")
    st.markdown(
        f"**{roles['train']} train / {roles['val']} validation / {roles['test']} test.** All X-rays from a patient go "
        f"into the same split. Classes: {plain(', '.join(map(display_name, chosen.labels.classes)))}."
    )
    for sentence in (*chosen.remarks, *([] if chosen.copies_known else [COPIES_UNKNOWN])):
        st.caption(plain(sentence))
    if chosen.excluded:
        st.error("  \n".join(plain(excluded.sentence) for excluded in chosen.excluded))


def _show_augmentation(dataset: Dataset, recipe: Recipe) -> None:
    """Shows a few films as they are and as the training would augment them."""
    with st.expander("Augmentation preview", key="train_preview"):
        if not recipe.augmentation.active:
            st.write("This recipe does not use augmentation.")
            return
        view = st.session_state.setdefault("train_preview_view", 0)
        films = _preview_films(dataset, recipe.input.size_px)
        for column, film in zip(st.columns(max(len(films), 1)), films, strict=False):
            name = display_name(film.label)
            column.image(film.pixels, f"{name}, original", width="stretch", alt=f"{name}, original")
            augmented = film.view(recipe, view)
            caption = f"Augmented, sample {view + 1}"
            column.image(augmented, caption, width="stretch", alt=f"{name}, augmented, sample {view + 1}")
        if st.button("Show another sample", key="train_preview_next"):
            st.session_state["train_preview_view"] = view + 1
            st.rerun()


def _preview_films(dataset: Dataset, size_px: int) -> list[PreviewFilm]:
    """The films of the preview; read once for a choice of films and size, and held for this visitor alone."""
    wanted = hash((dataset.name, tuple(dataset.table["path"]), size_px))
    cached = st.session_state.get("train_preview_films")
    if cached is None or cached[0] != wanted:
        cached = (wanted, preview_films(dataset, size_px))
        st.session_state["train_preview_films"] = cached
    films: list[PreviewFilm] = cached[1]
    return films


def _offer_start(
    recipe: Recipe,
    dataset: Dataset,
    selected: Dataset,
    paths: Sequence[str],
    queued: bool,
    missing: MissingWeights | None,
) -> None:
    """Asks the model's name and starts the run, with an estimate of its time and memory."""
    name, valid = _ask_name(recipe)
    button_place, estimate_place = st.container(), st.container()
    if queued:
        st.caption(QUEUED)
    why = "" if valid else INVALID
    why = missing.sentence if missing and not missing.can_start else why
    with button_place:
        pressed = sign_in.button(
            *(Action.START_RUN, "Start training"),
            type="primary",
            key="train_start",
            disabled=bool(why),
            help=plain(why) if why else None,
        )
    if pressed:
        with frame.errors_shown():
            _start(recipe, dataset, paths, name, missing)
    with estimate_place:  # last: where there may be a GPU, TensorFlow is imported, which takes seconds
        _show_estimate(recipe, selected)


def _start(recipe: Recipe, dataset: Dataset, paths: Sequence[str], name: str, missing: MissingWeights | None) -> None:
    """Starts the run; an error where the plan does not hold, or the weights cannot be downloaded now."""
    job = plan(recipe, paths, name, dataset=dataset)
    if missing:
        with st.spinner("Asking for the weights"):
            check_download(missing)
    watch([run_store.start(job, recipe.name).id])
    st.session_state[_suggested_key(recipe)] = name  # it is taken now: the next run gets another
    show_next_time()
    st.rerun()


def _show_estimate(recipe: Recipe, selected: Dataset) -> None:
    precision = recipe.training.precision
    device = device_without_tensorflow(precision) or _device(precision)
    expected = estimate(recipe, Counter(selected.table["role"]), device, run_store.all_runs())
    took, memory = expected.seconds, expected.memory_bytes
    st.markdown(
        f"Estimated time: {duration(took.low)} to {duration(took.high)}. Estimated memory: {gigabytes(memory.low)} to "
        f"{gigabytes(memory.high)}. Device: {plain(device.name)}, {device.precision} ({plain(device.why)})."
    )
    st.caption(plain(expected.basis))


def _ask_name(recipe: Recipe) -> tuple[str, bool]:
    """The new model's name, and whether it can be one: what was typed, or else the first one that is free now."""
    key, free = f"train_name_{recipe.name}", free_name(recipe.name)
    if st.session_state.get(key) == st.session_state.get(_suggested_key(recipe)):
        st.session_state[key] = free
    st.session_state[_suggested_key(recipe)] = free
    name = st.text_input("Model name", max_chars=64, key=key, persist_state="session")
    try:
        registry.check_name_free(name)
    except RegistryError as error:
        st.error(plain(str(error)))
        return name, False
    return name, True


def _suggested_key(recipe: Recipe) -> str:
    """The session key of the name that was suggested, and that nobody typed."""
    return f"train_suggested_name_{recipe.name}"


@st.cache_resource(show_spinner="Looking for a GPU")
def _device(precision: str) -> Device:
    return find_device(precision)
