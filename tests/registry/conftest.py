"""What these tests share."""

from tests.support.small_models import (
    draft,
    film,
    films,
    guarded,
    home,
    make_classifier,
    make_gate,
    stored,
    tiny_recipe,
)

__all__ = ["draft", "film", "films", "guarded", "home", "make_classifier", "make_gate", "stored", "tiny_recipe"]
