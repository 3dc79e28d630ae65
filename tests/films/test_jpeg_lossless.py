"""JPEG Lossless and 12-bit JPEG in DICOM, decoded by gdcm and by nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from cxr.core.errors import FilmError
from cxr.films import dicom_decoders
from cxr.films.film import IN_DECODER, Film
from cxr.films.isolation import pool
from cxr.films.isolation.pool import DecoderPool
from cxr.films.read_failure import ReadFailure, failure_of
from tests.support.file_seeds import dataset_of, drawn, encapsulated, quiet_writing, ramp, written
from tests.support.jpeg_lossless import jpeg_lossless
from tests.support.mutants import WAYS

pytest.importorskip("gdcm", reason="python-gdcm is not installed (requirements-dicom.txt)")
DCMTK = pytest.mark.skipif(not shutil.which("dcmcjpeg"), reason="dcmtk is not installed")
MUTANTS = 2_000


def lossless_file(bits: int, predictor: int = 1, syntax: str = JPEGLosslessSV1) -> bytes:
    """A DICOM file of a ramp, compressed without loss."""
    values = ramp(bits, height_px=32, width_px=40)
    with quiet_writing():
        return encapsulated(jpeg_lossless(values, bits, predictor), syntax, values, bits)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_and_depth_gives_the_pixels_of_the_uncompressed_file(bits: int, predictor: int) -> None:
    syntax = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    with quiet_writing():
        plain = Film.read(written(dataset_of(ramp(bits, height_px=32, width_px=40), bits)))
    film = Film.read(lossless_file(bits, predictor, syntax))
    assert np.array_equal(film.pixels, plain.pixels)
    assert film.bits == bits


@DCMTK
@pytest.mark.parametrize(("bits", "signed"), [(12, False), (12, True), (16, False), (8, False)])
@pytest.mark.parametrize("options", [["+e1"], ["+el", "+sv", "6"], ["+ee", "+q", "90"]], ids=["sv1", "sv6", "12-bit"])
def test_what_dcmtk_compresses_is_read_as_dcmtk_unpacks_it(
    bits: int, signed: bool, options: list[str], tmp_path: Path
) -> None:
    source, packed, plain = (tmp_path / f"{name}.dcm" for name in ("source", "packed", "plain"))
    noisy = (ramp(bits, signed) // 8 + (drawn().astype(int) << bits) // 1024).astype(ramp(bits, signed).dtype)
    with quiet_writing():
        source.write_bytes(written(dataset_of(noisy, bits)))
    subprocess.run(["dcmcjpeg", *options, source, packed], check=True, capture_output=True)
    subprocess.run(["dcmdjpeg", packed, plain], check=True, capture_output=True)
    assert dcmread(packed).file_meta.TransferSyntaxUID in (JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit)
    assert np.array_equal(Film.read(packed).pixels, Film.read(plain).pixels)


def test_what_is_installed_for_one_syntax_decodes_no_other() -> None:
    for syntax, plugin in dicom_decoders.DECODERS.items():
        assert plugin in get_decoder(syntax).available_plugins
        assert (plugin == "gdcm") == (syntax in dicom_decoders.LOSSLESS_JPEG)


def test_without_the_decoder_the_error_says_so(tmp_path: Path) -> None:
    file = tmp_path / "film.dcm"
    file.write_bytes(lossless_file(12))
    code = (
        "import sys; sys.modules['gdcm'] = None\n"
        "from cxr.films.film import Film\nfrom cxr.core.errors import FilmError\n"
        f"try:\n    Film.read({str(file)!r})\nexcept FilmError as error:\n    print(error.code)"
    )
    project, environment = Path(__file__).parents[2], os.environ | {IN_DECODER: "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, env=environment)
    assert done.stdout.strip() == f"film.unsupported.{ReadFailure.DECODER_NOT_INSTALLED}"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.51", JPEGLossless, JPEGLosslessSV1])
def test_what_gdcm_decodes_is_never_decoded_in_this_process(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(pool, "read_isolated", lambda data, deep: read.append((data, deep)))
    data = lossless_file(12, syntax=syntax)
    Film.read(data, deep=True)
    assert read == [(data, True)]


def refusal(data: bytes) -> ReadFailure | None:
    """Why this file is refused."""
    with pytest.raises(FilmError) as refused:
        Film.read(data)
    return failure_of(refused.value)


def test_a_stream_of_another_depth_or_process_than_the_header_declares_is_refused() -> None:
    deep, flat = ramp(16, height_px=32, width_px=40), ramp(8, height_px=32, width_px=40)
    with quiet_writing():
        for values, bits, stream in (
            (flat, 8, jpeg_lossless(deep, 16)),
            (deep, 16, jpeg_lossless(flat, 8)),
            (deep, 16, jpeg_lossless(deep, 16).replace(b"\xff\xc3", b"\xff\xc0", 1)),
        ):
            assert refusal(encapsulated(stream, JPEGLosslessSV1, values, bits)) == ReadFailure.DAMAGED_DICOM


def test_two_thousand_damaged_files_crash_and_hang_no_decoder() -> None:
    seeds = [lossless_file(bits, predictor, JPEGLossless) for bits in (8, 12, 16) for predictor in (1, 4, 7)]
    decoders, failures, read = DecoderPool(count=1, limit_s=5), set(), 0
    try:
        for number in range(MUTANTS):
            rng = np.random.default_rng([18, number])
            way = list(WAYS.values())[int(rng.integers(len(WAYS)))]
            data = way(seeds[number % len(seeds)], seeds[int(rng.integers(len(seeds)))], rng)
            try:
                decoders.read(data)
                read += 1
            except FilmError as error:
                failures.add(failure_of(error))
    finally:
        decoders.close()
    assert not failures & {None, ReadFailure.DECODER_DIED, ReadFailure.DECODER_TOO_SLOW, ReadFailure.NO_DECODER}
    assert 0 < read < MUTANTS
