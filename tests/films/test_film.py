import base64
import struct
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cxr.core.errors import FilmError, UnreadableFilm
from cxr.films.film import Film, _is_decoded_apart
from cxr.films.film_warning import FilmWarning
from cxr.films.header_limits import MAX_BYTES
from cxr.films.image_file import data_url
from cxr.films.read_failure import ReadFailure, failure_of
from tests.support.file_seeds import (
    CANARY,
    dataset_of,
    drawn,
    lossless,
    lossy,
    png_of,
    ramp,
    raw_tiff,
    read_or_error,
    saved,
    stretched,
    written,
)
from tests.support.files import files_in


def mutants(data: bytes, count: int, seed: int) -> list[bytes]:
    """Copies with a few bytes changed, most of them near the start, and every third cut off as well."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        changed = np.frombuffer(data, np.uint8).copy()
        reach = min(len(data), 400) if number % 2 else len(data)
        changed[random.integers(0, reach, 1 + number % 7)] = random.integers(0, 256, 1 + number % 7)
        made.append(changed.tobytes()[: random.integers(1, len(data)) if number % 3 == 0 else None])
    return made


def read_or_refuse(data: bytes) -> Film | None:
    """The film in these bytes; None where they are refused for a known reason."""
    outcome = read_or_error(data)
    assert isinstance(outcome, Film) or failure_of(outcome)
    return outcome if isinstance(outcome, Film) else None


def refusal(source: bytes | str | Path) -> ReadFailure | None:
    """Why this file is refused; None for any other error."""
    with pytest.raises(FilmError) as refused:
        Film.read(source)
    return failure_of(refused.value)


GRAY = Image.fromarray(drawn())
LOSSLESS, LOSSY = lossless(), lossy()


@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_lossless_format_keeps_the_gray_levels(kind: str) -> None:
    film = Film.read(LOSSLESS[kind])
    assert film.format == kind.split()[0]
    assert film.bits == {"F": 32, "I": 32, "16": 16}.get(kind.split()[-1], 8)
    expected = stretched(drawn()) if film.bits > 8 else drawn()
    assert np.abs(film.pixels.astype(int) - expected).max() <= 1
    assert film.warnings == ()
    assert (film.height_px, film.width_px, film.view, film.pixel_spacing_mm) == (140, 180, None, None)


@pytest.mark.parametrize("kind", LOSSY)
def test_every_lossy_format_keeps_the_gray_levels_nearly(kind: str) -> None:
    film = Film.read(LOSSY[kind])
    assert film.format == kind.split()[0]
    assert np.abs(film.pixels.astype(int) - drawn()).mean() < 6
    assert film.warnings == ()


def test_a_film_is_read_only_and_equal_to_none_but_itself() -> None:
    film = Film.read(LOSSLESS["PNG"])
    with pytest.raises(ValueError, match="read-only"):
        film.pixels[0, 0] = 1
    assert film != Film.read(LOSSLESS["PNG"])
    assert hash(film)


def test_a_one_bit_film_is_black_and_white_and_of_one_bit() -> None:
    for kind in ("PNG", "TIFF", "BMP"):
        film = Film.read(saved(GRAY.convert("1"), kind))
        assert (film.bits, set(np.unique(film.pixels))) == (1, {0, 255})


def test_a_16_bit_film_that_uses_12_bits_is_not_dark() -> None:
    for kind in ("PNG", "TIFF"):
        film = Film.read(saved(drawn().astype(np.uint16) * 16, kind))
        assert np.array_equal(film.pixels, stretched(drawn()))


def test_16_bits_in_either_byte_order_read_alike() -> None:
    samples = drawn().astype(np.uint16) * 257
    big = Image.frombytes("I;16B", GRAY.size, samples.astype(">u2").tobytes())
    assert np.array_equal(Film.read(saved(big, "TIFF")).pixels, stretched(drawn()))


def test_signed_samples_keep_their_order() -> None:
    samples = drawn().astype(np.int32) * 100 - 12_000
    assert np.array_equal(Film.read(saved(samples, "TIFF")).pixels, stretched(drawn()))


def test_unsigned_32_bit_samples_do_not_wrap() -> None:
    samples = drawn().astype("<u4") * (0xFFFFFFFF // 255)
    assert np.array_equal(Film.read(raw_tiff(samples)).pixels, stretched(drawn()))
    for refused in (raw_tiff(samples.astype(">u4")), raw_tiff(samples, white_is_zero=True)):
        assert refusal(refused) == ReadFailure.NOT_AN_IMAGE  # Pillow has no such format


def test_signed_8_bit_samples_keep_their_order() -> None:
    data = raw_tiff((drawn().astype(np.int16) - 128).astype(np.int8))
    assert np.array_equal(Film.read(data).pixels, drawn())


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """The PNG with a chunk behind its header."""
    stream = BytesIO()
    PngImagePlugin.putchunk(stream, name, content)
    return png[:33] + stream.getvalue() + png[33:]


@pytest.mark.parametrize(("gamma", "is_unusual"), [(100_000, True), (55_555, True), (45_455, False), (0, False)])
def test_a_png_with_another_gamma_than_a_screens_gets_a_warning(gamma: int, is_unusual: bool) -> None:
    data = with_chunk(LOSSLESS["PNG"], b"gAMA", gamma.to_bytes(4, "big"))
    film = Film.read(data)
    assert np.array_equal(film.pixels, drawn())
    assert film.warnings == ((FilmWarning.GAMMA,) if is_unusual else ())
    assert Film.read(with_chunk(data, b"sRGB", b"\0")).warnings == ()


def test_a_16_bit_tiff_whose_white_is_zero_is_inverted() -> None:
    inverted = 65535 - drawn().astype(np.uint16) * 257
    data = saved(inverted, "TIFF", tiffinfo={262: 0})
    assert np.array_equal(Film.read(data).pixels, stretched(drawn()))


def test_nan_is_black_and_infinities_are_the_ends_of_the_range() -> None:
    samples = drawn().astype(np.float32)
    samples[50, 50:53] = np.nan, np.inf, -np.inf
    film = Film.read(saved(samples, "TIFF"))
    assert film.pixels[50, 50:53].tolist() == [0, 255, 0]
    assert np.array_equal(film.pixels[:50], stretched(drawn())[:50])


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan, np.inf])
def test_a_constant_image_is_black_with_a_warning_of_low_contrast(value: float) -> None:
    film = Film.read(saved(np.full((200, 200), value, np.float32), "TIFF"))
    assert not film.pixels.any()
    assert FilmWarning.LOW_CONTRAST in film.warnings


def test_a_dark_16_bit_color_image_is_refused_rather_than_read_nearly_black() -> None:
    row = b"\0" + (np.arange(200 * 3) * 6).astype(">u2").tobytes()
    assert refusal(png_of(200, 200, 16, 2, row * 200)) == ReadFailure.DARK_16_BIT_COLOR


def test_what_is_transparent_becomes_black() -> None:
    alpha = np.full(drawn().shape, 255, np.uint8)
    alpha[:70] = 0
    rgba = np.dstack([drawn()] * 3 + [alpha])
    palette = GRAY.quantize(256)
    films = [Film.read(saved(rgba, kind)) for kind in ("PNG", "TIFF")]
    films.append(Film.read(saved(np.dstack([drawn(), alpha]), "PNG")))
    for film in films:
        assert not film.pixels[:70].any()
        assert np.abs(film.pixels[70:].astype(int) - drawn()[70:]).max() <= 1
    expected = np.asarray(palette.convert("L"))
    hidden = np.asarray(palette) == 3
    film = Film.read(saved(palette, "PNG", transparency=3))
    assert not film.pixels[hidden].any()
    assert np.array_equal(film.pixels[~hidden], expected[~hidden])


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda gray: gray,
    2: np.fliplr,
    3: lambda gray: np.rot90(gray, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda gray: np.rot90(gray, -1),
    7: lambda gray: np.rot90(gray, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_the_exif_orientation_is_followed(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = TURNS[orientation](drawn())
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(Film.read(saved(GRAY, kind, exif=exif)).pixels, turned)
    jpeg = Film.read(saved(GRAY, "JPEG", exif=exif, quality=95)).pixels
    assert jpeg.shape == turned.shape
    assert np.abs(jpeg.astype(int) - turned).mean() < 3


def test_a_damaged_exif_is_ignored() -> None:
    data = saved(GRAY, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xee" * 40)
    assert np.array_equal(Film.read(data).pixels, drawn())


def test_color_in_a_part_becomes_gray_with_a_warning() -> None:
    color = np.dstack([drawn()] * 3)
    color[4:20, 4:20] = (255, 40, 40)  # an arrow, say
    film = Film.read(saved(color, "PNG"))
    assert film.pixels.ndim == 2
    assert film.warnings == (FilmWarning.COLOR,)


@pytest.mark.parametrize("tint", [(0.6, 0.8, 1.0), (1.0, 0.8, 0.55)], ids=["blue", "brown"])
def test_color_all_over_is_said_to_be_a_photograph(tint: tuple[float, float, float]) -> None:
    photograph = np.dstack([(drawn() * share).astype(np.uint8) for share in tint])
    for kind in ("PNG", "JPEG"):
        assert FilmWarning.PHOTOGRAPH in Film.read(saved(photograph, kind)).warnings
    assert Film.read(saved(np.dstack([drawn()] * 3), "JPEG")).warnings == ()


def test_a_small_and_an_elongated_image_get_a_warning() -> None:
    assert Film.read(saved(drawn(110, 100), "PNG")).warnings == (FilmWarning.SMALL,)
    assert Film.read(saved(drawn(130, 300), "PNG")).warnings == (FilmWarning.ELONGATED,)
    assert Film.read(saved(drawn(128, 256), "PNG")).warnings == ()
    assert Film.read(saved(np.zeros((1, 1), np.uint8), "PNG")).pixels.shape == (1, 1)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_several_frames_are_refused(kind: str) -> None:
    data = saved(GRAY, kind, save_all=True, append_images=[GRAY.rotate(90)])
    assert refusal(data) == ReadFailure.SEVERAL_FRAMES


def test_of_a_phone_photograph_with_a_preview_the_first_image_is_read() -> None:
    film = Film.read(saved(GRAY, "MPO", save_all=True, append_images=[GRAY.resize((20, 20))]))
    assert (film.format, film.pixels.shape) == ("JPEG", (140, 180))


@pytest.mark.parametrize("kind", ["GIF", "PPM", "ICO", "PDF", "JPEG2000", "TGA", "EPS"])
def test_other_image_formats_are_refused(kind: str) -> None:
    with pytest.raises(UnreadableFilm):
        Film.read(saved(GRAY, kind))


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_a_truncated_file_is_refused_or_complete(kind: str) -> None:
    data = (LOSSLESS | LOSSY)[kind]
    whole = Film.read(data).pixels
    for length in sorted({*np.linspace(1, len(data) - 1, 16, dtype=int).tolist(), len(data) - 2}):
        film = read_or_refuse(data[:length])
        assert film is None or np.array_equal(film.pixels, whole), f"half a film at {length} of {len(data)}"


def test_random_bytes_are_refused() -> None:
    random = np.random.default_rng(1)
    for magic in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"II*\0",
        b"BM",
        b"RIFF\x40\0\0\0WEBP",
        b"\x08\0\5\0",
    ):
        for _ in range(10):
            with pytest.raises(FilmError):
                Film.read(magic + random.bytes(300))


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_damaged_films_raise_film_errors_only(kind: str) -> None:
    small = Image.open(BytesIO((LOSSLESS | LOSSY)[kind]))
    for data in mutants((LOSSLESS | LOSSY)[kind], count=16, seed=small.width):
        read_or_refuse(data)


def test_a_missing_an_empty_file_and_a_folder_are_refused_without_their_name(tmp_path: Path) -> None:
    missing = tmp_path / f"{CANARY}.png"
    (tmp_path / "empty.png").touch()
    cases: dict[bytes | str | Path, ReadFailure] = {
        missing: ReadFailure.NO_SUCH_FILE,
        tmp_path: ReadFailure.NOT_A_FILE,
        tmp_path / "empty.png": ReadFailure.EMPTY,
        b"": ReadFailure.EMPTY,
    }
    for source, failure in cases.items():
        with pytest.raises(UnreadableFilm) as caught:
            Film.read(source)
        assert failure_of(caught.value) == failure
        assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert refusal("\0") in (ReadFailure.NO_PERMISSION, ReadFailure.NO_SUCH_FILE)


def test_a_path_and_its_bytes_read_alike_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(LOSSLESS["PNG"])
    for source in (path, str(path)):
        assert np.array_equal(Film.read(source).pixels, drawn())


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert refusal(path) == ReadFailure.TOO_MANY_BYTES


@pytest.mark.parametrize("side_px", [7_800, 10_000, 14_000, 60_000])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(side_px: int) -> None:
    assert refusal(png_of(side_px, side_px, 8, 0, b"")) == ReadFailure.TOO_MANY_PIXELS


def test_no_text_of_a_file_gets_out() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", CANARY)
    exif = Image.Exif()
    exif[0x013B] = exif[0x010E] = CANARY
    for data in (
        saved(GRAY, "PNG", pnginfo=text, exif=exif),
        saved(GRAY, "JPEG", exif=exif, comment=CANARY),
        saved(GRAY, "TIFF", exif=exif),
    ):
        film = Film.read(data)
        assert CANARY not in repr(film) + repr(vars(film))
        for mutant in mutants(data, count=20, seed=3):
            outcome = read_or_error(mutant)
            if isinstance(outcome, FilmError):
                assert CANARY not in "".join(traceback.format_exception(outcome))


def test_fitting_stretches_to_the_square_with_antialiasing() -> None:
    film = Film.read(LOSSLESS["PNG"])
    assert np.array_equal(film.fitted(64), np.asarray(GRAY.resize((64, 64), Image.Resampling.BILINEAR)))
    assert film.fitted(224).shape == (224, 224)
    assert film.fitted(224).dtype == np.uint8


def test_several_threads_read_the_same_as_one_and_no_warning_gets_out() -> None:
    plain, stream = LOSSLESS["PNG"], BytesIO()
    PngImagePlugin.putchunk(stream, b"acTL", bytes(8))
    frameless = plain[:33] + stream.getvalue() + plain[33:]
    with pytest.warns(UserWarning, match="APNG"), Image.open(BytesIO(frameless)):
        pass
    films = [*LOSSLESS.values(), *LOSSY.values(), frameless] * 2
    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("error")
        together = list(pool.map(Film.read, films))
    for data, film in zip(films, together, strict=True):
        assert np.array_equal(Film.read(data).pixels, film.pixels)


def decoded(data: bytes) -> np.ndarray:
    """The pixels of an image file."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image, int)


