import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cxr.films.synthetic.phantom import FINDINGS, draw_phantom, draw_phantom_set
from tests.support.datasets import raises_code

ILL = FINDINGS[1:]


DrawnSet = tuple[Path, list[dict[str, str]]]


@pytest.fixture(scope="module")
def drawn_set(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    """The folder of 40 drawn films, and the rows of their manifest."""
    manifest = draw_phantom_set(tmp_path_factory.mktemp("set") / "phantoms", 40, seed=3, size_px=32)
    with manifest.open(newline="", encoding="utf-8") as file:
        return manifest.parent, list(csv.DictReader(file))


def halves(mask: np.ndarray) -> tuple[int, int]:
    """The pixels of the mask in the viewer's left and right half."""
    middle = mask.shape[1] // 2
    return mask[:, :middle].sum(), mask[:, middle:].sum()


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("size_px", [32, 150])
def test_a_phantom_is_a_gray_image_with_masks_of_the_given_size(finding: str, size_px: int) -> None:
    phantom = draw_phantom(finding, seed=1, size_px=size_px)
    assert phantom.finding == finding
    assert phantom.pixels.dtype == np.uint8
    assert phantom.pixels.shape == phantom.lungs.shape == phantom.opacity.shape == (size_px, size_px)
    assert phantom.lungs.dtype == phantom.opacity.dtype == np.bool_
    assert 0.1 < phantom.lungs.mean() < 0.5


def test_the_same_seed_draws_the_same_film() -> None:
    first, second, other = (draw_phantom("covid19", seed, 64) for seed in (5, 5, 6))
    assert (first.pixels == second.pixels).all()
    assert (first.opacity == second.opacity).all()
    assert (first.pixels != other.pixels).mean() > 0.5


def test_another_exposure_is_the_same_person_on_another_film() -> None:
    first, second = (draw_phantom("bacterial", 5, 128, exposure) for exposure in (0, 1))
    assert (first.pixels != second.pixels).mean() > 0.5
    assert first.opacity.sum() == pytest.approx(second.opacity.sum(), rel=0.35)


def test_an_unknown_finding_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="broken leg"):
        draw_phantom("broken leg", seed=0)


@pytest.mark.parametrize("seed", range(6))
def test_lungs_are_darker_than_the_tissue_around_them_and_air_is_darkest(seed: int) -> None:
    phantom = draw_phantom("normal", seed, 128)
    lungs = phantom.pixels[phantom.lungs].mean()
    rim = ndimage.binary_dilation(phantom.lungs, iterations=12) & ~ndimage.binary_dilation(phantom.lungs)
    assert np.percentile(phantom.pixels, 0.5) < lungs < phantom.pixels[rim].mean() - 30


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("finding", ILL)
def test_an_opacity_lies_in_the_lungs_and_brightens_them(finding: str, seed: int) -> None:
    ill, well = draw_phantom(finding, seed, 128), draw_phantom("normal", seed, 128)
    assert ill.opacity.mean() > 0.01
    assert not (ill.opacity & ~ndimage.binary_dilation(ill.lungs, iterations=2)).any()
    assert ill.pixels[ill.opacity].mean() > well.pixels[ill.opacity].mean() + 10


def test_a_healthy_film_has_no_opacity() -> None:
    assert not draw_phantom("normal", seed=2, size_px=64).opacity.any()


@pytest.mark.parametrize("seed", range(8))
def test_bacterial_is_on_one_side_and_the_others_are_on_both(seed: int) -> None:
    assert min(halves(draw_phantom("bacterial", seed, 64).opacity)) == 0
    assert min(halves(draw_phantom("viral", seed, 64).opacity)) > 0
    assert min(halves(draw_phantom("covid19", seed, 64).opacity)) > 0


def test_covid19_lies_further_out_than_viral() -> None:
    def distance_out(finding: str) -> float:
        columns = [np.nonzero(draw_phantom(finding, seed, 64).opacity)[1] for seed in range(8)]
        return np.abs(np.concatenate(columns) - 31.5).mean()

    assert distance_out("covid19") > distance_out("viral") + 4


