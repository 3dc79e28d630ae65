"""Models: the shelf, each model's card, and what can be done with it."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.exchange import model_formats
from cxr.presentation import model_card
from cxr.presentation.promotion_caution import promotion_warning
from cxr.registry import package, registry
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_model, show_first_steps

FORMATS = {"zip": "Whole model (ZIP)", "keras": "Keras", "onnx": "ONNX", "tflite": "TFLite"}
NUMBERS = {
    name: st.column_config.NumberColumn(format="%.3f", help=meaning) for name, meaning in model_card.FIGURES.items()
}
MIME = "application/octet-stream"
FILE = frame.page_only_key("Models", "file")
SAID, IMPORTED = "models.said", "models.imported"  # what was done: at the page's head, below the import


def page() -> None:
    frame.start_page("Models")
    _say()
    listing, in_use = registry.list_models(), registry.default_name()
    for name, reason in listing.damaged.items():
        _damaged(name, reason)
    if not listing.cards:
        show_first_steps()
    else:
        table = model_card.shelf_table(listing.cards, in_use)
        st.dataframe(table, hide_index=True, column_config=NUMBERS, key="models.table", alt="The models on the shelf")
        _roll_back()
        card = choose_model("Model", "model", in_address=True)
        if card:
            _head(card, in_use)
            _card(card)
            _export(card)
    _import()


def _head(card: Card, in_use: str | None) -> None:
    if card.name != in_use:
        frame.warn(promotion_warning(card))
    with st.container(horizontal=True, vertical_alignment="center"):
        if card.name == in_use:
            st.markdown("**This model is in use.**", width="content")
        elif sign_in.button(Action.PROMOTE_MODEL, "Put into use", key="models.promote"):
            _do(lambda: registry.promote(card.name), f"'{card.name}' is in use.")
        with st.popover("Rename", key="models.rename"):
            new = st.text_input("New name", card.name, max_chars=64, key=f"models.name.{card.name}")
            if sign_in.button(Action.RENAME_MODEL, "Rename it", key="models.rename.go", disabled=new == card.name):
                _do(lambda: registry.rename(card.name, new), f"'{card.name}' is now '{new}'.", chosen=new)
        if card.name != in_use:
            _delete(card.name)


def _delete(name: str) -> None:
    with st.popover("Delete", key=f"models.delete.{name}"):
        st.write(f"'{name}' goes for good: its weights, its card and its scores. Export it first to keep it.")
        if sign_in.button(Action.DELETE_MODEL, f"Delete '{name}' for good", key=f"models.delete.go.{name}"):
            _do(lambda: registry.delete(name), f"'{name}' is deleted.")


def _roll_back() -> None:
    before = registry.previous_name()
    said = f"Go back to '{before}', which was in use before"
    if before and sign_in.button(Action.ROLL_BACK, said, key="models.back"):
        _do(registry.roll_back, f"'{before}' is in use again.")


def _card(card: Card) -> None:
    with frame.errors_shown():
        facts, films = st.columns([3, 2])
        with facts:
            st.subheader("What it is")
            recipe = registry.get_recipe(card.name)
            st.table(
                model_card.facts(card, recipe),
                border="horizontal",
                hide_index=True,
                hide_header=True,
                alt="What is known of it",
            )
            with st.expander("The whole SHA-256 of its weights", key="models.hash"):
                st.code(card.weights_sha256, language=None, wrap_lines=True)
            with st.expander("The whole recipe", key="models.recipe"):
                st.code(recipe.to_toml(), "toml")
        with films:
            st.subheader("Its films")
            st.table(model_card.films_table(card), border="horizontal", hide_index=True, alt="Films by label and role")
            st.subheader("Where it ends")
            st.markdown("\n".join(f"- {sentence}" for sentence in model_card.limits(card)))
        st.subheader("What it reached")
        results = model_card.results_table(card)
        st.table(results, border="horizontal", hide_index=True, width="content", alt="Results by measure")
        for part in model_card.parts(card):
            st.table(part.table, border="horizontal", hide_index=True, width="content", alt=f"Results by {part.column}")
            st.caption(part.sentence)
        frame.link("evaluate", "All about its results", model=card.name)
        for title, text in model_card.statement(card).items():
            st.markdown(f"**{title}**")
            st.text(text, width=720)


def _export(card: Card) -> None:
    st.subheader("Take it elsewhere")
    kind = st.segmented_control(
        "As",
        list(FORMATS),
        default="zip",
        required=True,
        format_func=FORMATS.__getitem__,
        key="models.format",
        persist_state="session",
    )
    if kind == "zip":
        st.caption("Weights, recipe, card and scores without file names, to be imported on another machine.")
    else:
        st.caption(
            f"The network alone. In: grey pixels 0..255 as numbers, shape (films, {card.size_px}, {card.size_px}, 1), "
            f"the film stretched to that square. Out: the probabilities of {', '.join(card.classes)}, in this order. "
            "The file is given out only where it says what the model says."
        )
    if kind == "onnx" and not model_formats.has_onnx():
        st.info(model_formats.HOW_TO_GET_ONNX)
        return
    wanted = (card.name, card.version, kind)
    if sign_in.button(Action.EXPORT_MODEL, "Prepare the file", key="models.prepare"):
        with frame.errors_shown(), st.spinner(f"Preparing '{card.name}' as {FORMATS[kind]} ..."):
            st.session_state[FILE] = (wanted, *_file(card.name, kind))
    made = st.session_state.get(FILE)
    if made and made[0] != wanted:  # megabytes that are not asked for any more
        del st.session_state[FILE]
    elif made:
        _, name, data = made
        label = f"Download {name} ({len(data) / 1e6:.1f} MB)"
        st.download_button(label, data, name, MIME, key="models.download", type="primary", on_click="ignore")
        st.caption("The browser shows how far the download is. The file is kept until you go on to something else.")


def _file(name: str, kind: str) -> tuple[str, bytes]:
    """A file's name and bytes; nothing of it stays on disk."""
    if kind != "zip":
        made = model_formats.export_format(name, kind)
        return made.file_name, made.data
    with tempfile.TemporaryDirectory() as folder:
        path = package.export_model(name, Path(folder) / f"{name}.zip")
        return path.name, path.read_bytes()


