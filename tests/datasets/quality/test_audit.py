import json
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.archive import MISSING
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import Audit, audit
from cxr.datasets.quality.duplicates import BLOCK, COLUMNS, near_copies, thumbnails_on_disk
from cxr.datasets.quality.finding import Finding, FindingCode, Severity
from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.read_failure import ReadFailure


def image_of(seed: int, width: int = 160, height: int = 160) -> Image.Image:
    """An image of blobs of several sizes, different for each seed."""
    rng = np.random.default_rng(seed)
    gray = np.zeros((height, width), float)
    for cells, weight in ((5, 50), (12, 40), (30, 25)):
        coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
        gray += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray((60 + gray).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


Change = Callable[[Image.Image], Image.Image]


class Folder:
    """A folder with a manifest, built film by film."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[str] = []

    def add(self, name: str, film: bytes | None = None, label: str = "normal", **known: str) -> None:
        if film is None:
            film = encoded(image_of(zlib.crc32(name.encode())))
        if film:
            (self.folder / name).write_bytes(film)
        columns = ("patient_id", "split", "source", "view", "age")
        row = {"patient_id": name, **known}
        self.rows.append(",".join([name, label, *(row.get(column, "") for column in columns)]))

    def fill(self, count: int, label: str, **known: str) -> None:
        for i in range(count):
            self.add(f"{label}-{len(self.rows)}-{i}", None, label, **{"patient_id": f"{label}{i}", **known})

    def dataset(self) -> Dataset:
        text = "path,label,patient_id,split,source,view,age\n" + "\n".join(self.rows) + "\n"
        (self.folder / "manifest.csv").write_text(text)
        return Dataset.open(self.folder)

    def audit(self) -> Audit:
        return audit(self.dataset())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder."""
    path = tmp_path / "set"
    path.mkdir()
    return Folder(path)


def findings(result: Audit, code: FindingCode) -> list[Finding]:
    """The findings of this code."""
    return [finding for finding in result.findings if finding.code is code]


def only(result: Audit, code: FindingCode) -> Finding:
    """The only finding of this code."""
    (finding,) = findings(result, code)
    return finding


def test_a_clean_dataset_has_no_findings(folder: Folder) -> None:
    for split in ("train", "test"):
        for label in ("normal", "viral"):
            for i in range(20):
                folder.add(
                    f"{label}-{split}-{i}.png",
                    label=label,
                    split=split,
                    source=("A", "B")[i % 2],
                    view=("PA", "AP")[i % 2],
                    age=("8", "70")[i % 2],
                    patient_id=f"{label}{split}{i}",
                )
    result = folder.audit()
    assert result.findings == ()
    assert result.worst == "info"
    assert (result.films, result.patients) == (80, 80)
    assert result.by_label == {"normal": 40, "viral": 40}
    assert result.by_split == {"train": 40, "test": 40}
    assert result.by_source == {"A": 40, "B": 40}


def test_a_single_source_and_label_give_no_finding(folder: Folder) -> None:
    folder.fill(25, "normal", source="A", view="PA", age="40")
    assert folder.audit().findings == ()


def test_damaged_and_missing_films_are_listed_with_the_reason(folder: Folder) -> None:
    folder.fill(20, "normal")
    folder.add("broken.png", encoded(image_of(1))[:200])
    folder.add("text.png", b"no image")
    folder.add("gone.png", b"")
    result = folder.audit()
    reasons = {finding.paths[0]: finding.sentence for finding in findings(result, FindingCode.UNREADABLE)}
    assert ReadFailure.DAMAGED_IMAGE.sentence in reasons["set/broken.png"]
    assert ReadFailure.NOT_AN_IMAGE.sentence in reasons["set/text.png"]
    assert MISSING in reasons["set/gone.png"]
    assert result.worst == "error"


def test_copies_of_one_patient_are_a_single_finding_for_information(folder: Folder) -> None:
    for patient in "ab":
        for film in "12":
            folder.add(f"{patient}{film}.png", encoded(image_of(ord(patient))), patient_id=patient)
    finding = only(folder.audit(), FindingCode.COPIES)
    assert finding.severity == Severity.INFO
    assert finding.paths == ("set/a1.png", "set/a2.png", "set/b1.png", "set/b2.png")


def test_copies_under_two_patients_are_a_warning(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1)))
    folder.add("2.tif", encoded(image_of(1), "TIFF"))
    folder.add("3.png")
    finding = only(folder.audit(), FindingCode.COPIES_ACROSS_PATIENTS)
    assert (finding.severity, finding.paths) == (Severity.WARNING, ("set/1.png", "set/2.tif"))


