"""Choosing a set of cases: dataset, model, size and seed; the page's address names them, for a class to share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cxr.core.access import Action, Person, authorize, current_person
from cxr.core.errors import CxrError
from cxr.core.paths import examples_dir
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace, display_in_sentence
from cxr.evaluation.reader_study.case_set import (
    MAX_CASES,
    CaseSetRequest,
    Mixture,
    draw_case_set,
    roles_in_training,
)
from cxr.evaluation.reader_study.practice import Practice
from cxr.inference.reader_answers import Question
from cxr.inference.reader_responses import new_reader_code
from cxr.inference.response_tables import from_csv
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui.address import choice_in_address
from cxr.ui.components.choosers import choose_model, choose_option, show_first_steps
from cxr.ui.plain_text import plain

USUAL_SIZE, MAX_SEED = 16, 999_999
EXAMPLES = "examples"
MIXTURES = {Mixture.HALF: "Half normal, half with a finding", Mixture.AS_IN_DATASET: "As often as in the dataset"}
CLASSES, BINARY = "The model's classes", "Normal or a finding"
NO_DATASETS = "There is no dataset yet. Add one on the page Data."
INTRODUCTION = (
    "Read X-rays before the model does: the image alone, your answer and how sure you are, then the model's answer "
    "with its heatmap, then your final answer. At the end there is a score. X-rays that the model was trained on are "
    "left out."
)
SHARE_NOTE = (
    "Everyone who starts with the same dataset, model, number and seed reads the same X-rays in the same order."
)
START = "Start reading"


@dataclass(frozen=True)
class _Choice:
    """What is chosen in the form."""

    entry: DatasetEntry
    card: Card
    size: int
    seed: int
    mixture: Mixture
    binary: bool
    feedback: bool


def show_set_form() -> tuple[Practice, Card] | None:
    """Shows the form; the reader's practice once it is started, else None."""
    st.markdown(INTRODUCTION)
    person = current_person()
    entries = {entry.name: entry for entry in offered_datasets(person)}
    if not entries:
        st.info(NO_DATASETS)
        return None
    if not person.may(Action.VIEW_DATASETS):
        st.caption(plain(person.denial_reason(Action.VIEW_DATASETS)))
    left, right = st.columns(2)
    with left:
        names = sorted(entries, key=lambda name: (name != EXAMPLES, name))
        requested = st.query_params.get("dataset", names[0])
        changed = choice_in_address("dataset", "practice_dataset", names, names[0])
        name = choose_option("Dataset", names, "practice_dataset", on_change=changed)
    with right:
        card = choose_model("Model", "practice_model", in_address=True)
    if card is None or name is None:
        show_first_steps()
        return None
    if requested not in entries:
        st.warning(plain(f'There is no dataset "{requested}" here. Showing "{name}".'))
    choice = _options(entries[name], card)
    earlier = st.file_uploader("Continue from a downloaded file (optional)", type="csv", key="practice_earlier")
    if not st.button(START, key="practice_start", type="primary"):
        return None
    practice = _started(choice)
    if earlier is not None and not practice.take_up(from_csv(earlier.getvalue(), earlier.name)):
        raise CxrError(
            "The file has no answers to X-rays of this set. Choose the dataset, model, number and seed of the file.",
            code="other-set",
        )
    st.query_params.update(_address(name, choice))
    return practice, card


def _address(name: str, choice: _Choice) -> dict[str, str]:
    """What the page's address says of a set, so that whoever opens it gets the same."""
    address = {"dataset": name, "size": str(choice.size), "seed": str(choice.seed), "mixture": choice.mixture.value}
    answers, feedback = {"answers": "binary"} if choice.binary else {}, {} if choice.feedback else {"reference": "no"}
    return address | answers | feedback


def offered_datasets(person: Person) -> list[DatasetEntry]:
    """The datasets that a person may read a set of: who may not see which there are, the examples alone."""
    folder = examples_dir()
    return [
        entry
        for entry in catalog.entries()
        if person.may(Action.VIEW_DATASETS) or (folder is not None and Path(entry.path) == folder)
    ]


def _options(entry: DatasetEntry, card: Card) -> _Choice:
    labels = LabelSpace(card.classes, card.groups)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.number_input(
            "Number of X-rays",
            4,
            MAX_CASES,
            _from_address("size", USUAL_SIZE, 4, MAX_CASES),
            key="practice_size",
            width=160,
        )
        seed = st.number_input(
            "Seed", 0, MAX_SEED, _from_address("seed", 1, 0, MAX_SEED), key="practice_seed", width=160, help=SHARE_NOTE
        )
        requested = st.query_params.get("mixture", "")
        mixture = st.selectbox(
            "Mixture",
            list(MIXTURES),
            [one.value for one in MIXTURES].index(requested) if requested in [*MIXTURES] else 0,
            format_func=MIXTURES.__getitem__,
            key="practice_mixture",
            width=280,
        )
    binary = False
    if len(labels.classes) > 2 and labels.negative is not None:
        finding = display_in_sentence(labels.finding)
        asked = int(st.query_params.get("answers") == "binary")
        answers = st.radio("Answers", [CLASSES, BINARY], asked, key="practice_answers", horizontal=True)
        binary = answers == BINARY
        if binary:
            st.caption(plain(f"Normal, or {finding}."))
    feedback = st.toggle(
        "Show the reference after each X-ray",
        value=st.query_params.get("reference") != "no",
        key="practice_feedback",
        help="For learning. For a reader study, turn it off.",
    )
    return _Choice(entry, card, size, seed, mixture, binary, feedback)


def _from_address(name: str, usual: int, lowest: int, highest: int) -> int:
    text = st.query_params.get(name, "")
    return min(max(int(text), lowest), highest) if text.isdecimal() and len(text) < 8 else usual


def _started(choice: _Choice) -> Practice:
    if choice.entry not in offered_datasets(authorize(Action.READ_FILMS)):
        authorize(Action.VIEW_DATASETS)
    card, labels = choice.card, LabelSpace(choice.card.classes, choice.card.groups)
    question = Question.of_classes(labels, labels.finding if choice.binary else "")
    views = tuple(registry.get_recipe(card.name).data.exclude_views)
    request = CaseSetRequest(choice.size, choice.seed, choice.mixture, views)
    with st.spinner("Drawing X-rays"):
        cases = draw_case_set(Dataset.open(choice.entry.path), labels, request, roles_in_training(card.name))
    return Practice(cases, question, f"{card.name}@{card.version}", new_reader_code(), choice.feedback)
