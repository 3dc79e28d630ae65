"""The gate: taught with a few drawn films and a trunk of a few filters, it tells what a model may be asked about."""

import time

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError, RegistryError
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.films.synthetic.non_xrays import KINDS as DRAWN_KINDS
from cxr.films.synthetic.non_xrays import draw_non_xray
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.input_check.input_check import FRONTAL, KINDS, LATERAL, NO_FILM, InputCheck
from cxr.inference.input_check.training_data import (
    FILMS,
    HELD_OUT,
    InputCheckExamples,
    collect_examples,
    out_of_scope_films,
)
from cxr.registry.weights_file import load_arrays, save_arrays

SIZE_PX = 32


def silent(done, total):
    pass


def none_of(dataset):
    return dataset.with_column("kind", "").where(np.zeros(len(dataset), bool))


@pytest.fixture(scope="module")
def look():
    """What the trunk of a fresh network makes of fitted films."""
    from cxr.learning.network import build
    from tests.support.training import tiny_recipe

    trunk = build(tiny_recipe(), 2).maps_and_features
    return lambda films: np.asarray(trunk.predict_on_batch(films[..., None].astype(np.float32))[1])


@pytest.fixture(scope="module")
def dataset(phantoms):
    """Drawn films: 100 to be trained on, 40 for validation, 20 for test."""
    found = Dataset.open(phantoms)
    roles = np.repeat(["train", "val", "test"], [100, 40, len(found) - 140])
    return found.with_column("role", np.random.default_rng(0).permutation(roles))


@pytest.fixture(scope="module")
def lesson(look, dataset):
    return collect_examples(look, SIZE_PX, dataset, none_of(dataset), 0, silent)


@pytest.fixture(scope="module")
def gate(lesson):
    return InputCheck.fit(lesson)


def judged(gate, look, film):
    return gate.check(look(film.fitted(SIZE_PX)[None])[0], film, SIZE_PX)


def film_of(pixels):
    return Film(pixels=np.ascontiguousarray(pixels), format="PNG", bits=8)


def phantom(seed):
    return draw_phantom(("normal", "viral", "bacterial", "covid19")[seed % 4], 1000 + seed, 64).pixels


def kinds_of(verdicts):
    return [verdict.reasons[0].kind if verdict.reasons else FRONTAL for verdict in verdicts]


def test_frontal_films_that_it_never_saw_pass(gate, look):
    verdicts = [judged(gate, look, film_of(phantom(seed))) for seed in range(40)]
    assert sum(verdict.rejected for verdict in verdicts) == 0
    assert kinds_of(verdicts).count(FRONTAL) >= 34


@pytest.mark.parametrize("kind", ["upside down", "on its side", "negative"])
def test_a_spoiled_film_is_doubted_for_the_right_reason(gate, look, kind):
    rng = np.random.default_rng(0)
    verdicts = [judged(gate, look, film_of(CORRUPTIONS[kind](phantom(seed), rng))) for seed in range(40)]
    assert kinds_of(verdicts).count(kind) >= 32
    assert not any(verdict.rejected for verdict in verdicts if verdict.reasons and verdict.reasons[0].kind == kind)


def test_pictures_that_are_no_films_are_refused(gate, look):
    refused = [judged(gate, look, film_of(draw_non_xray(10_000 + seed, 64))).rejected for seed in range(90)]
    assert np.mean(refused) >= 0.9


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_blank_picture_is_refused_as_blank(gate, look, level):
    verdict = judged(gate, look, film_of(np.full((300, 400), level, np.uint8)))
    assert verdict.rejected and [reason.kind for reason in verdict.reasons] == ["blank"]


def test_a_film_with_fewer_pixels_than_the_model_sees_is_doubted(gate, look):
    film = film_of(draw_phantom("normal", 3, 200).pixels)
    features = look(film.fitted(SIZE_PX)[None])[0]
    assert "small" not in [reason.kind for reason in gate.check(features, film, 200).reasons]
    assert "small" in [reason.kind for reason in gate.check(features, film, 224).reasons]