def test_copies_across_splits_are_an_error(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1)), split="train")
    folder.add("2.jpg", encoded(image_of(1), "JPEG", quality=70), split="test")
    finding = only(folder.audit(), FindingCode.COPIES_ACROSS_SPLITS)
    assert finding.severity == Severity.ERROR
    assert "test and train" in finding.sentence


def test_the_assigned_role_counts_rather_than_the_manifests_split(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1)))
    folder.add("2.png", encoded(image_of(1)))
    assigned = folder.dataset().with_column("role", ["train", "test"])
    assert only(audit(assigned), FindingCode.COPIES_ACROSS_SPLITS)


def test_copies_with_different_labels_are_an_error(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1)), label="normal")
    folder.add("2.png", encoded(image_of(1)), label="viral")
    finding = only(folder.audit(), FindingCode.COPIES_ACROSS_LABELS)
    assert finding.severity == Severity.ERROR
    assert "normal and viral pneumonia" in finding.sentence


def test_many_groups_of_copies_stay_readable(folder: Folder) -> None:
    for i in range(23):
        for film in "ab":
            folder.add(f"{i}{film}.png", encoded(image_of(i)))
    listed = findings(folder.audit(), FindingCode.COPIES_ACROSS_PATIENTS)
    assert len(listed) == 21
    assert len(listed[-1].paths) == 6
    assert "3 more groups" in listed[-1].sentence


def share_paired(
    originals: list[Image.Image], copies: list[Image.Image], block: int = BLOCK, columns: int = COLUMNS
) -> float:
    """The share of the copies that are paired with their originals; no other pair may be."""
    images = originals + copies
    with thumbnails_on_disk() as thumbnails:
        for image in images:
            thumbnails.append(Film.read(encoded(image)).fitted(64))
        pairs = {tuple(pair) for pair in near_copies(thumbnails, np.arange(len(images)), block, columns).tolist()}
    true = {(i, i + len(originals)) for i in range(len(originals))}
    assert pairs <= true
    return len(pairs) / len(true)


def jpeg(image: Image.Image) -> Image.Image:
    return Image.open(BytesIO(encoded(image, "JPEG", quality=70)))


def smaller(image: Image.Image) -> Image.Image:
    return image.resize((int(image.width * 0.7), int(image.height * 0.7)))


def brighter(image: Image.Image) -> Image.Image:
    return image.point([min(255, int(gray * 1.1)) for gray in range(256)])


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((1, 2, image.width - 2, image.height - 1))


@pytest.mark.parametrize("change", [jpeg, smaller, brighter, cropped])
def test_changed_copies_are_found_and_other_films_are_not(change: Change) -> None:
    originals = [image_of(seed) for seed in range(40)]
    assert share_paired(originals, [change(image) for image in originals]) >= 0.95


@pytest.fixture(scope="module")
def real_images(films: Path) -> list[Image.Image]:
    """Forty real X-rays of one dataset, at most 1,000 pixels wide."""
    dataset = Dataset.open(films / "kermany")
    rows = np.random.default_rng(0).choice(len(dataset), 40, replace=False)
    images = [Image.fromarray(dataset.read(int(i)).pixels) for i in rows]
    for image in images:
        image.thumbnail((1000, 1000))
    return images


@pytest.mark.parametrize("change", [jpeg, smaller, brighter])
def test_changed_copies_of_real_films_are_found(change: Change, real_images: list[Image.Image]) -> None:
    assert share_paired(real_images, [change(image) for image in real_images]) >= 0.95


def test_copies_are_found_wherever_they_are_in_a_large_set() -> None:
    originals = [image_of(seed) for seed in range(15)]
    assert share_paired(originals, [jpeg(image) for image in originals], block=4, columns=6) == 1


