"""Ids of X-rays in exported score tables: salted, and still recognized by whoever has the X-ray."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.evaluation.reader_study.case_set import roles_in_training as roles_of_cases
from cxr.evaluation.scores import read_films
from cxr.evaluation.stored_evaluations import held_out_scores, store_evaluation
from cxr.evaluation.training_films import roles_in_training
from cxr.jobs.leakage import leakage_warnings
from cxr.registry import package, registry
from cxr.registry.card import Card, ModelDraft
from cxr.registry.film_ids import new_salt, recognized, salted
from tests.support.command_line import Cxr
from tests.support.small_models import random_arrays, small_recipe

CLASSES = ("normal", "bacterial", "viral")
IDS = [hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(30)]
ROLES = ["train"] * 10 + ["val"] * 10 + ["test"] * 10


def table() -> str:
    rows = [
        f"set,{number}.png,{number},{film},{CLASSES[number % 3]},{role}," + ("0.2,0.3,0.5" if role != "train" else ",,")
        for number, (film, role) in enumerate(zip(IDS, ROLES, strict=True))
    ]
    header = "dataset,path,patient,film,label,role," + ",".join(f"p_{name}" for name in CLASSES)
    return "\n".join([header, *rows, ""])


@pytest.fixture
def local(home: Path) -> Card:
    recipe, films = small_recipe(), {"test": {"normal": 10}}
    draft = ModelDraft(name="local", classes=CLASSES, films=films)
    return registry.store(registry.NewModel(draft, recipe, random_arrays(recipe), table()))


@pytest.fixture
def guest(local: Card, tmp_path: Path) -> Card:
    return package.import_model(package.export_model("local", tmp_path / "a.zip"), "guest")


def test_an_id_is_salted_once_and_never_the_same_for_two_salts() -> None:
    salts = [new_salt() for _ in range(100)]
    assert len(set(salts)) == 100
    ids = {salted(IDS[0], salt) for salt in salts}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{16}", film) for film in ids)
    once = salted(IDS[0], salts[0])
    assert salted(once, salts[1]) == once
    assert salted("", salts[0]) == ""


def test_salted_ids_of_known_films_are_recognized_and_others_are_not() -> None:
    salt = new_salt()
    ids = ["", IDS[0], salted(IDS[1], salt), salted(IDS[2], new_salt()), salted(IDS[3], salt)]
    assert recognized(ids, IDS[:3]) == ["", IDS[0], IDS[1], IDS[2], ids[4]]
    assert recognized(IDS, []) == IDS


def test_an_exported_model_names_no_film_by_its_digest_unless_asked(local: Card, tmp_path: Path) -> None:
    first, second, plain = (
        package.export_model("local", tmp_path / "1.zip"),
        package.export_model("local", tmp_path / "2.zip"),
        package.export_model("local", tmp_path / "3.zip", film_ids=True),
    )
    films = []
    for number, path in enumerate((first, second, plain)):
        registry_name = f"guest-{number}"
        package.import_model(path, registry_name)
        films.append(set(read_films(registry.evaluation_path(registry_name))["film"]))
    assert films[2] == set(IDS)
    assert not films[0] & films[1]
    text = b"".join(path.read_bytes() for path in (registry.model_folder("guest-0")).iterdir())
    assert not [film for film in IDS if film.encode() in text]
    assert set(read_films(registry.evaluation_path("local"))["film"]) == set(IDS)


def test_the_command_line_exports_them_with_a_flag(local: Card, tmp_path: Path, cxr: Cxr) -> None:
    for flag, plain in (([], 0), (["--film-ids"], 30)):
        path = tmp_path / f"{plain}.zip"
        assert cxr("models", "export", "local", path, *flag)[0] == 0
        package.import_model(io.BytesIO(path.read_bytes()), f"guest-{plain}")
        films = read_films(registry.evaluation_path(f"guest-{plain}"))["film"]
        assert len(set(films) & set(IDS)) == plain


def test_the_roles_of_an_imported_model_s_training_are_still_known(local: Card, guest: Card) -> None:
    asked = ["", *IDS[5:25], "0" * 16]
    assert roles_in_training("guest", asked) == ["", *ROLES[5:25], ""] == roles_in_training("local", asked)


@pytest.mark.parametrize("order", [1, -1])
def test_a_film_in_several_roles_has_the_strictest_wherever_it_is_in_the_table(local: Card, order: int) -> None:
    lines = table().splitlines()
    copies = [lines[1], lines[1].replace(",train,,,", ",test,0.2,0.3,0.5"), lines[1].replace(",train,,,", ",val,1,0,0")]
    registry.evaluation_path("local").write_text("\n".join([lines[0], *copies[::order], ""]))
    assert roles_in_training("local", IDS[:1]) == ["train"] == roles_of_cases("local")(IDS[:1])


def test_an_export_of_an_imported_model_keeps_its_ids(guest: Card, tmp_path: Path) -> None:
    package.import_model(package.export_model("guest", tmp_path / "b.zip", film_ids=True), "third")
    assert roles_in_training("third", IDS) == ROLES


def test_training_on_from_an_imported_model_warns_of_films_that_it_was_trained_on(guest: Card) -> None:
    trunk = {"backbone": "tiny", "weights": "shelf:guest"}
    recipe = small_recipe().model_copy(update={"trunk": small_recipe().trunk.model_copy(update=trunk)})
    scores = pd.DataFrame({"film": [*IDS[:3], IDS[20]], "role": "test"})
    (warning,) = leakage_warnings(recipe, scores)
    assert (warning.code, warning.count) == ("parent-model", 3)


def test_a_film_evaluated_here_again_counts_once(guest: Card) -> None:
    films = read_films(registry.evaluation_path("local"))
    again = films[films["role"] == "test"].head(4).assign(role="")
    store_evaluation(guest, "set", None, again)
    scores = held_out_scores(guest)
    assert len(scores) == 10
    assert set(IDS) & set(scores["film"]) == set(again["film"])


@pytest.mark.parametrize("order", [("local", "guest"), ("guest", "local")])
def test_a_local_and_an_imported_model_are_compared_on_the_same_films(
    local: Card, guest: Card, order: tuple[str, str]
) -> None:
    def scores(name: str) -> ModelScores:
        films = read_films(registry.evaluation_path(name))
        return ModelScores(name, films[films["role"] == "test"], LabelSpace(CLASSES), 0.5)

    comparison = compare_scores(scores(order[0]), scores(order[1]), resamples=20)
    assert (comparison.n, comparison.left_out) == (10, 0)


def test_a_table_of_an_older_export_is_read_as_it_is(local: Card, tmp_path: Path) -> None:
    make: Callable[[], Path] = lambda: package.export_model("local", tmp_path / "old.zip", film_ids=True)  # noqa: E731
    package.import_model(make(), "old")
    assert roles_in_training("old", IDS) == ROLES
