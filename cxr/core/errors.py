"""Everything that can go wrong and be said to a person in a sentence.

Each message is written for the person at the page or the command line: what happened and what to do.
The command line's exit code of each family stands beside it.
"""


class CxrError(Exception):
    """Base of every error that this library raises on purpose."""

    exit_code = 1


class FilmError(CxrError):
    """A file that cannot be read as a film."""

    exit_code = 3


class UnreadableFilm(FilmError):
    """Bytes that are no image, or a damaged one."""


class UnsupportedFilm(FilmError):
    """A sound file of a kind that is not read: several frames, an exotic encoding, no pixels."""


class FilmTooLarge(FilmError):
    """More bytes or pixels than the limits allow."""


class DatasetError(CxrError):
    """A folder, ZIP or manifest that cannot be used as a dataset."""

    exit_code = 4


class RecipeError(CxrError):
    """A recipe with an unknown key, a wrong type, a value out of range, or that does not fit the data."""

    exit_code = 5


class RunError(CxrError):
    """A run that cannot be started, found, stopped or resumed."""

    exit_code = 6


class ShelfError(CxrError):
    """A model that cannot be found, loaded, stored, promoted or deleted."""

    exit_code = 7


class AccessError(CxrError):
    """An action that this person may not do, or that may not be done without a line in the audit trail."""

    exit_code = 8