def _import() -> None:
    with st.expander("Take in a model from a file", key="models.import"):
        if not sign_in.allowed(Action.IMPORT_MODEL):
            return
        turn = st.session_state.setdefault("models.turn", 0)  # a new uploader once a file was taken in
        file = st.file_uploader("A model that was exported as ZIP", key=f"models.upload.{turn}")
        name = st.text_input("Under another name (optional)", max_chars=64, key=f"models.import.name.{turn}")
        if st.button("Import it", key="models.import.go", disabled=file is None) and file is not None:
            with frame.errors_shown(), st.spinner("Checking the file ..."):
                card = package.import_model(file, name or None)
                st.session_state["models.turn"] = turn + 1
                _done(f"'{card.name}' is on the shelf, and is the model shown above.", card.name, IMPORTED)
    if said := st.session_state.pop(IMPORTED, None):
        st.success(said)  # here, as whoever took it in looks at the end of the page
        st.toast(said, duration="long")  # and wherever the page is scrolled to, as another card may move that end


def _damaged(name: str, reason: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(reason, width="stretch")
        _delete(name)


def _do(work: Callable[[], object], said: str, chosen: str | None = None) -> None:
    with frame.errors_shown():
        work()
        _done(said, chosen)


def _done(said: str, chosen: str | None = None, where: str = SAID) -> None:
    """Begin the page anew with this sentence there, with this model chosen, and no lost one in the address."""
    st.session_state[where] = said
    asked = chosen or st.query_params.get("model")
    if asked in registry.names():
        st.query_params["model"] = asked
    else:
        st.query_params.pop("model", None)
    st.rerun()


def _say() -> None:
    if said := st.session_state.pop(SAID, None):
        st.success(said)


page()
