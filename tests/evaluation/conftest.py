"""What these tests share."""

from tests.support.score_tables import drawn

__all__ = ["drawn"]