def test_thumbnails_are_returned_in_any_order() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    with thumbnails_on_disk() as thumbnails:
        for row in rows[:3]:
            thumbnails.append(row)
        assert np.array_equal(thumbnails.take([2, 0, 2]), rows[[2, 0, 2]])
        thumbnails.append(rows[3])  # after reading earlier ones
        assert len(thumbnails) == 4
        assert np.array_equal(thumbnails.take(range(4)), rows[:4])


def test_a_blank_image_is_a_copy_only_of_an_equal_one(folder: Folder) -> None:
    folder.add("1.png", encoded(Image.new("L", (160, 160), 0)), patient_id="p")
    folder.add("2.png", encoded(Image.new("L", (160, 160), 0)), patient_id="p")
    folder.add("3.png", encoded(Image.new("L", (160, 160), 9)))
    assert only(folder.audit(), FindingCode.COPIES).paths == ("set/1.png", "set/2.png")


def test_patients_in_two_splits_are_an_error(folder: Folder) -> None:
    folder.add("1.png", patient_id="p", split="train")
    folder.add("2.png", patient_id="p", split="test")
    folder.add("3.png", patient_id="q", split="test")
    finding = only(folder.audit(), FindingCode.PATIENTS_ACROSS_SPLITS)
    assert (finding.severity, finding.paths) == (Severity.ERROR, ("set/1.png", "set/2.png"))


def test_a_split_without_a_class_is_a_finding(folder: Folder) -> None:
    folder.add("1.png", split="train", label="viral")
    folder.add("2.png", split="train")
    folder.add("3.png", split="test")
    assert only(folder.audit(), FindingCode.SPLIT_WITHOUT_LABEL).sentence == (
        FindingCode.SPLIT_WITHOUT_LABEL.template.format(split="test", labels="viral pneumonia")
    )


def test_small_classes_and_imbalance_are_findings(folder: Folder) -> None:
    folder.fill(26, "normal")
    folder.fill(19, "viral")
    folder.fill(4, "covid19")
    result = folder.audit()
    assert len(only(result, FindingCode.CLASS_TOO_SMALL).paths) == 4
    assert len(only(result, FindingCode.SMALL_CLASS).paths) == 19
    assert "6 times as many X-rays as COVID-19 (26 vs 4)" in only(result, FindingCode.IMBALANCE).sentence


def test_five_times_as_many_films_are_no_imbalance(folder: Folder) -> None:
    folder.fill(25, "normal")
    folder.fill(5, "viral")
    assert not findings(folder.audit(), FindingCode.IMBALANCE)


def test_films_without_patient_or_label_are_findings(folder: Folder) -> None:
    folder.add("1.png", patient_id="")
    folder.add("2.png", label="")
    result = folder.audit()
    assert only(result, FindingCode.NO_PATIENTS).severity == Severity.INFO
    assert only(result, FindingCode.NO_LABEL).paths == ("set/2.png",)


def test_very_small_films_are_a_single_finding(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1, 100, 160)))
    folder.add("2.png", encoded(image_of(2, 128, 160)))
    result = folder.audit()
    assert only(result, FindingCode.SMALL_FILMS).paths == ("set/1.png",)
    assert not findings(result, FindingCode.IMAGE_WARNING)


def test_films_with_a_warning_are_a_finding_for_each_warning(folder: Folder) -> None:
    folder.add("1.png", encoded(image_of(1, 400, 160)))
    folder.add("2.png", encoded(image_of(2, 400, 160)))
    finding = only(folder.audit(), FindingCode.IMAGE_WARNING)
    assert finding.paths == ("set/1.png", "set/2.png")
    assert FilmWarning.ELONGATED.sentence in finding.sentence


def test_sizes_shapes_and_formats_that_separate_a_class_are_findings(folder: Folder) -> None:
    for i in range(8):
        folder.add(f"n{i}", encoded(image_of(i, 160, 160 + i)))
        folder.add(f"v{i}", encoded(image_of(20 + i, 260, 200 + i), "JPEG"), label="viral")
    result = folder.audit()
    assert "median 160 vs 203.5" in only(result, FindingCode.SIZE_BY_CLASS).sentence
    assert findings(result, FindingCode.SHAPE_BY_CLASS)
    assert " files" in only(result, FindingCode.FORMAT_BY_CLASS).sentence


