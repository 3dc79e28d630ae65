import json
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.datasets.quality import duplicates
from cxr.datasets.quality.audit import Audit, Finding, audit
from cxr.datasets.quality.duplicates import near_copies, thumbnails_on_disk
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom_set


def picture(seed: int, width: int = 160, height: int = 160) -> Image.Image:
    """Blobs of several sizes, other ones for each seed."""
    rng = np.random.default_rng(seed)
    grey = np.zeros((height, width), float)
    for cells, weight in ((5, 50), (12, 40), (30, 25)):
        coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
        grey += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray((60 + grey).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


class Shelf:
    """A folder with a manifest, film by film."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[str] = []

    def add(self, name: str, film: bytes | None = None, label: str = "normal", **known: str) -> None:
        if film is None:
            film = encoded(picture(zlib.crc32(name.encode())))
        if film:
            (self.folder / name).write_bytes(film)
        columns = ("patient_id", "split", "source", "view", "age")
        row = {"patient_id": name, **known}
        self.rows.append(",".join([name, label, *(row.get(column, "") for column in columns)]))

    def fill(self, count: int, label: str, **known: str) -> None:
        for i in range(count):
            self.add(f"{label}-{len(self.rows)}-{i}", label=label, **{"patient_id": f"{label}{i}", **known})

    def dataset(self) -> Dataset:
        text = "path,label,patient_id,split,source,view,age\n" + "\n".join(self.rows) + "\n"
        (self.folder / "manifest.csv").write_text(text)
        return Dataset.open(self.folder)

    def audit(self) -> Audit:
        return audit(self.dataset())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    folder = tmp_path / "set"
    folder.mkdir()
    return Shelf(folder)


def found(result: Audit, kind: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.kind == kind]


def only(result: Audit, kind: str) -> Finding:
    (finding,) = found(result, kind)
    return finding


def test_a_clean_dataset_has_no_findings(shelf: Shelf) -> None:
    for split in ("train", "test"):
        for label in ("normal", "viral"):
            for i in range(20):
                shelf.add(
                    f"{label}-{split}-{i}.png",
                    label=label,
                    split=split,
                    source=("A", "B")[i % 2],
                    view=("PA", "AP")[i % 2],
                    age=("8", "70")[i % 2],
                    patient_id=f"{label}{split}{i}",
                )
    result = shelf.audit()
    assert result.findings == ()
    assert result.worst == "info"
    assert (result.films, result.patients) == (80, 80)
    assert result.by_label == {"normal": 40, "viral": 40}
    assert result.by_split == {"train": 40, "test": 40}
    assert result.by_source == {"A": 40, "B": 40}


def test_one_source_and_one_label_raise_no_alarm(shelf: Shelf) -> None:
    shelf.fill(25, "normal", source="A", view="PA", age="40")
    assert shelf.audit().findings == ()


def test_broken_and_missing_films_are_named_with_the_reason(shelf: Shelf) -> None:
    shelf.fill(20, "normal")
    shelf.add("broken.png", encoded(picture(1))[:200])
    shelf.add("text.png", b"no picture")
    shelf.add("gone.png", b"")
    result = shelf.audit()
    reasons = {finding.paths[0]: finding.sentence for finding in found(result, "unreadable")}
    assert "damaged" in reasons["set/broken.png"]
    assert "neither an image" in reasons["set/text.png"]
    assert "missing" in reasons["set/gone.png"]
    assert result.worst == "error"


def test_copies_of_one_patient_in_one_split_are_told_once_as_info(shelf: Shelf) -> None:
    for patient in "ab":
        for film in "12":
            shelf.add(f"{patient}{film}.png", encoded(picture(ord(patient))), patient_id=patient)
    finding = only(shelf.audit(), "copies")
    assert finding.severity == "info"
    assert finding.paths == ("set/a1.png", "set/a2.png", "set/b1.png", "set/b2.png")


def test_copies_under_two_patients_are_a_warning(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(picture(1)))
    shelf.add("2.tif", encoded(picture(1), "TIFF"))
    shelf.add("3.png")
    finding = only(shelf.audit(), "copies")
    assert (finding.severity, finding.paths) == ("warning", ("set/1.png", "set/2.tif"))


def test_copies_across_splits_are_an_error(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(picture(1)), split="train")
    shelf.add("2.jpg", encoded(picture(1), "JPEG", quality=70), split="test")
    finding = only(shelf.audit(), "copies-across-splits")
    assert finding.severity == "error"
    assert "test and train" in finding.sentence


def test_the_dealt_role_counts_rather_than_the_manifests_split(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(picture(1)))
    shelf.add("2.png", encoded(picture(1)))
    dealt = shelf.dataset().with_column("role", ["train", "test"])
    assert only(audit(dealt), "copies-across-splits").severity == "error"


def test_copies_with_different_labels_are_an_error(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(picture(1)), label="normal")
    shelf.add("2.png", encoded(picture(1)), label="viral")
    finding = only(shelf.audit(), "copies-across-labels")
    assert finding.severity == "error"
    assert "normal and viral" in finding.sentence


def test_many_groups_of_copies_stay_readable(shelf: Shelf) -> None:
    for i in range(23):
        for film in "ab":
            shelf.add(f"{i}{film}.png", encoded(picture(i)))
    told = found(shelf.audit(), "copies")
    assert len(told) == 21
    assert len(told[-1].paths) == 6
    assert "3 more groups" in told[-1].sentence


def share_found(originals: list[Image.Image], copies: list[Image.Image]) -> float:
    """The share of the copies that are paired with their originals; no other pair may be found."""
    images = originals + copies
    with thumbnails_on_disk() as thumbnails:
        for image in images:
            thumbnails.append(Film.read(encoded(image)).fitted(64))
        pairs = {tuple(pair) for pair in near_copies(thumbnails, np.arange(len(images))).tolist()}
    true = {(i, i + len(originals)) for i in range(len(originals))}
    assert pairs <= true
    return len(pairs) / len(true)


def jpeg(image: Image.Image) -> Image.Image:
    return Image.open(BytesIO(encoded(image, "JPEG", quality=70)))


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((int(image.width * 0.7), int(image.height * 0.7)))


def brighter(image: Image.Image) -> Image.Image:
    return image.point([min(255, int(grey * 1.1)) for grey in range(256)])


def cut(image: Image.Image) -> Image.Image:
    return image.crop((1, 2, image.width - 2, image.height - 1))


@pytest.mark.parametrize("change", [jpeg, smaller, brighter, cut])
def test_changed_copies_are_found_and_other_films_are_not(change) -> None:
    originals = [picture(seed) for seed in range(40)]
    assert share_found(originals, [change(image) for image in originals]) >= 0.95


@pytest.mark.parametrize("change", [jpeg, smaller, brighter])
def test_changed_copies_of_real_films_are_found(change, films: Path) -> None:
    dataset = Dataset.open(films / "kermany")
    rows = np.random.default_rng(0).choice(len(dataset), 60, replace=False)
    originals = [Image.fromarray(dataset.read(int(i)).pixels) for i in rows]
    assert share_found(originals, [change(image) for image in originals]) >= 0.95


def test_copies_are_found_wherever_in_a_large_set_they_lie(monkeypatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 4)
    monkeypatch.setattr(duplicates, "COLUMNS", 6)
    originals = [picture(seed) for seed in range(15)]
    assert share_found(originals, [jpeg(image) for image in originals]) == 1


def test_thumbnails_are_given_back_in_any_order() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    with thumbnails_on_disk() as thumbnails:
        for row in rows[:3]:
            thumbnails.append(row)
        assert np.array_equal(thumbnails.take([2, 0, 2]), rows[[2, 0, 2]])
        thumbnails.append(rows[3])  # after a look at earlier ones
        assert len(thumbnails) == 4 and np.array_equal(thumbnails.take(range(4)), rows[:4])


def test_blank_films_are_copies_only_of_their_equals(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(Image.new("L", (160, 160), 0)), patient_id="p")
    shelf.add("2.png", encoded(Image.new("L", (160, 160), 0)), patient_id="p")
    shelf.add("3.png", encoded(Image.new("L", (160, 160), 9)))
    assert only(shelf.audit(), "copies").paths == ("set/1.png", "set/2.png")


def test_patients_in_two_splits_are_an_error(shelf: Shelf) -> None:
    shelf.add("1.png", patient_id="p", split="train")
    shelf.add("2.png", patient_id="p", split="test")
    shelf.add("3.png", patient_id="q", split="test")
    finding = only(shelf.audit(), "patients-across-splits")
    assert (finding.severity, finding.paths) == ("error", ("set/1.png", "set/2.png"))


def test_a_split_without_a_class_is_told(shelf: Shelf) -> None:
    shelf.add("1.png", split="train", label="viral")
    shelf.add("2.png", split="train")
    shelf.add("3.png", split="test")
    assert only(shelf.audit(), "split-without-label").sentence == "test has no film of viral."


def test_small_classes_and_imbalance_are_told(shelf: Shelf) -> None:
    shelf.fill(26, "normal")
    shelf.fill(19, "viral")
    shelf.fill(4, "covid19")
    result = shelf.audit()
    assert [finding.severity for finding in found(result, "small-class")] == ["error", "warning"]
    assert "normal has 6 times the films of covid19" in only(result, "imbalance").sentence


def test_five_times_the_films_is_no_strong_imbalance(shelf: Shelf) -> None:
    shelf.fill(25, "normal")
    shelf.fill(5, "viral")
    assert not found(shelf.audit(), "imbalance")


def test_films_without_patient_or_label_are_told(shelf: Shelf) -> None:
    shelf.add("1.png", patient_id="")
    shelf.add("2.png", label="")
    result = shelf.audit()
    assert "keep patients together" in only(result, "no-patients").sentence
    assert only(result, "no-label").paths == ("set/2.png",)


def test_very_small_films_are_told(shelf: Shelf) -> None:
    shelf.add("1.png", encoded(picture(1, 100, 160)))
    shelf.add("2.png", encoded(picture(2, 128, 160)))
    assert only(shelf.audit(), "small-films").paths == ("set/1.png",)


def test_a_class_of_other_sizes_shapes_and_formats_is_told(shelf: Shelf) -> None:
    for i in range(8):
        shelf.add(f"n{i}", encoded(picture(i, 160, 160 + i)))
        shelf.add(f"v{i}", encoded(picture(20 + i, 260, 200 + i), "JPEG"), label="viral")
    result = shelf.audit()
    assert "median 160 against 203.5" in only(result, "size-by-class").sentence
    assert found(result, "shape-by-class")
    assert "JPEG files" in only(result, "format-by-class").sentence or "PNG" in only(result, "format-by-class").sentence


def test_a_source_that_supplies_one_class_is_an_error_in_a_plain_sentence(shelf: Shelf) -> None:
    shelf.fill(12, "normal", source="clinic")
    shelf.fill(12, "viral", source="clinic")
    shelf.fill(10, "covid19", source="web")
    finding = only(shelf.audit(), "source-by-class")
    assert finding.severity == "error"
    assert finding.sentence == (
        "All covid19 films come from web, and no normal or viral films do: a model can tell them apart by the scanner."
    )


def test_a_source_that_mostly_goes_with_a_class_is_a_warning(shelf: Shelf) -> None:
    for label, clinic in (("normal", 17), ("viral", 3)):
        shelf.fill(clinic, label, source="clinic")
        shelf.fill(20 - clinic, label, source="web")
    finding = only(shelf.audit(), "source-by-class")
    assert finding.severity == "warning"
    assert "Cramer's V" in finding.sentence


def test_joined_datasets_without_sources_are_sources_themselves(tmp_path: Path) -> None:
    datasets = []
    for name, label in (("one", "normal"), ("other", "covid19")):
        (tmp_path / name).mkdir()
        shelf = Shelf(tmp_path / name)
        shelf.fill(6, label)
        datasets.append(shelf.dataset())
    result = audit(Dataset.join(datasets))
    assert result.by_source == {"one": 6, "other": 6}
    assert len(found(result, "source-by-class")) == 1


def test_views_and_ages_that_go_with_a_class_are_told_where_known(shelf: Shelf) -> None:
    shelf.fill(8, "normal", view="PA", age="6")
    shelf.fill(8, "viral", view="AP", age="061Y")
    shelf.fill(8, "other")
    result = shelf.audit()
    assert "views" in only(result, "view-by-class").sentence
    assert "children" in only(result, "age-by-class").sentence


def test_a_film_listed_twice_is_told(shelf: Shelf) -> None:
    shelf.add("1.png")
    shelf.add("1.png")
    assert only(shelf.audit(), "listed-twice").paths == ("set/1.png",)


def test_an_audit_becomes_json_gravest_finding_first(shelf: Shelf) -> None:
    shelf.add("1.png", patient_id="")
    shelf.add("2.png", b"")
    told = json.loads(json.dumps(shelf.audit().to_dict()))
    assert told["worst"] == "error"
    severities = [finding["severity"] for finding in told["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_films_are_counted_by_their_shorter_side_and_label(shelf: Shelf) -> None:
    for name, label, size in (("1", "normal", (128, 900)), ("2", "viral", (255, 300)), ("3", "normal", (127, 400))):
        shelf.add(f"{name}.png", encoded(picture(1, *size)), label=label)
    shelf.add("4.png", encoded(picture(4, 4000, 3072)), label="")
    shelf.add("5.png", b"")
    assert shelf.audit().by_size == {
        "below 128": {"normal": 1},
        "128 to 255": {"normal": 1, "viral": 1},
        "3072 and more": {"no label": 1},
    }


def test_progress_is_told_and_may_stop_the_audit(shelf: Shelf) -> None:
    shelf.fill(6, "normal")
    steps: list[tuple[int, int]] = []
    audit(shelf.dataset(), lambda done, films: steps.append((done, films)))
    assert steps == [(i, 6) for i in range(1, 7)]

    def stop(done: int, films: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(shelf.dataset(), stop)


def test_the_real_adult_films_hold_one_exact_copy(films: Path) -> None:
    result = audit(Dataset.open(films / "nih-adult"))
    assert [path.rsplit("/", 1)[1] for path in only(result, "copies").paths] == [
        "00002658_001.jpg",
        "00002658_002.jpg",
    ]
    assert result.worst == "info"


def test_a_drawn_set_has_no_copies_but_of_one_person(tmp_path: Path) -> None:
    draw_phantom_set(tmp_path / "drawn", 320, seed=4, size_px=128)
    assert audit(Dataset.open(tmp_path / "drawn")).worst == "info"
