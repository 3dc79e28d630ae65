"""The fixtures that these tests share."""

from tests.support.small_models import draft, home

__all__ = ["draft", "home"]
