"""The DICOMweb client: search (QIDO-RS), retrieve (WADO-RS) and store (STOW-RS) at the configured server.

DICOM files pass as bytes that are not parsed here. What the server or a library says in an error may quote a patient's
data, so that sentences are our own and causes are not chained.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxr.core.access import Action, current_person
from cxr.core.audit_trail import audited
from cxr.core.errors import ExchangeError, FilmTooLarge, UnreadableFilm
from cxr.exchange.dicom_results.object_kinds import DicomObject
from cxr.exchange.pacs import multipart
from cxr.exchange.pacs.configuration import Credentials, DicomWebSettings, load_credentials, require_dicomweb
from cxr.exchange.pacs.search import PacsFilm, SearchTerms, fields, films_in, instance_uids
from cxr.films.header_limits import MAX_BYTES

if TYPE_CHECKING:
    import requests

PAGE = 50  # images of one answer
MAX_ANSWER_BYTES = 20_000_000
_CHUNK = 1 << 20
NOT_INSTALLED = "A PACS needs packages that are not installed: pip install -r requirements-dicom.txt"
NOT_UNDERSTOOD = "The PACS's answer cannot be understood."
_SENTENCES = {
    401: ("credentials", "The PACS does not accept the user and password of this installation. Ask its operator."),
    403: ("forbidden", "The PACS does not allow this. Ask its operator."),
    404: ("not-found", "The PACS does not have this, or its address is wrong."),
}


@dataclass(frozen=True)
class SearchAnswer:
    """A page of images, whether there are more, and where the next page begins."""

    films: list[PacsFilm]
    has_more: bool
    next_offset: int = 0


class PacsClient:
    """The configured server, for one person's requests."""

    def __init__(self, settings: DicomWebSettings, credentials: Credentials) -> None:
        if importlib.util.find_spec("dicomweb_client") is None:
            raise ExchangeError(NOT_INSTALLED, code="not-installed")
        logging.getLogger("urllib3").setLevel(
            logging.CRITICAL + 1
        )  # its lines have addresses with search terms in them
        self.settings = settings
        self._session = _session(settings, credentials)

    @classmethod
    def configured(cls) -> PacsClient:
        """The client of the server that the operator configured."""
        return cls(require_dicomweb(), load_credentials())

    def search(self, terms: SearchTerms, offset: int = 0) -> SearchAnswer:
        """Images that match, a page at a time; with identity where the person's role allows it."""
        with audited(Action.SEARCH_PACS):
            identity = self.settings.shows_identity_to(current_person())
            found = self._query(terms.filters(), fields(identity), PAGE + 1, offset)
            page, next_offset = found[:PAGE], offset + min(PAGE, len(found))
            has_more = len(found) > PAGE or bool(found and self._goes_on(terms, found, next_offset))
        films = [film for film in films_in(page, identity) if terms.admits(film)]
        return SearchAnswer(films, has_more, next_offset)

    def retrieve(self, film: PacsFilm) -> bytes:
        """The DICOM file of an image; FilmError where it does not come, so that a reading lists it as unreadable."""
        path = f"studies/{film.study_uid}/series/{film.series_uid}/instances/{film.sop_uid}"
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        try:
            with (
                _understood(),
                self._session.get(
                    f"{self.settings.url}/{path}", headers={"Accept": accept}, **self._options(stream=True)
                ) as response,
            ):
                _check_status(response)
                body = _bounded(response, MAX_BYTES + _CHUNK, "The image in the PACS is too large to be read.")
                return multipart.first_part(response.headers.get("Content-Type", ""), body)
        except ExchangeError as error:
            if error.code == "exchange.too-large":
                raise FilmTooLarge(str(error), code="pacs") from None
            raise UnreadableFilm(str(error), code="pacs") from None

    def store(self, objects: Sequence[DicomObject]) -> None:
        """Store the objects, and look whether they are there; ExchangeError where one is not."""
        with audited(Action.SEND_TO_PACS, more=", ".join(item.kind for item in objects)):
            content_type, body = multipart.packed(item.data for item in objects)
            headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
            with (
                _understood(),
                self._session.post(
                    f"{self.settings.url}/studies", data=body, headers=headers, **self._options(stream=True)
                ) as response,
            ):
                _check_status(response)
            missing = [item.kind for item in objects if not self.has(item.sop_instance_uid)]
            if missing:
                raise ExchangeError(
                    f"The PACS accepted the results and does not have these: {', '.join(missing)}.", code="not-stored"
                )

    def has(self, sop_instance_uid: str) -> bool:
        """Whether the server has this instance."""
        return sop_instance_uid in instance_uids(self._query({"SOPInstanceUID": sop_instance_uid}, [], 1, 0))

    def _goes_on(self, terms: SearchTerms, found: list[Any], offset: int) -> bool:
        """Whether there is more after a short answer: a server may send fewer images at once than it is asked for."""
        try:
            rest = instance_uids(self._query(terms.filters(), [], 1, offset))
        except ExchangeError as error:
            if error.code == "exchange.not-found":  # a place after the last image
                return False
            raise
        return bool(rest - instance_uids(found))

    def _query(self, filters: dict[str, str], asked: list[str], limit: int, offset: int) -> list[Any]:
        """The entries of an answer, as the server wrote them; none of it is checked."""
        from dicomweb_client.uri import build_query_string, parse_query_parameters  # late: optional

        terms = parse_query_parameters(search_filters=filters, fields=asked or None, limit=limit, offset=offset or None)
        address = f"{self.settings.url}/instances{build_query_string(terms)}"
        headers = {"Accept": "application/dicom+json, application/json"}
        with (
            _understood(),
            self._session.get(address, headers=headers, **self._options(stream=True)) as response,
        ):
            if response.status_code == 204:  # nothing was found
                return []
            _check_status(response)
            body = _bounded(response, MAX_ANSWER_BYTES, "The PACS's answer is too long. Search for less.")
            answer = json.loads(body) if body else []
            return [answer] if isinstance(answer, dict) else list(answer)

    def _options(self, stream: bool) -> dict[str, Any]:
        return {"timeout": self.settings.timeout_s, "allow_redirects": False, "stream": stream}