def test_a_stored_gate_says_the_same(gate, look, tmp_path):
    save_arrays(tmp_path / "gate.npz", gate.arrays())
    again = InputCheck.from_arrays(load_arrays(tmp_path / "gate.npz"))
    films = [film_of(phantom(seed)) for seed in range(8)] + [film_of(draw_non_xray(seed, 64)) for seed in range(18)]
    assert [judged(again, look, film) for film in films] == [judged(gate, look, film) for film in films]


def test_a_gate_that_knows_every_kind_can_be_stored():
    """As that of a model whose films have laterals beside them."""
    features = np.random.default_rng(0).normal(size=(20 * len(KINDS), 24)).astype(np.float32)
    gate = InputCheck.fit(InputCheckExamples(features, np.repeat(KINDS, 20), features[:20], 20))
    assert InputCheck.from_arrays(gate.arrays()).kinds == KINDS


def test_a_gate_for_a_large_trunk_is_small_and_quick():
    rng = np.random.default_rng(0)
    kinds = np.repeat([FRONTAL, NO_FILM, "negative"], 60)
    features = rng.normal(size=(180, 1472)).astype(np.float32) + 3.0 * (kinds == NO_FILM)[:, None]
    gate = InputCheck.fit(InputCheckExamples(features, kinds, features[:30], 60))
    assert sum(array.nbytes for array in gate.arrays().values()) < 400_000
    film = film_of(rng.integers(0, 256, (2000, 2500), np.uint8))
    gate.check(features[0], film, 224)
    started = time.thread_time()
    for _ in range(20):
        gate.check(features[0], film, 224)
    assert (time.thread_time() - started) / 20 < 0.002


def changed(gate, **arrays):
    return gate.arrays() | arrays


@pytest.mark.parametrize(
    "spoil",
    [
        lambda gate: {},
        lambda gate: {name: array for name, array in gate.arrays().items() if name != "bias"},
        lambda gate: changed(gate, extra=np.zeros(3)),
        lambda gate: changed(gate, limits=np.array([np.nan, 1])),
        lambda gate: changed(gate, bias=gate.bias[:-1]),
        lambda gate: changed(gate, kinds=np.arange(len(gate.kinds)) + 50),
        lambda gate: changed(gate, kinds=np.zeros(len(gate.kinds))),
        lambda gate: changed(gate, scale=np.zeros_like(gate.scale)),
        lambda gate: changed(gate, kinds=np.array(3.0)),
    ],
    ids=["nothing", "missing", "extra", "not finite", "short", "unknown kinds", "twice", "no scale", "a number"],
)
def test_arrays_that_are_no_gate_are_refused(gate, spoil):
    with pytest.raises(RegistryError, match="damaged"):
        InputCheck.from_arrays(spoil(gate))


# The lesson


def test_a_lesson_is_of_training_films_and_never_of_test_films(look, dataset):
    without_test = dataset.where(dataset.table["role"] != "test")
    with_test = collect_examples(look, SIZE_PX, dataset, none_of(dataset), 0, silent)
    without = collect_examples(look, SIZE_PX, without_test, none_of(dataset), 0, silent)
    assert with_test.films == without.films == 100
    assert len(with_test.held_out) == len(without.held_out) == 40
    assert (with_test.kinds == FRONTAL).sum() == 200


def test_the_same_seed_teaches_the_same_lesson_and_another_draws_others(look, dataset, lesson):
    again = collect_examples(look, SIZE_PX, dataset, none_of(dataset), 0, silent)
    np.testing.assert_array_equal(again.features, lesson.features)
    other = collect_examples(look, SIZE_PX, dataset, none_of(dataset), 1, silent)
    assert not np.array_equal(other.features, lesson.features)


