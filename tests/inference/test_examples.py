"""The examples: real X-rays with reference, license and digest, which the default model was not trained on."""

import csv
import re
from pathlib import Path

import pytest

from cxr.core.paths import PROJECT, examples_dir
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.scores import read_films
from cxr.films.film import Film, film_id
from cxr.inference.batch import read_sources
from cxr.inference.examples import agrees, example_sources
from cxr.inference.loading import load_classifier
from cxr.inference.sources import Reference
from cxr.registry import default_model, registry
from tests.inference.test_sources import png
from tests.support.predictions import FOUR, predicted

EXAMPLES = PROJECT / "examples"
FREE = {"CC BY 4.0", "CC BY 3.0", "CC0", "CC BY-SA 4.0", "No restrictions"}
MAX_BYTES = 2_000_000


@pytest.fixture
def rows() -> list[dict[str, str]]:
    with (EXAMPLES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own examples and models."""
    monkeypatch.delenv("CXR_EXAMPLES")
    monkeypatch.setenv("CXR_HOME", str(PROJECT))


def test_each_example_names_its_license_author_and_digest(rows: list[dict[str, str]]) -> None:
    assert 12 <= len(rows) <= 24
    assert {row["licence"] for row in rows} <= FREE
    assert all(row["author"] and row["url"].startswith("https://") and row["source"] for row in rows)
    assert [film_id((EXAMPLES / row["path"]).read_bytes()) for row in rows] == [row["digest"] for row in rows]
    assert {path.name for path in (EXAMPLES / "images").iterdir()} == {Path(row["path"]).name for row in rows}
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) <= MAX_BYTES


def test_children_and_adults_normal_ones_and_each_finding_are_among_them(rows: list[dict[str, str]]) -> None:
    groups = {(row["label"], row["age_group"]) for row in rows}
    assert {("normal", "child"), ("normal", "adult")} <= groups
    assert {label for label, _ in groups} == {"normal", "bacterial", "viral", "covid19", "pneumonia"}


@pytest.mark.usefixtures("bundled")
def test_they_are_a_dataset_of_test_films_and_no_shipped_model_was_trained_on_them() -> None:
    dataset = Dataset.open(EXAMPLES)
    assert set(dataset.table["split"]) == {"test"}
    for card in registry.cards():
        films = read_films(registry.evaluation_path(card.name))
        known = films[films["film"].isin(dataset.table["digest"])]
        assert set(known["role"]) <= {"test"}


@pytest.mark.usefixtures("bundled")
def test_the_readme_names_the_examples_on_which_the_default_model_is_wrong() -> None:
    name = default_model.default_name()
    assert name is not None
    classifier = load_classifier(name)
    labels = LabelSpace(classifier.classes, classifier.card.groups)
    wrong = []
    for reading in read_sources(classifier, example_sources()):
        assert reading.prediction
        assert reading.source.reference
        assert not reading.rejected, reading.source.name
        if agrees(reading.prediction, labels, reading.source.reference) is False:
            wrong.append(Path(reading.source.name).stem)
    text = (EXAMPLES / "README.md").read_text("utf-8")
    named = text.partition("The default model is wrong on ")[2].partition(".\n")[0]
    assert sorted(re.findall(r"`(.+?)`", named)) == sorted(wrong)
    assert named.startswith(f"{len(wrong)} of them")


def test_by_default_the_examples_are_those_of_the_project_and_none_where_the_setting_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CXR_EXAMPLES")
    assert examples_dir() == EXAMPLES
    sources = example_sources()
    assert all(source.reference and not source.synthetic for source in sources)
    assert Film.read(sources[0].read()).width_px
    monkeypatch.setenv("CXR_EXAMPLES", "")
    assert examples_dir() is None
    assert example_sources() == []


def test_a_folder_of_ones_own_replaces_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(png())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_bytes(png())
    monkeypatch.setenv("CXR_EXAMPLES", str(tmp_path))
    (own,) = example_sources()
    assert (own.name, own.synthetic, own.reference, own.read()) == ("mine", False, None, png())
    (tmp_path / "manifest.csv").write_text("path,label\nmine,COVID-19\n../other.png,normal\n")
    (labeled,) = example_sources()
    assert labeled.reference == Reference("covid19", "", "")


@pytest.mark.parametrize(
    ("decision", "label", "indeterminate", "expected"),
    [
        ("viral", "viral", None, True),
        ("viral", "pneumonia", False, True),
        ("normal", "pneumonia", False, False),
        ("bacterial", "viral", False, False),
        ("viral", "viral", True, None),
        ("viral", "tuberculosis", False, None),
    ],
)
def test_a_prediction_agrees_with_a_reference_that_allows_its_class(
    decision: str, label: str, indeterminate: bool | None, expected: bool | None
) -> None:
    chosen = [float(name == decision) for name in FOUR.classes]
    prediction = predicted(FOUR, chosen, indeterminate=indeterminate)
    assert agrees(prediction, FOUR, Reference(label, "", "")) is expected


def test_examples_of_one_file_name_in_two_folders_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("n", "p"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "001.png").write_bytes(png())
    (tmp_path / "manifest.csv").write_text("path,label\nn/001.png,normal\np/001.png,bacterial\n")
    monkeypatch.setenv("CXR_EXAMPLES", str(tmp_path))
    found = example_sources()
    assert len({source.key for source in found}) == len(found) == 2
