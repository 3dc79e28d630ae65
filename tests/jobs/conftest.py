"""What these tests share."""

from tests.support.short_trainings import films_of, learn

__all__ = ["films_of", "learn"]