def test_a_lesson_is_never_of_more_than_some_hundred_films(phantoms):
    found = Dataset.open(phantoms)
    many = Dataset(found.name, pd.concat([found.table] * 8, ignore_index=True))
    many = many.with_column("role", np.repeat(["train", "val"], [len(many) // 2, len(many) // 2]))
    told = []

    def look(films):
        return films.reshape(len(films), -1)[:, :5].astype(np.float32)

    lesson = collect_examples(look, SIZE_PX, many, none_of(many), 0, lambda done, total: told.append((done, total)))
    assert lesson.films == FILMS and len(lesson.held_out) == HELD_OUT
    assert told[0][0] == 0 and told[-1][0] == told[-1][1] == told[0][1]


def test_a_lesson_ends_at_once_where_it_is_told_to(look, dataset):
    def stop(done, total):
        if done >= 32:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        collect_examples(look, SIZE_PX, dataset, none_of(dataset), 0, stop)


def test_films_that_cannot_be_read_are_passed_over(look, dataset):
    odd = dataset.with_column("path", ["gone.png", *dataset.table["path"][1:]])
    assert len(collect_examples(look, SIZE_PX, odd, none_of(dataset), 0, silent).kinds)
    with pytest.raises(DatasetError, match="no training and validation films"):
        collect_examples(look, SIZE_PX, dataset.with_column("path", "gone.png"), none_of(dataset), 0, silent)


def table_of(*rows):
    columns = ["dataset", "path", "label", "patient_id", "split", "view"]
    return Dataset("some", pd.DataFrame(rows, columns=columns))


def test_strangers_are_laterals_and_slices_of_patients_by_whom_nothing_is_judged():
    dataset = table_of(
        ("d", "front.png", "normal", "1", "", "PA"),
        ("d", "side.png", "normal", "1", "", "L"),
        ("d", "judged.png", "normal", "2", "", "PA"),
        ("d", "side-of-judged.png", "normal", "2", "", "L"),
        ("d", "slice.png", "not-a-chest-xray", "3", "", "CT"),
        ("d", "slice-of-test.png", "not-a-chest-xray", "4", "test", "CT"),
        ("e", "side-elsewhere.png", "normal", "2", "", "L"),
    )
    roles = pd.Series(["train", "", "test", "", "", "", ""])
    found = out_of_scope_films(dataset, roles, ("L", "CT"))
    assert dict(zip(found.table["path"], found.table["kind"], strict=True)) == {
        "side.png": LATERAL,
        "slice.png": NO_FILM,
        "side-elsewhere.png": LATERAL,
    }
    assert list(out_of_scope_films(dataset, roles, ("CT",)).table["path"]) == [
        "slice.png"
    ]  # it was trained on laterals


def test_a_gate_that_saw_laterals_knows_them(look, dataset, tmp_path):
    """Drawn laterals there are none: the left half of a film, stretched, stands for one."""
    from PIL import Image

    rows = []
    for number in range(40):
        Image.fromarray(phantom(number)[:, :32]).save(tmp_path / f"{number}.png")
        rows.append(("d", f"{number}.png", "normal", str(number), "", "L"))
    sides = Dataset("sides", table_of(*rows).table.assign(root=str(tmp_path), kind=LATERAL))
    gate = InputCheck.fit(collect_examples(look, SIZE_PX, dataset, sides, 0, silent))
    verdicts = [judged(gate, look, film_of(phantom(seed)[:, :32])) for seed in range(100, 130)]
    assert kinds_of(verdicts).count(LATERAL) >= 24


# What is drawn


def test_strange_pictures_are_of_every_kind_and_the_same_for_a_seed():
    for seed in range(len(DRAWN_KINDS)):
        pixels = draw_non_xray(seed, 48)
        assert pixels.shape == (48, 48) and pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, draw_non_xray(seed, 48))
        assert not np.array_equal(pixels, draw_non_xray(seed + len(DRAWN_KINDS), 48))
