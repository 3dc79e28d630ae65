"""The fixtures that these tests share."""

from tests.support.small_models import draft, home, stored, tiny_recipe

__all__ = ["draft", "home", "stored", "tiny_recipe"]
