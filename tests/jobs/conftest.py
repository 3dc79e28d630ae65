"""What these tests share."""

from tests.support.small_models import draft, stored, tiny_recipe

__all__ = ["draft", "stored", "tiny_recipe"]
