import logging
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from cxr.core.errors import FilmError
from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.read_failure import ReadFailure, failure_of
from tests.support.file_seeds import (
    CANARY,
    COMPRESSED,
    RAW,
    dataset_of,
    encapsulated,
    frame_of,
    quiet_writing,
    ramp,
    read_or_error,
    stretched,
    written,
)
from tests.support.files import files_in


@pytest.fixture(autouse=True)
def quiet_while_writing() -> Iterator[None]:
    with quiet_writing():
        yield


def film_of(stored: np.ndarray, bits: int = 12, **elements: Any) -> Film:
    """The film of a DICOM file with these stored values and elements."""
    return Film.read(written(dataset_of(stored, bits, **elements)))


def refusal(data: bytes) -> ReadFailure | None:
    """Why this file is refused; None for any other error."""
    with pytest.raises(FilmError) as refused:
        Film.read(data)
    return failure_of(refused.value)


def full_range(stored: np.ndarray) -> np.ndarray:
    """These values scaled from their smallest and largest to 0 and 255."""
    values = stored.astype(float)
    return np.rint(255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)


def expected(stored: np.ndarray, bits: int) -> np.ndarray:
    """The film of stored values without a window."""
    return full_range(stored) if bits == 8 else stretched(stored)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", [*RAW, *COMPRESSED], ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_gives_the_same_film(syntax: str, bits: int) -> None:
    film = Film.read(written(dataset_of(ramp(bits), bits), syntax))
    assert np.array_equal(film.pixels, expected(ramp(bits), bits))
    assert (film.format, film.bits, film.warnings) == ("DICOM", bits, ())
    assert not film.pixels.flags.writeable


def test_a_jpeg_inside_dicom_is_read() -> None:
    stream = BytesIO()
    Image.fromarray(ramp(8)).save(stream, "JPEG", quality=95)
    dataset = dataset_of(ramp(8), 8, PixelData=encapsulate([stream.getvalue()]))
    dataset["PixelData"].is_undefined_length = True
    film = Film.read(written(dataset, JPEGBaseline8Bit))
    assert np.abs(film.pixels.astype(int) - ramp(8)).max() < 8


