"""What these tests share."""

from tests.support.small_models import (
    draft,
    film,
    home,
    make_classifier,
    make_input_check,
    stored,
    stored_with_input_check,
    tiny_recipe,
)
from tests.support.small_models import films as phantom_films

__all__ = [
    "draft",
    "film",
    "phantom_films",
    "stored_with_input_check",
    "home",
    "make_classifier",
    "make_input_check",
    "stored",
    "tiny_recipe",
]
