"""An upload becomes X-rays to be read: a file is one, a ZIP is its members."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm
from cxr.datasets.labels import display_name
from cxr.films.film import Film
from cxr.films.isolation.pool import decoder_pool
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.inference.sources import source_on_disk, sources_from_upload, synthetic_sources


def png(seed=1):
    file = io.BytesIO()
    Image.fromarray(draw_phantom("normal", seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_an_uploaded_file_is_one_film_whatever_its_name():
    (source,) = sources_from_upload("7", "no-ending", png())
    assert (source.key, source.name) == ("7", "no-ending")
    assert Film.read(source.read()).width_px == 64


def test_the_stored_thumbnails_are_those_of_the_synthetic_films():
    synthetic = {source.name: source for source in synthetic_sources()}
    drawn = {name: Film.read(source.read()).jpeg_thumbnail(150, square=True) for name, source in synthetic.items()}
    for name, source in synthetic.items():
        assert source.thumbnail
        stored = Film.read(source.thumbnail).pixels.astype(float)
        distances = {other: np.abs(stored - Film.read(data).pixels).mean() for other, data in drawn.items()}
        assert distances.pop(name) < 1 < min(distances.values()), f"Write `drawn['{name}']` to {source.thumbnail}."


def test_uploads_are_decoded_in_isolation_and_local_files_are_not(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    mine = [*synthetic_sources(), source_on_disk(tmp_path / "a.png")]
    theirs = [
        *sources_from_upload("7", "a.png", png()),
        *sources_from_upload("8", "a.zip", zipped({"a.png": png(), "b.png": png(2)})),
    ]
    assert {source.decode for source in theirs} == {decoder_pool().read}
    assert {source.decode for source in mine} == {Film.read}


def test_an_uploaded_zip_is_its_films():
    data = zipped({"case/b.png": png(2), "case/a.dcm": png(3), "case/readme.txt": b"x", "__MACOSX/a.png": b"x"})
    found = sources_from_upload("7", "case.zip", data)
    assert [source.name for source in found] == ["case/a.dcm", "case/b.png"]
    assert len({source.key for source in found}) == 2
    assert [source.read() for source in found] == [png(3), png(2)]


def test_films_beside_the_folder_of_a_zip_are_read_too():
    names = ["series/1/b.png", "a.png", "train/c.png"]
    found = sources_from_upload("7", "case.zip", zipped({name: png(number) for number, name in enumerate(names)}))
    assert [source.name for source in found] == sorted(names)
    wrapped = sources_from_upload(
        "7", "case.zip", zipped({f"wrap/train/{name}": png(2) for name in ("a.png", "b.png")})
    )
    assert [source.name for source in wrapped] == ["train/a.png", "train/b.png"]


@pytest.mark.parametrize("data", [zipped({"a.txt": b"x"}), zipped({})], ids=["texts only", "empty"])
def test_a_zip_without_films_is_one_entry_with_its_error(data):
    (source,) = sources_from_upload("7", "case.zip", data)
    with pytest.raises(UnreadableFilm) as raised:
        source.read()
    assert raised.value.code == "film.unreadable.empty-zip"


def test_a_zip_of_too_many_files_is_refused_before_any_is_read():
    (source,) = sources_from_upload("7", "case.zip", zipped({f"{n}.png": b"" for n in range(3)}), max_films=2)
    with pytest.raises(FilmTooLarge) as raised:
        source.read()
    assert raised.value.code == "film.too-large.zip-files"


def test_a_damaged_zip_raises_only_a_film_error():
    data = bytearray(zipped({"a.png": png()}))
    for broken in (bytes(data[:-30]), bytes(data[:40] + b"\0" * 60 + data[100:])):
        for source in sources_from_upload("7", "case.zip", broken):
            with pytest.raises(FilmError):
                Film.read(source.read())


def test_there_is_a_synthetic_film_of_each_class():
    found = synthetic_sources()
    assert [source.name for source in found] == [f"Synthetic: {display_name(finding)}" for finding in FINDINGS]
    assert all(source.synthetic and Film.read(source.read()).format == "PNG" for source in found)