@pytest.mark.parametrize("syntax", [*RAW, RLELossless], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_signed_values_keep_their_order(syntax: str, bits: int) -> None:
    film = Film.read(written(dataset_of(ramp(bits, signed=True), bits), syntax))
    assert np.array_equal(film.pixels, expected(ramp(bits, signed=True), bits))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_bare_data_set_without_preamble_is_read(syntax: UID) -> None:
    dataset = dataset_of(ramp(8), 8)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    dataset.set_original_encoding(stream.is_implicit_VR, stream.is_little_endian)
    write_dataset(stream, dataset)
    assert np.array_equal(Film.read(stream.getvalue()).pixels, ramp(8))
    with_meta = written(dataset_of(ramp(8), 8), syntax)
    assert np.array_equal(Film.read(with_meta[132:]).pixels, ramp(8))


def test_monochrome1_is_inverted() -> None:
    film = film_of(ramp(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(film.pixels, 255 - stretched(ramp()))


def test_eight_bits_without_a_window_are_unchanged() -> None:
    assert np.array_equal(film_of(ramp(8) // 2, 8).pixels, ramp(8) // 2)


def test_twelve_of_sixteen_bits_without_a_window_use_the_full_range() -> None:
    assert film_of(ramp(12), bits=16).pixels.max() == 255


WINDOWS: list[dict[str, Any]] = [
    {"WindowCenter": 2000, "WindowWidth": 1000},
    {"WindowCenter": [2000, 5], "WindowWidth": [1000, 5]},
    {"WindowCenter": 2000.5, "WindowWidth": 333.3, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 2000, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 100, "WindowWidth": 1},
    {"WindowCenter": 40, "WindowWidth": 400, "RescaleSlope": 0.5, "RescaleIntercept": -1024},
]


@pytest.mark.parametrize("elements", WINDOWS)
@pytest.mark.parametrize("signed", [False, True])
def test_rescale_and_the_first_window_agree_with_pydicom(elements: dict[str, Any], signed: bool) -> None:
    dataset = dataset_of(ramp(signed=signed), **elements)
    shown = apply_windowing(apply_modality_lut(ramp(signed=signed), dataset), dataset)
    ends = apply_modality_lut(np.array([-2048, 2047] if signed else [0, 4095]), dataset)
    expected = 255 * (shown - ends.min()) / np.ptp(ends)
    assert np.abs(Film.read(written(dataset)).pixels - expected).max() < 1


def test_a_negative_slope_inverts_the_image() -> None:
    film = film_of(ramp(), RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048, WindowWidth=4096)
    assert np.array_equal(film.pixels, 255 - full_range(ramp()))


def test_an_invalid_window_is_ignored_with_a_warning() -> None:
    for center, width in ((100, 0), (100, -5), ("", "")):
        film = film_of(ramp(), WindowCenter=center, WindowWidth=width)
        assert np.array_equal(film.pixels, stretched(ramp()))
        assert film.warnings == (FilmWarning.UNUSABLE_WINDOW,)


def lut(entries: np.ndarray, first: int = 0, bits: int = 16) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_lookup_tables_agree_with_pydicom(syntax: str) -> None:
    curve = (np.linspace(0, 1, 4000) ** 2 * 65535).round()
    dataset = dataset_of(ramp(), VOILUTSequence=[lut(curve, first=50)], WindowCenter=1, WindowWidth=2)
    data = written(dataset, syntax)
    assert np.array_equal(Film.read(data).pixels, full_range(apply_voi_lut(ramp(), dataset)))
    dataset = dataset_of(ramp(), ModalityLUTSequence=[lut(curve[::-1])])
    data = written(dataset, syntax)
    assert np.array_equal(Film.read(data).pixels, stretched(apply_modality_lut(ramp(), dataset)))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_voi_lut_may_begin_below_zero(syntax: str) -> None:
    """A file without types does not say that the number is signed."""
    item = lut(np.linspace(0, 65535, 4096).round())
    item.add_new("LUTDescriptor", "SS", [4096, -1024, 16])
    dataset = dataset_of(ramp(), RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[item])
    assert np.array_equal(Film.read(written(dataset, syntax)).pixels, full_range(ramp()))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_voi_lut_is_shown_in_the_range_of_its_bits_not_stretched_to_its_own(bits: int) -> None:
    largest = (1 << bits) - 1
    curve = np.linspace(0.2 * largest, 0.8 * largest, 4096).round()
    film = film_of(ramp(), VOILUTSequence=[lut(curve, bits=bits)])
    assert np.array_equal(film.pixels, np.rint(255 * curve[ramp()] / largest))


def test_a_voi_lut_that_declares_too_few_bits_is_shown_in_those_that_it_needs() -> None:
    curve = np.linspace(0, 4095, 4096).round()
    assert np.array_equal(film_of(ramp(), VOILUTSequence=[lut(curve, bits=10)]).pixels, full_range(ramp()))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [*RAW, RLELossless], ids=lambda syntax: syntax.name)
def test_twelve_bits_below_high_bit_15_are_read_as_those_below_high_bit_11(syntax: str, signed: bool) -> None:
    shifted = (ramp(12, signed).astype(np.int32) << 4 | 5).astype("<i2" if signed else "<u2")
    film = Film.read(written(dataset_of(shifted, 12, HighBit=15), syntax))
    assert np.array_equal(film.pixels, stretched(ramp(12, signed)))
    assert (film.bits, film.warnings) == (12, (FilmWarning.UNUSUAL_BITS,))


def test_what_lies_above_the_high_bit_is_no_part_of_the_gray_values() -> None:
    assert np.array_equal(film_of(ramp() | 0xF000).pixels, stretched(ramp()))
    above = (ramp().astype(np.uint16) << 2) | 0x8000
    assert np.array_equal(film_of(above, HighBit=13).pixels, stretched(ramp()))


def test_an_impossible_high_bit_is_ignored_with_a_warning_and_one_in_a_compressed_stream_refused() -> None:
    for high_bit in (3, 31):
        film = film_of(ramp(), HighBit=high_bit)
        assert np.array_equal(film.pixels, stretched(ramp()))
        assert film.warnings == (FilmWarning.UNUSUAL_BITS,)
    data = encapsulated(frame_of(ramp(), JPEG2000Lossless, 12), JPEG2000Lossless, ramp(), 12, HighBit=15)
    assert refusal(data) == ReadFailure.UNSUPPORTED_PIXELS


@pytest.mark.parametrize(
    ("photometric", "shape", "is_inverted", "is_contradictory"),
    [
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "IDENTITY", False, True),
        ("MONOCHROME1", "LIN OD", True, False),
    ],
)
def test_the_presentation_lut_shape_decides_and_a_contradiction_gets_a_warning(
    photometric: str, shape: str, is_inverted: bool, is_contradictory: bool
) -> None:
    film = film_of(ramp(8), 8, PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    assert np.array_equal(film.pixels, 255 - ramp(8) if is_inverted else ramp(8))
    assert film.warnings == ((FilmWarning.CONTRADICTORY_POLARITY,) if is_contradictory else ())


def test_an_image_for_processing_gets_a_warning() -> None:
    assert film_of(ramp(), PresentationIntentType="FOR PROCESSING").warnings == (FilmWarning.FOR_PROCESSING,)
    raw = film_of(ramp(), SOPClassUID=DigitalXRayImageStorageForProcessing)
    assert raw.warnings == (FilmWarning.FOR_PROCESSING,)
    shown = film_of(
        ramp(), PresentationIntentType="FOR PRESENTATION", SOPClassUID=DigitalXRayImageStorageForPresentation
    )
    assert shown.warnings == ()


def test_padding_does_not_compress_the_contrast() -> None:
    stored, rows = ramp(10, signed=True), np.indices((140, 180))[0]
    stored[:20] = -32768
    film = film_of(stored, 16, PixelPaddingValue=-32768)
    assert not film.pixels[:20].any()
    assert np.array_equal(film.pixels[20:], stretched(stored, counted=rows >= 20)[20:])
    stored = ramp(10)
    stored[:20] = np.linspace(60_000, 65_000, 20 * 180).reshape(20, 180)
    film = film_of(stored, 16, PixelPaddingValue=60_000, PixelPaddingRangeLimit=65_535)
    assert np.array_equal(film.pixels[20:], stretched(stored, counted=rows >= 20)[20:])


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_color_becomes_gray(photometric: str) -> None:
    gray = film_of(np.dstack([ramp(8)] * 3), 8, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    assert np.array_equal(gray.pixels, ramp(8))
    assert gray.warnings == ()
    color = np.dstack([ramp(8), ramp(8)[::-1], ramp(8)[:, ::-1]])
    film = film_of(color, 8, PhotometricInterpretation=photometric, PlanarConfiguration=0)
    assert film.pixels.shape == (140, 180)
    assert film.warnings == (FilmWarning.COLOR,)


def test_view_and_spacing_are_read_from_a_short_list() -> None:
    film = film_of(ramp(), ViewPosition="PA", ImagerPixelSpacing=[0.2, 0.1])
    assert (film.view, film.pixel_spacing_mm) == ("PA", (0.2, 0.1))
    film = film_of(ramp(), ViewPosition="LL", PixelSpacing=[0.3, 0.4], ImagerPixelSpacing=[0.2, 0.1])
    assert (film.view, film.pixel_spacing_mm) == ("L", (0.3, 0.4))
    film = film_of(ramp(), ViewPosition=CANARY, PixelSpacing=[0, -1])
    assert (film.view, film.pixel_spacing_mm) == (None, None)


def test_another_modality_and_burned_in_annotations_get_a_warning() -> None:
    assert film_of(ramp(), Modality="CT").warnings == (FilmWarning.CT,)
    assert film_of(ramp(), Modality=CANARY).warnings == (FilmWarning.UNKNOWN_MODALITY,)
    assert film_of(ramp(), BurnedInAnnotation="YES").warnings == (FilmWarning.BURNED_IN_ANNOTATION,)
    for modality in ("CR", "DX", "RG"):
        assert film_of(ramp(), Modality=modality).warnings == ()


UNSUPPORTED: list[tuple[dict[str, Any], ReadFailure]] = [
    ({"NumberOfFrames": 2}, ReadFailure.SEVERAL_FRAMES),
    ({"PhotometricInterpretation": "PALETTE COLOR"}, ReadFailure.UNSUPPORTED_COLOR),
    ({"BitsAllocated": 32}, ReadFailure.UNSUPPORTED_PIXELS),
    ({"BitsStored": 17}, ReadFailure.UNSUPPORTED_PIXELS),
    ({"Rows": 0}, ReadFailure.NO_PIXEL_DATA),
    ({"Rows": 60_000, "Columns": 60_000}, ReadFailure.TOO_MANY_PIXELS),
]


@pytest.mark.parametrize(("elements", "failure"), UNSUPPORTED, ids=str)
def test_an_unsupported_image_is_refused_before_it_is_decoded(elements: dict[str, Any], failure: ReadFailure) -> None:
    assert refusal(written(dataset_of(ramp(), **elements))) == failure


def test_a_file_without_pixels_is_refused() -> None:
    dataset = dataset_of(ramp())
    del dataset.PixelData
    assert refusal(written(dataset)) == ReadFailure.NO_PIXEL_DATA


def test_a_compression_without_decoder_is_refused() -> None:
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.3.4"):
        dataset = dataset_of(ramp(), PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta = FileMetaDataset()
        stream = BytesIO()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(stream, implicit_vr=False, little_endian=True, enforce_file_format=True)
        assert refusal(stream.getvalue()) == ReadFailure.UNSUPPORTED_COMPRESSION


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_an_image_of_another_size_than_declared_is_refused(syntax: str) -> None:
    dataset = dataset_of(ramp())
    written(dataset, syntax)
    dataset.Rows = 70
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    assert refusal(stream.getvalue()) == ReadFailure.DAMAGED_DICOM


@pytest.mark.parametrize("syntax", [*RAW, *COMPRESSED], ids=lambda syntax: syntax.name)
def test_a_truncated_file_is_refused_or_complete(syntax: str) -> None:
    data = written(dataset_of(ramp()), syntax)
    for length in [*np.linspace(1, len(data) - 9, 20, dtype=int), len(data) - 1]:
        try:
            film = Film.read(data[:length])
        except FilmError:
            continue
        assert np.array_equal(film.pixels, stretched(ramp())), f"half a film at {length} of {len(data)}"


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.name)
def test_a_truncated_image_in_a_complete_file_is_refused(syntax: str) -> None:
    grain = np.random.default_rng(0).integers(0, 4096, (140, 180)).astype(np.uint16)
    dataset = dataset_of(grain)
    written(dataset, syntax)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    assert refusal(stream.getvalue()) == ReadFailure.DAMAGED_DICOM


def text_of(outcome: Film | FilmError) -> str:
    """All text in a film or in an error with its causes."""
    if isinstance(outcome, Film):
        return repr(vars(outcome))
    return "".join(traceback.format_exception(outcome))


def mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies with a few bytes changed, every other time before the pixels, and some cut off."""
    random = np.random.default_rng(seed)
    for number in range(count):
        changed = np.frombuffer(data, np.uint8).copy()
        reach = min(len(data), 1000) if number % 2 else len(data)
        changed[random.integers(132, reach, 1 + number % 6)] = random.integers(0, 256, 1 + number % 6)
        yield changed.tobytes()[: random.integers(140, len(data)) if number % 5 == 0 else None]


@pytest.mark.parametrize("syntax", [*RAW, *COMPRESSED], ids=lambda syntax: syntax.name)
def test_damaged_files_raise_film_errors_without_names(
    syntax: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    elements: dict[str, Any] = {
        "WindowCenter": 2000,
        "WindowWidth": 1500,
        "PixelSpacing": [0.1, 0.1],
        "ViewPosition": "AP",
    }
    data = written(dataset_of(ramp(height_px=40, width_px=50), **elements), syntax)
    texts = []
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.clear()
    for mutant in mutants(data, count=40, seed=5):
        texts.append(text_of(read_or_error(mutant)))
    texts += [caplog.text, *capfd.readouterr()]
    assert CANARY not in "".join(texts)


def test_values_of_a_wrong_type_are_neither_quoted_nor_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    data = written(dataset_of(ramp(), WindowCenter=123456, WindowWidth=1500, PixelSpacing=[0.25, 0.25]))
    damaged = data.replace(b"123456", CANARY[:6].encode()).replace(b"0.25\\0.25", b"DOE^\\JANE")
    assert damaged.count(CANARY[:6].encode()) > data.count(CANARY[:6].encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcomes = [read_or_error(damaged) for _ in range(2)]  # twice, as pydicom caches converted values
    for outcome in outcomes:
        assert CANARY[:3] not in text_of(outcome)
    assert CANARY[:3] not in caplog.text


def test_the_first_film_of_a_process_logs_nothing_either(tmp_path: Path) -> None:
    """pydicom sets its log level when it is imported, which the first film does."""
    dataset = dataset_of(ramp())
    dataset.PixelData += bytes(64)  # pydicom warns of the excess
    path = tmp_path / "film"
    path.write_bytes(written(dataset))
    code = "import sys, logging; logging.basicConfig(); from cxr.films.film import Film; Film.read(sys.argv[1])"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", code, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_no_name_is_in_the_film() -> None:
    assert CANARY.encode() in written(dataset_of(ramp()))
    film = film_of(ramp(), Modality=CANARY, BurnedInAnnotation=CANARY)
    assert CANARY not in repr(film) + repr(vars(film))


def shipped() -> list[Path]:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_pydicoms_own_test_files_are_read_or_refused() -> None:
    outcomes = [read_or_error(path) for path in shipped()]
    assert all(failure_of(outcome) for outcome in outcomes if isinstance(outcome, FilmError))
    assert sum(isinstance(outcome, Film) for outcome in outcomes) > 50


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_pydicoms_truncated_files_are_refused(name: str) -> None:
    path = next(path for path in shipped() if path.name == name)
    with pytest.raises(FilmError):
        Film.read(path)


def test_one_image_in_seven_encodings_gives_equal_pixels() -> None:
    films = [Film.read(path).pixels for path in shipped() if path.name.startswith("MR_small")]
    assert len(films) >= 7
    assert all(np.array_equal(film, films[0]) for film in films)


def test_real_films_are_read_without_names(films: Path) -> None:
    for path in files_in(films / "dicom"):
        film = Film.read(path)
        assert min(film.pixels.shape) > 500
        assert np.ptp(film.pixels) > 200
        name = str(dcmread(path, stop_before_pixels=True).get("PatientID", ""))
        assert not name or name not in repr(film)
