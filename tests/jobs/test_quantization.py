"""A model gets an int8 engine from its own training, with a record of what it does; archives use it where asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import CxrError, DatasetError, RegistryError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.scores import read_films
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.inference.archive import parts
from cxr.inference.archive.overview import SUMMARY
from cxr.inference.engines.int8 import INT8, check_int8_usable
from cxr.inference.loading import load_classifier
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import ReadParameters
from cxr.jobs.quantization import evenly_over_sources, quantize_model
from cxr.jobs.read import reading_job
from cxr.jobs.run import Run
from cxr.registry import registry
from cxr.registry.verification import load_verified
from tests.support.int8 import needs_int8, record

pytestmark = pytest.mark.usefixtures("trained")
FILMS = 24


def quiet(done: int, total: int, what: str = "") -> None: ...


def test_the_same_films_are_chosen_wherever_they_are_and_evenly_over_sources(phantoms: Path) -> None:
    films = Dataset.open(phantoms)
    sources = np.array(["few" if i < 5 else "many" for i in range(len(films))])
    films = films.with_column("film", [f"{i * 7919 % 160:03d}" for i in range(len(films))]).with_column(
        "source", sources
    )
    chosen = evenly_over_sources(films, 20)
    assert chosen.table["source"].value_counts().to_dict() == {"few": 5, "many": 15}
    turned = replace(films, table=films.table.iloc[::-1].reset_index(drop=True))
    assert set(evenly_over_sources(turned, 20).table["film"]) == set(chosen.table["film"])
    assert len(evenly_over_sources(films, 1000)) == len(films)


@needs_int8
def test_an_engine_is_made_of_training_films_and_read_with_where_it_is_asked_for(
    phantoms: Path, tmp_path: Path
) -> None:
    titles: dict[str, tuple[int, int]] = {}
    card = quantize_model(
        "first", [str(phantoms)], lambda done, total, what="": titles.update({what: (done, total)}), FILMS
    )
    found = card.int8
    assert found is not None
    assert sum(found.films.values()) == FILMS
    assert (found.convolutions, found.unquantized) == (2, ("block1_conv1",))
    assert all(done == total for done, total in titles.values())
    roles = read_films(registry.evaluation_path("first"))["role"].value_counts()
    assert {role: one.films for role, one in found.agreement.items()} == {"val": roles["val"], "test": roles["test"]}
    for one in found.agreement.values():
        assert 0 < one.change_99 <= one.largest_change < 0.01
        assert one.auc_difference is not None
        assert abs(one.auc_difference.value) < 0.1  # the model is at chance
    first = {name: array.copy() for name, array in (load_verified("first").int8 or {}).items()}

    out = tmp_path / "out"
    execute(reading(phantoms / "images", out, precision=INT8))
    rows = parts.read_part(out, 0).to_pylist()
    assert json.loads((out / SUMMARY).read_text())["precision"] == INT8
    assert parts.facts_of(out)["precision"] == INT8
    own = tmp_path / "own"
    execute(reading(phantoms / "images", own))
    changes = [
        abs(a["positive_probability"] - b["positive_probability"])
        for a, b in zip(rows, parts.read_part(own, 0).to_pylist(), strict=True)
    ]
    assert 0 < max(changes) < 0.01
    with pytest.raises(CxrError) as error:  # one folder has one precision
        execute(reading(phantoms / "images", own, precision=INT8))
    assert error.value.code == "run.other-readings"

    quantize_model("first", [str(phantoms)], quiet, FILMS)  # again: the same numbers
    for name, array in (load_verified("first").int8 or {}).items():
        np.testing.assert_allclose(array, first[name], rtol=1e-4, atol=1e-5)


def reading(source: Path, out: Path, **changes: Any) -> Run:
    job = reading_job(registry.get_card("first"), str(source), str(out))
    parameters = replace(job.parameters_as(ReadParameters), part_rows=1000, **changes)
    return run_store.create(Job(parameters, job.inputs), "read-first")


@needs_int8
def test_films_that_the_model_was_not_trained_on_make_no_engine(tmp_path: Path) -> None:
    draw_phantom_set(tmp_path / "others", 8, seed=77, size_px=64)
    with pytest.raises(DatasetError) as error:
        quantize_model("first", [str(tmp_path / "others")], quiet)
    assert error.value.code == "dataset.no-training-images"


def test_int8_is_refused_before_anything_is_read_without_an_engine_or_with_one_of_other_weights(
    phantoms: Path, tmp_path: Path
) -> None:
    card = registry.get_card("first")
    with pytest.raises(RegistryError) as error:
        reading_job(card, str(phantoms), str(tmp_path / "out"), precision="int8")
    assert error.value.code == "registry.no-int8"
    with pytest.raises(RegistryError) as error:
        load_classifier("first", INT8)
    assert error.value.code == "registry.no-int8"
    other = card.model_copy(update={"int8": record("0" * 64), "int8_sha256": "0" * 64})
    with pytest.raises(RegistryError) as error:
        check_int8_usable(other)
    assert error.value.code == "registry.int8-other-weights"


def test_a_computer_without_openvino_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_OPENVINO", "off")
    card = registry.get_card("first")
    with pytest.raises(CxrError) as error:
        check_int8_usable(card.model_copy(update={"int8": record(card.weights_sha256), "int8_sha256": "0" * 64}))
    assert error.value.code == "error.no-openvino"
    with pytest.raises(CxrError) as error:
        quantize_model("first", ["/nowhere"], quiet)
    assert error.value.code == "error.no-openvino"