@pytest.mark.parametrize("finding", ILL)
def test_nothing_outside_the_lungs_depends_on_the_finding(finding: str) -> None:
    ill, well = draw_phantom(finding, seed=9, size_px=128), draw_phantom("normal", seed=9, size_px=128)
    outside = ~ndimage.binary_dilation(well.lungs, iterations=4)
    assert (ill.lungs == well.lungs).all()
    assert (ill.pixels[outside] == well.pixels[outside]).all()


def test_brightness_outside_the_lungs_does_not_separate_the_classes(drawn_set: DrawnSet) -> None:
    folder, rows = drawn_set
    brightness: dict[str, list[float]] = {finding: [] for finding in FINDINGS}
    for row in rows:
        pixels = np.asarray(Image.open(folder / row["path"]))
        lungs = ndimage.binary_dilation(np.asarray(Image.open(folder / row["lungs"])) > 0)
        brightness[row["finding"]].append(pixels[~lungs].mean())
    within = np.mean([np.std(each) for each in brightness.values()])
    between = np.std([np.mean(each) for each in brightness.values()])
    assert between < within


def test_a_dataset_is_balanced_and_complete(drawn_set: DrawnSet) -> None:
    folder, rows = drawn_set
    assert len(rows) == 40
    assert [row["finding"] for row in rows[:8]] == [*FINDINGS, *FINDINGS]
    assert all(row["label"] == row["finding"] for row in rows)
    for row in rows:
        for column in ("path", "opacity", "lungs"):
            with Image.open(folder / row[column]) as image:
                assert image.size == (32, 32)
                assert image.mode == "L"
    columns = "path,label,finding,patient_id,split,view,sex,age,source,licence,opacity,lungs"
    assert ",".join(rows[0]) == columns
    assert {(row["source"], row["view"], row["licence"]) for row in rows} == {("phantom", "PA", "CC0 1.0")}
    assert {row["sex"] for row in rows} == {"F", "M"}
    assert all(18 <= int(row["age"]) <= 92 for row in rows)


def test_some_patients_have_two_films_of_one_finding_in_one_split(drawn_set: DrawnSet) -> None:
    folder, rows = drawn_set
    patients: dict[str, list[dict[str, str]]] = {row["patient_id"]: [] for row in rows}
    for row in rows:
        patients[row["patient_id"]].append(row)
    assert {len(films) for films in patients.values()} == {1, 2}
    for films in patients.values():
        for column in ("finding", "split", "sex", "age"):
            assert len({film[column] for film in films}) == 1
        assert len({(folder / film["path"]).read_bytes() for film in films}) == len(films)


def test_every_finding_is_in_both_splits(drawn_set: DrawnSet) -> None:
    _, rows = drawn_set
    assert {(row["finding"], row["split"]) for row in rows} == {
        (finding, split) for finding in FINDINGS for split in ("train", "test")
    }


def test_a_dataset_depends_on_its_seed_alone(tmp_path: Path) -> None:
    first, same, other = (
        draw_phantom_set(tmp_path / name, 8, seed=seed, size_px=16) for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    film = "images/phantom-00003.png"
    assert first.read_bytes() == same.read_bytes()
    assert (first.parent / film).read_bytes() == (same.parent / film).read_bytes()
    assert (first.parent / film).read_bytes() != (other.parent / film).read_bytes()


def test_progress_is_reported_for_each_film(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    draw_phantom_set(tmp_path, 8, size_px=16, progress=lambda done, films: steps.append((done, films)))
    assert steps == [(film, 8) for film in range(1, 9)]


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with raises_code("dataset.not-empty"):
        draw_phantom_set(tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with raises_code("dataset.not-empty"):
        draw_phantom_set(tmp_path / "file", 8)
    with raises_code("dataset.not-writable"):
        draw_phantom_set(tmp_path / "file" / "below", 8)


def test_too_few_films_are_refused(tmp_path: Path) -> None:
    with raises_code("dataset.too-few-films"):
        draw_phantom_set(tmp_path / "set", 7)
    assert not (tmp_path / "set").exists()


def test_a_test_share_that_leaves_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with raises_code("dataset.share"):
        draw_phantom_set(tmp_path / "set", 8, test_share=1.0)
