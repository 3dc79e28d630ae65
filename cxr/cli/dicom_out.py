"""`cxr predict --dicom-out`: the results of DICOM X-rays as DICOM objects, a folder for each X-ray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxr.cli.console import writing
from cxr.core.errors import ExchangeError

if TYPE_CHECKING:
    from cxr.inference.batch import Reading
    from cxr.registry.card import Card

DICOM = "DICOM"


def require_dicom_packages() -> None:
    """ExchangeError, with what to install, where a package for DICOM results is missing."""
    from cxr.exchange.dicom_results.writing import require_installed

    require_installed()


def write_dicom_results(folder: Path, number: int, reading: Reading, card: Card, shows_rejected: bool) -> int:
    """The number of DICOM objects written for this reading: 0 where it has no prediction or is no DICOM file."""
    from cxr.exchange.dicom_results.reading_result import report_of_reading, result_content
    from cxr.exchange.dicom_results.writing import result_writer

    if reading.film is None or reading.prediction is None or reading.film.format != DICOM:
        return 0
    content = result_content(report_of_reading(reading, card, shows_rejected))
    objects = result_writer().write(reading.source.read(), content)
    place = folder / f"{number:04d}-{reading.film_id[:8]}"
    for item in objects:
        path = place / item.file_name
        with writing(path):
            path.write_bytes(item.data)
    return len(objects)


def require_dicom_files(written: int) -> None:
    """ExchangeError where no file was a DICOM X-ray with a result."""
    if not written:
        raise ExchangeError(
            "None of these files is a DICOM X-ray, so that there is no study to put a result into.", code="no-dicom"
        )
