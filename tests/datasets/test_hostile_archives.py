"""Fifty hostile ZIPs: nothing leaves its folder, and nothing that they declare is trusted."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cxr.core.errors import CxrError, FilmError, FilmTooLarge
from cxr.datasets.archive import Archive
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.inference.sources import sources_from_upload
from tests.support.datasets import raises_code
from tests.support.file_seeds import drawn, saved

FILM = saved(drawn(64, 64), "PNG")
QUICK_S = 4.0  # of CPU time
LINK, FOLDER, DEVICE = 0o120777, 0o040755, 0o020666


@dataclass
class Entry:
    """A member as it is in the ZIP; every field may be false."""

    name: str | bytes
    data: bytes = FILM
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    size: int | None = None  # declared
    packed_size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    offset: int | None = None
    body: bytes | None = field(default=None, repr=False)  # as it is in the ZIP, compressed or not
    comment: bytes = b""

    def packed(self) -> bytes:
        """The data as it is in the ZIP."""
        if self.body is not None:
            return self.body
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(self.data) + packer.flush() if self.method == 8 else self.data


def archive_of(*entries: Entry, count: int | None = None, before: bytes = b"") -> bytes:
    """A ZIP with these members, written byte by byte."""
    out, directory = bytearray(before), bytearray()
    for entry in entries:
        name = entry.name if isinstance(entry.name, bytes) else entry.name.encode()
        flags = entry.flags | (0 if isinstance(entry.name, bytes) else 0x800)
        body = entry.packed()
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        sizes = (
            len(body) if entry.packed_size is None else entry.packed_size,
            len(entry.data) if entry.size is None else entry.size,
        )
        local = name if entry.local_name is None else entry.local_name
        offset = len(out) if entry.offset is None else entry.offset
        out += b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, flags, entry.method, 0, 33, crc, *sizes, len(local), 0)
        out += local + body
        directory += b"PK\1\2" + struct.pack("<HHHHHHIII", 0x314, 20, flags, entry.method, 0, 33, crc, *sizes)
        directory += struct.pack("<HHHHHII", len(name), 0, len(entry.comment), 0, 0, entry.mode << 16, offset)
        directory += name + entry.comment
    number = len(entries) if count is None else count
    end = struct.pack("<HHHHIIH", 0, 0, number & 0xFFFF, number & 0xFFFF, len(directory), len(out), 0)
    return bytes(out + directory) + b"PK\5\6" + end


def zeros(megabytes: int) -> bytes:
    """A deflated stream of so many megabytes of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packer.compress(bytes(1 << 20))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\x03\x00"


