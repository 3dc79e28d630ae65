"""X-rays of a PACS as sources that a session reads: fetched when they are needed, held nowhere.

A person's role is asked for where the sources are made: files are decoded in threads that know no person.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from cxr.core.access import Action, authorize
from cxr.core.errors import ExchangeError, UnreadableFilm
from cxr.exchange.pacs.client import PacsClient
from cxr.exchange.pacs.configuration import DicomWebSettings, load_credentials
from cxr.exchange.pacs.search import PacsFilm
from cxr.films.isolation.pool import decoder_pool
from cxr.inference.sources import FilmSource


def pacs_sources(settings: DicomWebSettings, films: Iterable[PacsFilm]) -> list[FilmSource]:
    """The sources of these images: named by day and number, never by a patient, and decoded in a process apart."""
    authorize(Action.SEARCH_PACS)
    return [
        FilmSource(
            key=film.key,
            name=f"{settings.name}: {film.title}",
            read=partial(_fetched, settings, film),
            decode=decoder_pool().read,
            remote=True,
        )
        for film in films
    ]


def _fetched(settings: DicomWebSettings, film: PacsFilm) -> bytes:
    """The DICOM file as the server has it now; raises only FilmError, as the file may be one of many."""
    try:
        client = PacsClient(settings, load_credentials())
    except ExchangeError as error:
        raise UnreadableFilm(str(error), code="pacs") from None
    return client.retrieve(film)
