"""The dashboard's entry: for now one page that says what the shelf holds."""

import streamlit as st

from cxr import DISCLAIMER
from cxr.reading import shelf

st.set_page_config(page_title="cxr", layout="wide")
st.title("cxr")
st.caption(DISCLAIMER)

listing, default = shelf.listing(), shelf.default_name()
if not listing.cards:
    st.info("The shelf is empty. Train a model from the command line; two lines make one from drawn films:")
    st.code(
        "python -m cxr phantom phantoms\npython -m cxr train vgg16-default --data phantoms",
        language="shell",
    )
for card in listing.cards:
    in_use = ", in use" if card.name == default else ""
    st.subheader(f"{card.name} ({card.version}{in_use})")
    st.write(f"Classes: {', '.join(card.classes)}. Recipe {card.recipe}, trained {card.created[:10]} on {card.device}.")
    test = card.results.get("test")
    if test:
        sources = ", ".join(card.sources)
        st.write(
            f"{test['n']} test films of the sources it was trained on ({sources}): "
            f"accuracy {test['accuracy']:.3f}, macro F1 {test['macro_f1']:.3f}."
        )
    for warning in card.warnings:
        st.warning(warning)
for name, reason in listing.damaged.items():
    st.error(f"{name}: {reason}")
