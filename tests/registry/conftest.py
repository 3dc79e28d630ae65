"""The fixtures that these tests share; `films` is the folder of real X-rays here."""

from tests.support.small_models import draft, home, make_input_check, stored, stored_with_input_check, tiny_recipe

__all__ = ["draft", "home", "make_input_check", "stored", "stored_with_input_check", "tiny_recipe"]
