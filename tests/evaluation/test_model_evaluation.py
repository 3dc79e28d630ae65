"""The evaluation of a registered model: on which films, and what is refused."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError, RegistryError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.copies import store_copies
from cxr.evaluation.dataset_curve import dataset_curve
from cxr.evaluation.model_evaluation import CHECKING_TRAINING_FILMS, audit_model, evaluate_model
from cxr.evaluation.scores import read_scores
from cxr.evaluation.shortcuts.audited_films import AuditSettings
from cxr.films.film import film_id
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.learning.film_selection import select
from cxr.registry import registry
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe

TWO: dict[str, object] = {"classes": ["normal", "covid19"]}


@pytest.fixture(scope="module")
def loose(phantoms, tmp_path_factory):
    """The drawn films under a manifest that places none of them in a split."""
    folder = shutil.copytree(phantoms, tmp_path_factory.mktemp("loose") / "loose")
    manifest = folder / "manifest.csv"
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False).assign(split="")
    table.to_csv(manifest, index=False)
    return folder


def silent(done, total, what=""):
    pass


@pytest.mark.parametrize(
    "data", [{}, TWO | {"draw": {"normal": 12, "covid19": 12}, "draw_test": 4}], ids=["dealt", "drawn"]
)
def test_of_a_dataset_of_its_training_a_model_is_evaluated_on_held_out_films_only(home, loose, data, tmp_path):
    carry_out(tiny_recipe(data=data, training={"epochs": 1}), [loose], stages=WITHOUT_INPUT_CHECK)
    tested = read_scores(registry.evaluation_path("tiny"))[lambda table: table["role"] == "test"]
    for place in (loose, shutil.copytree(loose, tmp_path / "renamed")):  # films are known wherever they lie
        judged = evaluate_model("tiny", [str(place)], None, silent)
        assert sorted(judged.scores["path"]) == sorted(tested["path"])
        assert judged.evaluation.n == len(tested)


def test_a_dataset_that_shares_one_film_with_the_training_is_evaluated_on_the_others(trained, phantoms, tmp_path):
    place = draw_phantom_set(tmp_path / "other", 40, seed=7, size_px=64).parent
    table = pd.read_csv(place / "manifest.csv", dtype=str, keep_default_na=False).assign(split="")
    table.to_csv(place / "manifest.csv", index=False)
    chosen, _ = select(registry.get_recipe("first"), Dataset.open(phantoms))
    used = chosen.table["path"][chosen.table["role"] == "train"].iloc[0]
    shared = table.iloc[3]
    shutil.copyfile(phantoms / used, place / shared["path"])
    judged = evaluate_model("first", [str(place)], None, silent)
    known = table["patient_id"] == shared["patient_id"]
    assert set(judged.scores["path"]) == set(table["path"][~known])
    assert judged.left_out[0].startswith(counted(int(known.sum()), "X-ray"))


def test_a_dataset_whose_name_is_a_number_is_known_again(home, phantoms, tmp_path):
    folder = shutil.copytree(phantoms, tmp_path / "2020")
    carry_out(tiny_recipe(training={"epochs": 1}), [folder], stages=WITHOUT_INPUT_CHECK)
    assert evaluate_model("tiny", [str(folder)], None, silent).evaluation.n == 40


def test_an_evaluation_reports_its_progress(trained, phantoms):
    said = []
    evaluate_model("first", [str(phantoms)], None, lambda *moved: said.append(moved))
    looking = [(done, 160, CHECKING_TRAINING_FILMS) for done in range(1, 161)]
    assert said == [*looking, (0, 40), (16, 40), (32, 40), (40, 40)]


def test_films_of_an_evaluation_are_known_by_their_bytes(trained, phantoms):
    scores = evaluate_model("first", [str(phantoms)], None, silent).scores
    assert scores["film"].tolist() == [film_id((phantoms / path).read_bytes()) for path in scores["path"]]


def with_two_copies_known(folder):
    """The films, of which the first two patients' are known as copies."""
    films = Dataset.open(folder)
    first = films.table.drop_duplicates("patient_id").index
    store_copies(films, [[int(first[0]), int(first[1])]])
    return films


def test_known_copies_are_one_patient_of_an_audit_for_shortcuts(trained, phantoms):
    films = with_two_copies_known(phantoms)
    audit = audit_model("first", [str(phantoms)], silent, settings=AuditSettings(heatmap_films=1, resamples=50))
    assert audit.measurements.patients == films.patients.nunique() - 1


def test_known_copies_are_one_patient_of_a_learning_curve(trained, phantoms):
    films = Dataset.open(phantoms)
    films = films.with_column("label", np.where(np.arange(len(films)) % 2, "viral", "normal"))
    store_copies(films, [list(range(1, len(films), 2))])
    with pytest.raises(DatasetError) as refused:
        dataset_curve("first", films, silent)
    assert refused.value.code == "dataset.too-few-labels"


def test_a_split_is_followed_literally(trained, phantoms):
    chosen, _ = select(registry.get_recipe("first"), Dataset.open(phantoms))
    for split in ("train", "val", "test"):
        scores = evaluate_model("first", [str(phantoms)], split, silent).scores
        assert set(scores["path"]) == set(chosen.table["path"][chosen.table["role"] == split])
    assert evaluate_model("first", [str(phantoms)], "all", silent).evaluation.n == 160


def test_a_dataset_without_usable_films_is_refused(home, phantoms, tmp_path):
    carry_out(tiny_recipe(data=TWO, training={"epochs": 1}), [phantoms], stages=WITHOUT_INPUT_CHECK)
    folder = shutil.copytree(phantoms, tmp_path / "viral")
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "viral"]
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(DatasetError) as refused:
        evaluate_model("tiny", [str(folder)], "all", silent)
    assert refused.value.code == "dataset.nothing-to-evaluate"


def test_a_dataset_without_readable_films_is_refused(trained, phantoms, tmp_path):
    folder = shutil.copytree(phantoms, tmp_path / "torn")
    for film in (folder / "images").iterdir():
        film.write_bytes(b"torn")
    with pytest.raises(DatasetError) as refused:
        evaluate_model("first", [str(folder)], None, silent)
    assert refused.value.code == "dataset.none-readable"


def test_without_a_model_nothing_is_evaluated(home, phantoms):
    with pytest.raises(RegistryError) as refused:
        evaluate_model(None, [str(phantoms)], None, silent)
    assert refused.value.code == "registry.no-model"
