"""Checks of what an operator configured for a PACS: the file, the packages that it needs, and what was set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from cxr.cli.installation_checks import CheckResult, Level
from cxr.core.number_format import counted
from cxr.core.paths import home

SUBJECT = "PACS"
PACKAGES = ("highdicom", "dicomweb_client", "pynetdicom")
INSTALL = "Install them: pip install -r requirements-dicom.txt"


def _is_missing(package: str) -> bool:
    return find_spec(package) is None


def pacs(is_missing: Callable[[str], bool] = _is_missing) -> Iterator[CheckResult]:
    """Whether pacs.toml can be used; nothing where there is none. ExchangeError where it is not valid."""
    from cxr.exchange.listener.spool import FOLDER, Spool
    from cxr.exchange.pacs.configuration import FILE, load_settings

    if not (home() / FILE).exists():
        return
    settings = load_settings()
    if missing := [package for package in PACKAGES if is_missing(package)]:
        names = ", ".join(missing)
        yield CheckResult(SUBJECT, Level.ERROR, f"{FILE} needs packages that are missing: {names}.", INSTALL, "missing")
        return
    parts = [settings.dicomweb.url] if settings.dicomweb else []
    parts += [f"receives as {settings.listener.ae_title}"] if settings.listener else []
    yield CheckResult(SUBJECT, Level.OK, f"{'; '.join(parts) or f'{FILE} names nothing'}.")
    if settings.listener and (home() / FOLDER).is_dir():
        failures = Spool(settings.listener.max_waiting, settings.listener.max_spool_mb).failures()
        if failures:
            sentence = f"{counted(len(failures), 'received X-ray')} could not be answered."
            remedy = "See the reasons: cxr listen --status; try again: cxr listen --retry"
            yield CheckResult(SUBJECT, Level.WARNING, sentence, remedy, "set-aside")
