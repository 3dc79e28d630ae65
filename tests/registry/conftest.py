"""What these tests share."""

from tests.support.small_models import (
    draft,
    film,
    films,
    home,
    make_classifier,
    make_input_check,
    stored,
    stored_with_input_check,
    tiny_recipe,
)

__all__ = [
    "draft",
    "film",
    "films",
    "stored_with_input_check",
    "home",
    "make_classifier",
    "make_input_check",
    "stored",
    "tiny_recipe",
]
