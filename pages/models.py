"""Models: every model in the registry, its card, and what can be done with it."""

from __future__ import annotations

from cxr.registry import default_model, registry
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model, show_first_steps
from cxr.ui.drift.panel import show_drift, show_drift_alert
from cxr.ui.models import actions
from cxr.ui.models.card_panel import show_card, show_model_list
from cxr.ui.models.exchange_panel import show_export, show_import
from cxr.ui.models.int8_panel import show_int8
from cxr.ui.models.look_alikes_panel import show_look_alikes_index

TITLE = "Models"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    actions.show_result()
    listing, default = registry.list_models(), default_model.default_name()
    for name, reason in listing.damaged.items():
        actions.show_damaged_model(name, reason)
    if not listing.cards:
        show_first_steps()
    else:
        show_model_list(listing.cards, default)
        actions.show_roll_back()
        card = choose_model("Model", "models_model", in_address=True)
        if card:
            actions.show_actions(card, default)
            show_drift_alert(card)
            show_card(card)
            show_drift(card)
            show_look_alikes_index(card)
            show_int8(card)
            show_export(card)
    show_import()


main()
