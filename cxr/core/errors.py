"""The errors that this library raises on purpose: one tree, each with a stable code and a sentence for a person.

    CxrError                1   error
      FilmError             3   film
        UnreadableFilm          film.unreadable
        UnsupportedFilm         film.unsupported
        FilmTooLarge            film.too-large
      DatasetError          4   dataset
      RecipeError           5   recipe
      RunError              6   run
      RegistryError         7   registry
      AccessError           8   access
      StorageError          9   storage
      ExchangeError        10   exchange

The number is the exit code of the command line. A sentence says what happened and what to do, and may change; a code
does not. Where one class has several causes that a caller or a test must tell apart, the raise names a detail:
`DatasetError("...", code="no-labels")` has the code `dataset.no-labels`.
"""


class CxrError(Exception):
    """The base of every error that this library raises on purpose."""

    exit_code = 1
    family = "error"

    def __init__(self, sentence: str = "", *, code: str = "") -> None:
        super().__init__(sentence)
        self.code = f"{self.family}.{code}" if code else self.family


class FilmError(CxrError):
    """A file that cannot be read as a film."""

    family = "film"
    exit_code = 3


class UnreadableFilm(FilmError):
    """Bytes that are no image, or a damaged one."""

    family = "film.unreadable"


class UnsupportedFilm(FilmError):
    """A sound file of a kind that is not read: several frames, an exotic encoding, no pixels."""

    family = "film.unsupported"


class FilmTooLarge(FilmError):
    """More bytes or pixels than the limits allow."""

    family = "film.too-large"


class DatasetError(CxrError):
    """A folder, ZIP or manifest that cannot be used as a dataset."""

    family = "dataset"
    exit_code = 4


class RecipeError(CxrError):
    """A recipe with an unknown key, a wrong type, a value out of range, or that does not fit the data."""

    family = "recipe"
    exit_code = 5


class RunError(CxrError):
    """A run that cannot be started, found, stopped or resumed."""

    family = "run"
    exit_code = 6


class RegistryError(CxrError):
    """A model that cannot be found, loaded, stored, promoted or deleted."""

    family = "registry"
    exit_code = 7


class StorageError(CxrError):
    """A file, a folder, the disk or the memory of this computer that cannot be used, whatever it was for."""

    family = "storage"
    exit_code = 9


class ExchangeError(CxrError):
    """A DICOM object, a PACS or a file for others that cannot be made, reached or understood."""

    family = "exchange"
    exit_code = 10


class AccessError(CxrError):
    """An action that this person may not do, or that may not be done without a line in the audit trail."""

    family = "access"
    exit_code = 8