def zipped(name: str, data: bytes) -> bytes:
    """A ZIP with one member."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def many(count: int) -> bytes:
    """A ZIP with so many empty members."""
    return archive_of(*[Entry(f"n/{n}.png", b"", 0) for n in range(count)])


SOUND = Entry("a/sound.png")
ESCAPES = [
    *("../out.png", "../../../../tmp/out.png", "a/../../out.png", "a/..", "..", "/out.png", "//host/share/out.png"),
    *("C:/out.png", "c:out.png", "C:\\out.png", "..\\out.png", "a\\..\\..\\out.png", "\\\\host\\out.png"),
    *("a/b/../../../out.png", "~/../out.png"),
]
# Each ZIP, and how many of its films are read.
ARCHIVES: dict[str, tuple[bytes, int]] = {
    f"a name like {name!r}": (archive_of(SOUND, Entry(name)), 1) for name in ESCAPES
}
ARCHIVES |= {
    "a name that ends early": (archive_of(SOUND, Entry("a/out\0/../../x.png")), 2),
    "a link to a file": (archive_of(SOUND, Entry("a/link.png", b"/etc/passwd", 0, mode=LINK)), 1),
    "a link to a folder, and a film behind it": (
        archive_of(SOUND, Entry("a/b", b"/tmp", 0, mode=LINK), Entry("a/b/film.png")),
        2,
    ),
    "a link upwards": (archive_of(SOUND, Entry("a/link.png", b"../../../../etc/passwd", 0, mode=LINK)), 1),
    "a device": (archive_of(SOUND, Entry("a/zero.png", b"", 0, mode=DEVICE)), 1),
    "a folder that is a file": (archive_of(SOUND, Entry("a/folder.png", FILM, mode=FOLDER)), 2),
    "a ZIP in a ZIP": (archive_of(SOUND, Entry("a/more.zip", zipped("film.png", FILM))), 1),
    "a ZIP in a ZIP under a film's name": (archive_of(SOUND, Entry("a/more.png", zipped("film.png", FILM))), 1),
    "a password": (archive_of(SOUND, Entry("a/secret.png", flags=1)), 0),
    "strong encryption": (archive_of(SOUND, Entry("a/secret.png", flags=0x41)), 0),
    "an unknown method": (archive_of(SOUND, Entry("a/odd.png", method=97, body=FILM)), 1),
    "a method that Python has not": (archive_of(SOUND, Entry("a/odd.png", method=9, body=FILM)), 1),
    "bzip2 that is none": (archive_of(SOUND, Entry("a/odd.png", method=12, body=FILM)), 1),
    "LZMA that is none": (archive_of(SOUND, Entry("a/odd.png", method=14, body=FILM)), 1),
    "a patched member": (archive_of(SOUND, Entry("a/odd.png", flags=0x20)), 1),
    "deflate that is none": (archive_of(SOUND, Entry("a/odd.png", body=b"\xff" * 200)), 1),
    "a wrong checksum": (archive_of(SOUND, Entry("a/odd.png", crc=1)), 1),
    "a film cut off": (archive_of(SOUND, Entry("a/odd.png", FILM[:-60])), 1),
    "a member shorter than announced": (archive_of(SOUND, Entry("a/odd.png", size=len(FILM) + 9)), 2),
    "a member longer than announced": (archive_of(SOUND, Entry("a/odd.png", size=len(FILM) // 2)), 1),
    "a packed size beyond the end": (archive_of(SOUND, Entry("a/odd.png", packed_size=1 << 30)), 2),
    "4 GB announced": (archive_of(SOUND, Entry("a/odd.png", size=0xFFFFFFFE)), 1),
    "an offset beyond the end": (archive_of(SOUND, Entry("a/odd.png", offset=1 << 30)), 1),
    "an offset into another member": (archive_of(SOUND, Entry("a/odd.png", offset=7)), 1),
    "two members in one place": (archive_of(SOUND, Entry("a/other.png", local_name=b"a/sound.png", offset=0)), 1),
    "one name inside, another in the list": (archive_of(SOUND, Entry("a/odd.png", local_name=b"../odd.png")), 1),
    "one name twice": (archive_of(SOUND, Entry("a/sound.png")), 1),
    "names that differ in a slash": (archive_of(SOUND, Entry("a\\sound.png")), 1),
    "a name of nothing": (archive_of(SOUND, Entry("")), 1),
    "a name of 60,000 letters": (archive_of(SOUND, Entry("a/" + "n" * 60_000 + ".png")), 2),
    "a name in no alphabet": (archive_of(SOUND, Entry(b"a/\xff\xfe\x00\x9d.png")), 2),
    "a name that is no UTF-8": (archive_of(SOUND, Entry(b"a/\xff\xfe.png", flags=0x800)), 0),
    "names with markup": (archive_of(SOUND, Entry("a/<script>alert(1)</script>.png"), Entry("a/[x](http://y).png")), 3),
    "hidden files": (archive_of(SOUND, Entry("a/.film.png"), Entry("__MACOSX/a/sound.png")), 1),
    "a hundred folders deep": (archive_of(SOUND, Entry("a/" + "b/" * 100 + "film.png")), 2),
    "200 MB of zeros": (archive_of(SOUND, Entry("a/zeros.png", body=zeros(200), size=200 << 20, crc=0)), 1),
    "200 MB that call themselves 100 bytes": (archive_of(SOUND, Entry("a/zeros.png", body=zeros(200), size=100)), 1),
    "100,000 members": (many(100_000), 0),
    "a count that lies": (archive_of(SOUND, count=60_000), 1),
    "no members": (archive_of(), 0),
    "a program before it": (archive_of(SOUND, before=b"MZ" * 500), 1),
    "a comment of 60,000 bytes": (archive_of(Entry("a/sound.png", comment=b"c" * 60_000)), 1),
    "only its end": (archive_of()[-22:], 0),
    "cut off": (archive_of(SOUND, SOUND)[:-40], 0),
    "a list that is none": (archive_of(SOUND).replace(b"PK\1\2", b"PK\1\3"), 0),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_uploaded_zip_gives_its_films_and_nothing_else(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, expected = ARCHIVES[kind]
    monkeypatch.chdir(tmp_path)
    before, began = listing(tmp_path), time.process_time()
    read = 0
    for source in sources_from_upload("7", "films.zip", data):
        assert ".." not in source.name.replace("\\", "/").split("/")
        assert not Path(source.name).is_absolute()
        try:
            read += Film.read(source.read()).width_px == 64
        except FilmError:
            continue
    assert read == expected
    assert time.process_time() - began < QUICK_S
    assert listing(tmp_path) == before


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_zip_as_a_dataset_gives_its_films_or_a_reason(kind: str, tmp_path: Path) -> None:
    data, expected = ARCHIVES[kind]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "films.zip").write_bytes(data)
    before, began = listing(tmp_path), time.process_time()
    read = 0
    try:
        dataset = Dataset.open(tmp_path / "home" / "films.zip")
        for i in range(min(5, len(dataset))):
            try:
                read += dataset.read(i).width_px == 64
            except FilmError:
                continue
    except CxrError:
        assert not read
    assert read <= expected
    assert time.process_time() - began < QUICK_S
    assert listing(tmp_path) == before


def listing(folder: Path) -> list[str]:
    """All files and folders under this one."""
    return sorted(str(path) for path in folder.rglob("*"))


def test_members_that_unpack_to_too_much_together_are_refused() -> None:
    body = zeros(150)
    data = archive_of(SOUND, *[Entry(f"a/{n}.png", body=body, size=150 << 20, crc=0) for n in range(40)])
    (source,) = sources_from_upload("7", "films.zip", data)
    with pytest.raises(FilmTooLarge):
        source.read()


def test_a_directory_that_would_fill_the_memory_is_refused_unread() -> None:
    with raises_code("dataset.too-many-files"):
        Archive(Path("films.zip"), io.BytesIO(many(50)), max_list_bytes=1000)
    assert Archive(Path("films.zip"), io.BytesIO(many(5)), max_list_bytes=1000).names()