def test_a_source_that_supplies_one_class_is_an_error(folder: Folder) -> None:
    folder.fill(12, "normal", source="clinic")
    folder.fill(12, "viral", source="clinic")
    folder.fill(10, "covid19", source="web")
    finding = only(folder.audit(), FindingCode.SOURCE_BY_CLASS)
    assert finding.severity == Severity.ERROR
    values = {"share": "100%", "label": "COVID-19", "value": "web", "rest": "0%"}
    assert finding.sentence == FindingCode.SOURCE_BY_CLASS.template.format(**values, others="normal or viral pneumonia")


def test_a_source_that_is_associated_with_a_class_is_a_warning(folder: Folder) -> None:
    for label, clinic in (("normal", 17), ("viral", 3)):
        folder.fill(clinic, label, source="clinic")
        folder.fill(20 - clinic, label, source="web")
    assert only(folder.audit(), FindingCode.SOURCE_ASSOCIATED).severity == Severity.WARNING


def test_joined_datasets_without_sources_are_sources_themselves(tmp_path: Path) -> None:
    datasets = []
    for name, label in (("one", "normal"), ("other", "covid19")):
        (tmp_path / name).mkdir()
        folder = Folder(tmp_path / name)
        folder.fill(6, label)
        datasets.append(folder.dataset())
    result = audit(Dataset.join(datasets))
    assert result.by_source == {"one": 6, "other": 6}
    assert len(findings(result, FindingCode.SOURCE_BY_CLASS)) == 1


def test_views_and_ages_that_separate_a_class_are_findings_where_known(folder: Folder) -> None:
    folder.fill(8, "normal", view="PA", age="6")
    folder.fill(8, "viral", view="AP", age="061Y")
    folder.fill(8, "other")
    result = folder.audit()
    assert " views" in only(result, FindingCode.VIEW_BY_CLASS).sentence
    assert "children" in only(result, FindingCode.AGE_BY_CLASS).sentence


def test_a_film_listed_twice_is_a_finding(folder: Folder) -> None:
    folder.add("1.png")
    folder.add("1.png")
    assert only(folder.audit(), FindingCode.LISTED_TWICE).paths == ("set/1.png",)


def test_an_audit_becomes_json_with_the_most_severe_finding_first(folder: Folder) -> None:
    folder.add("1.png", patient_id="")
    folder.add("2.png", b"")
    written = json.loads(json.dumps(folder.audit().to_dict()))
    assert written["worst"] == "error"
    severities = [finding["severity"] for finding in written["findings"]]
    assert all(list(finding) == ["kind", "severity", "sentence", "paths"] for finding in written["findings"])
    assert [finding["kind"] for finding in written["findings"]] == ["unreadable", "class-too-small", "no-patients"]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_films_are_counted_by_their_shorter_side_and_label(folder: Folder) -> None:
    for name, label, size in (("1", "normal", (128, 900)), ("2", "viral", (255, 300)), ("3", "normal", (127, 400))):
        folder.add(f"{name}.png", encoded(image_of(1, *size)), label=label)
    folder.add("4.png", encoded(Image.new("L", (4000, 3072))), label="")
    folder.add("5.png", b"")
    assert folder.audit().by_size == {
        "below 128": {"normal": 1},
        "128 to 255": {"normal": 1, "viral": 1},
        "3072 and more": {"no label": 1},
    }


def test_progress_is_reported_and_may_stop_the_audit(folder: Folder) -> None:
    folder.fill(6, "normal")
    steps: list[tuple[int, int]] = []
    audit(folder.dataset(), lambda done, films: steps.append((done, films)))
    assert steps == [(i, 6) for i in range(1, 7)]

    def stop(done: int, films: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(folder.dataset(), stop)


def test_the_real_adult_films_hold_one_exact_copy(films: Path) -> None:
    result = audit(Dataset.open(films / "nih-adult"))
    assert [path.rsplit("/", 1)[1] for path in only(result, FindingCode.COPIES).paths] == [
        "00002658_001.jpg",
        "00002658_002.jpg",
    ]
    assert result.worst == Severity.INFO


def test_drawn_films_of_different_patients_are_no_copies(phantoms: Path) -> None:
    result = audit(Dataset.open(phantoms))
    assert {finding.code for finding in result.findings} <= {FindingCode.SMALL_FILMS, FindingCode.COPIES}
