"""`cxr predict --dicom-out`: the results of DICOM X-rays as DICOM objects, a folder for each X-ray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxr.cli.console import writing
from cxr.core.errors import ExchangeError, FilmError
from cxr.core.number_format import counted

if TYPE_CHECKING:
    from cxr.inference.batch import Reading
    from cxr.registry.card import Card

DICOM = "DICOM"


def require_dicom_packages() -> None:
    """ExchangeError, with what to install, where a package for DICOM results is missing."""
    from cxr.exchange.dicom_results.writing import require_installed

    require_installed()


def write_dicom_results(place: tuple[Path, int], reading: Reading, card: Card, shows_rejected: bool) -> tuple[int, str]:
    """The number of DICOM objects written for this reading, and why there are none for a DICOM X-ray.

    `place` is the folder of all results and the number of this one.
    """
    from cxr.exchange.dicom_results.reading_result import report_of_reading, result_content
    from cxr.exchange.dicom_results.writing import require_same_file, result_writer

    if reading.film is None or reading.prediction is None or reading.film.format != DICOM:
        return 0, ""
    content = result_content(report_of_reading(reading, card, shows_rejected))
    try:
        original = reading.source.read()
        require_same_file(original, reading.film_id)
        objects = result_writer().write(original, content)
    except (ExchangeError, FilmError) as error:
        return 0, f"No DICOM results: {error}"
    folder, number = place
    for item in objects:
        path = folder / f"{number:04d}-{reading.film_id[:8]}" / item.file_name
        with writing(path):
            path.write_bytes(item.data)
    return len(objects), ""


def require_dicom_files(written: int, without_results: int) -> None:
    """ExchangeError where no file was a DICOM X-ray, or not all of them have a result."""
    if without_results:
        raise ExchangeError(
            f"{counted(without_results, 'DICOM X-ray')} got no DICOM results.", code="some-without-results"
        )
    if not written:
        raise ExchangeError(
            "None of these files is a DICOM X-ray, so that there is no study to put a result into.", code="no-dicom"
        )