def gray(height_px: int, width_px: int) -> Film:
    """An evenly gray film."""
    return Film.from_pixels(np.full((height_px, width_px), 200, np.uint8))


def test_a_thumbnail_keeps_the_proportions_and_is_never_enlarged() -> None:
    assert decoded(gray(400, 200).jpeg_thumbnail(96)).shape == (96, 48)
    assert decoded(gray(40, 20).jpeg_thumbnail(96)).shape == (40, 20)


def test_a_square_thumbnail_is_padded_with_black() -> None:
    for tall in (gray(400, 200), gray(40, 20)):
        square = decoded(tall.jpeg_thumbnail(96, square=True))
        assert square.shape == (96, 96)
        assert abs(square[:, 48] - 200).max() < 8
        assert square[:, :20].max() < 8


def test_a_data_url_holds_the_image() -> None:
    kind, data = data_url(gray(48, 48).jpeg_thumbnail(96)).split(",")
    assert kind == "data:image/jpeg;base64"
    assert np.abs(decoded(base64.b64decode(data)) - 200).max() < 8


def test_importing_film_imports_no_pydicom() -> None:
    code = "import sys, cxr.films.film; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_published_films_are_read(films: Path) -> None:
    for path in files_in(films / "originals"):
        film = Film.read(path)
        assert min(film.height_px, film.width_px) > 300
        assert np.ptp(film.pixels) > 150


@pytest.mark.parametrize(("elements", "length"), [(1, 0), (1, 10_000), (2_000, 2)])
def test_a_dicom_that_needs_gdcm_is_decoded_apart_whatever_its_meta_information_holds(
    elements: int, length: int
) -> None:
    data = written(dataset_of(ramp()))
    plain, lossless_jpeg = b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x001.2.840.10008.1.2.4.70"
    assert plain in data
    syntax = data.replace(plain, lossless_jpeg)
    padding = elements * (struct.pack("<HH2sHI", 2, 1, b"OB", 0, length) + bytes(length))
    assert _is_decoded_apart(syntax[:144] + padding + syntax[144:])
    assert not _is_decoded_apart(data)
