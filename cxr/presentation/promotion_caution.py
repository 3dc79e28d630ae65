"""What should make one think twice before a model is put into use."""

from __future__ import annotations

from cxr.registry.card import Card

LEAST_AUC = 0.7  # half of the way from guessing (0.5) to what is called very good (0.9)
LEAST_SHARE = 0.5  # a coin that is tossed for each film finds as many
AT_LEAST = {"auc": LEAST_AUC, "sensitivity": LEAST_SHARE, "specificity": LEAST_SHARE}


def promotion_warning(card: Card) -> str:
    """What speaks against putting this model into use, as sentences for Markdown; "" where nothing does."""
    test = card.results.get("test")
    if not test:
        return "Think twice: this model was not tested on any film, so nobody knows how often it is right."
    figures, negative = test.get("binary") or {}, test.get("negative")
    found = {name: figures.get(name) for name in AT_LEAST}
    said = {
        "auc": f"its AUC against {negative} is {{:.3f}} (0.5 is guessing)",
        "sensitivity": f"of the films that are not {negative} it finds {{:.0%}}",
        "specificity": f"of the films that are {negative} it clears {{:.0%}}",
    }
    poor = [said[name].format(value) for name, value in found.items() if value is not None and value < AT_LEAST[name]]
    return f"Think twice: on this model's {test['n']} test films, {'; '.join(poor)}." if poor else ""