def _session(settings: DicomWebSettings, credentials: Credentials) -> requests.Session:
    """A session with the credentials, which are sent to this server alone."""
    import requests

    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc that the operator did not name
    session.max_redirects = 0
    session.verify = str(settings.ca_file) if settings.ca_file else True
    if credentials.token:
        session.headers["Authorization"] = f"Bearer {credentials.token}"
    elif credentials.user:
        session.auth = (credentials.user, credentials.password)
    return session


@contextmanager
def _understood() -> Iterator[None]:
    """Turn what goes wrong on the way into our own errors, without the words of others."""
    import requests

    try:
        yield
    except requests.exceptions.SSLError:
        raise ExchangeError(
            "The PACS's certificate is not valid. Its operator names the authority in pacs.toml (ca_file).", code="tls"
        ) from None
    except requests.exceptions.HTTPError as error:
        raise _refused(error.response.status_code if error.response is not None else 0) from None
    except requests.exceptions.Timeout:
        raise ExchangeError("The PACS did not answer in time. Try again.", code="timeout") from None
    except requests.exceptions.TooManyRedirects:  # none is followed: credentials are for the configured address
        raise _refused(302) from None
    except requests.exceptions.InvalidJSONError:
        raise ExchangeError(NOT_UNDERSTOOD, code="answer") from None
    except (requests.exceptions.RequestException, OSError):
        raise ExchangeError("The PACS cannot be reached. Try again, or ask its operator.", code="unreachable") from None
    except (
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        RecursionError,
    ):  # of an answer that is not what the standard says
        raise ExchangeError(NOT_UNDERSTOOD, code="answer") from None


def _check_status(response: requests.Response) -> None:
    if response.status_code != 200 and response.status_code not in (202, 206):
        raise _refused(response.status_code)


def _refused(status: int) -> ExchangeError:
    code, sentence = _SENTENCES.get(status, ("refused", f"The PACS refused the request (HTTP {status})."))
    return ExchangeError(sentence, code=code)


def _bounded(response: requests.Response, limit: int, too_large: str) -> bytes:
    """The body; ExchangeError with this sentence where it is longer than that."""
    pieces, size = [], 0
    for piece in response.iter_content(_CHUNK):
        size += len(piece)
        if size > limit:
            raise ExchangeError(too_large, code="too-large")
        pieces.append(piece)
    return b"".join(pieces)
