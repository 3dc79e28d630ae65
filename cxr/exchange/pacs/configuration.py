"""Which PACS there is, and how to reach it: `pacs.toml` in the home folder, written by the operator alone.

Credentials are never in that file: they are in the section `[pacs]` of Streamlit's secrets.toml, or in the environment.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cxr.core.access import ROLES, Person
from cxr.core.bounded_files import read_regular
from cxr.core.errors import ExchangeError
from cxr.core.paths import PROJECT, home
from cxr.exchange.dicom_results.object_kinds import ObjectKind

FILE, MAX_BYTES = "pacs.toml", 100_000
SECTION = "pacs"
AeTitle = str
_AE = re.compile(r"[A-Za-z0-9_.\- ]{1,16}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DicomWebSettings(_Section):
    """The DICOMweb server."""

    url: str = Field(max_length=500)
    name: str = Field("PACS", max_length=60)  # as pages call it
    ca_file: Path | None = None  # the certificates of a hospital's own authority
    identity_for: Literal["reader", "trainer", "admin"] = "admin"  # the lowest role that sees whose X-ray it is
    timeout_s: float = Field(20.0, gt=0, le=300)

    @field_validator("url")
    @classmethod
    def _is_encrypted_unless_it_stays_here(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("it must be https://HOST/PATH, without user and password")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("http is for this machine alone: patients' data need https")
        return url.rstrip("/")

    def shows_identity_to(self, person: Person) -> bool:
        """Whether this person sees names and numbers of patients in the PACS's answers."""
        return person.role is not None and ROLES.index(person.role) >= ROLES.index(self.identity_for)


class DicomNode(_Section):
    """A node that speaks the DICOM protocol: its title, and its address."""

    ae_title: AeTitle
    host: str = Field(max_length=255)
    port: int = Field(ge=1, le=65535)

    @field_validator("ae_title")
    @classmethod
    def _is_an_ae_title(cls, title: str) -> str:
        return _checked_title(title)


class ListenerSettings(_Section):
    """How `cxr listen` receives X-rays, and where it sends their results."""

    ae_title: AeTitle = "CXR"
    address: str = "127.0.0.1"
    port: int = Field(11112, ge=0, le=65535)  # 0: any free one
    callers: tuple[AeTitle, ...] = Field(min_length=1)  # nobody else may send
    answer_to: Literal["dicomweb", "node"] = "dicomweb"
    node: DicomNode | None = None
    objects: tuple[ObjectKind, ...] = Field((ObjectKind.REPORT, ObjectKind.CAPTURE), min_length=1)
    max_waiting: int = Field(200, ge=1, le=100_000)  # X-rays in the spool; more are refused
    max_spool_mb: int = Field(2_000, ge=1, le=1_000_000)
    max_associations: int = Field(4, ge=1, le=100)
    attempts: int = Field(10, ge=1, le=1000)  # to send a result, before it is set aside

    @field_validator("ae_title", "callers")
    @classmethod
    def _are_ae_titles(cls, titles: Any) -> Any:
        return tuple(map(_checked_title, titles)) if isinstance(titles, tuple) else _checked_title(titles)


class PacsSettings(_Section):
    """The whole file."""

    dicomweb: DicomWebSettings | None = None
    listener: ListenerSettings | None = None


class Credentials(_Section):
    """What the DICOMweb server asks for; none of it is ever shown or logged."""

    user: str = Field("", repr=False)
    password: str = Field("", repr=False)
    token: str = Field("", repr=False)


def _checked_title(title: str) -> str:
    if not _AE.fullmatch(title.strip()):
        raise ValueError("an AE title has 1 to 16 letters, digits, spaces or signs of _ . -")
    return title.strip()


def load_settings() -> PacsSettings:
    """What the operator configured; empty without a file, ExchangeError where the file is not valid."""
    path = home() / FILE
    if not path.exists():
        return PacsSettings()
    try:
        return PacsSettings.model_validate(tomllib.loads(read_regular(path, MAX_BYTES).decode("utf-8")))
    except OSError as error:
        raise ExchangeError(f"{FILE} cannot be read: {error.strerror}.", code="configuration") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeError(f"{FILE} is not a valid TOML file: {error}.", code="configuration") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file itself"
        raise ExchangeError(f"{FILE} is not valid: {place}: {first['msg']}.", code="configuration") from error


def require_dicomweb() -> DicomWebSettings:
    """The DICOMweb server; ExchangeError where none is configured."""
    settings = load_settings().dicomweb
    if settings is None:
        raise ExchangeError(
            f"No PACS is configured. Its operator writes {FILE} into the home folder: see docs/pacs.md.", code="no-pacs"
        )
    return settings


def load_credentials(environment: Mapping[str, str] = os.environ) -> Credentials:
    """User and password, or a token: from the environment, otherwise from secrets.toml."""
    named = {key: environment.get(f"CXR_PACS_{key.upper()}", "") for key in ("user", "password", "token")}
    if any(named.values()):
        return Credentials(**named)
    for path in (PROJECT / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"):
        try:
            section = tomllib.loads(path.read_text("utf-8")).get(SECTION)
        except (OSError, ValueError):
            continue
        if isinstance(section, dict):
            known = {key: str(value) for key, value in section.items() if key in Credentials.model_fields}
            return Credentials(**known)
    return Credentials()
