"""The input check: trained with a few synthetic X-rays and a backbone of a few filters."""

import time

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError, RegistryError
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.films.synthetic.non_xrays import GENERATORS as DRAWN_KINDS
from cxr.films.synthetic.non_xrays import draw_non_xray
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.input_check.detector import InputCheck
from cxr.inference.input_check.findings import KINDS, SENTENCES, WITHHELD, InputCheckCode, InputCheckReason
from cxr.inference.input_check.training_data import (
    CORRUPTION_CODES,
    MAX_FILMS,
    MAX_HELD_OUT,
    InputCheckExamples,
    balanced_sample,
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
def extract():
    """The features of a fresh network's backbone for fitted images."""
    from cxr.learning.network import build
    from tests.support.training import tiny_recipe

    backbone = build(tiny_recipe(), 2).maps_and_features
    return lambda films: np.asarray(backbone.predict_on_batch(films[..., None].astype(np.float32))[1])


@pytest.fixture(scope="module")
def dataset(phantoms):
    """Synthetic X-rays: 100 for training, 40 for validation, 20 for test."""
    found = Dataset.open(phantoms)
    roles = np.repeat(["train", "val", "test"], [100, 40, len(found) - 140])
    return found.with_column("role", np.random.default_rng(0).permutation(roles))


@pytest.fixture(scope="module")
def examples(extract, dataset):
    return collect_examples(extract, SIZE_PX, dataset, none_of(dataset), 0, silent)


@pytest.fixture(scope="module")
def input_check(examples):
    return InputCheck.fit(examples)


def checked(input_check, extract, film):
    return input_check.check(extract(film.fitted(SIZE_PX)[None])[0], film, SIZE_PX)


def film_of(pixels):
    return Film(pixels=np.ascontiguousarray(pixels), format="PNG", bits=8)


def phantom(seed):
    return draw_phantom(("normal", "viral", "bacterial", "covid19")[seed % 4], 1000 + seed, 64).pixels


def codes_of(results):
    return [result.reasons[0].code if result.reasons else InputCheckCode.FRONTAL for result in results]


def test_new_frontal_films_pass(input_check, extract):
    results = [checked(input_check, extract, film_of(phantom(seed))) for seed in range(40)]
    assert sum(result.rejected for result in results) == 0
    assert codes_of(results).count(InputCheckCode.FRONTAL) >= 34


@pytest.mark.parametrize("corruption", ["upside down", "on its side", "negative"])
def test_a_corrupted_film_gets_the_code_of_its_corruption(input_check, extract, corruption):
    rng, code = np.random.default_rng(0), CORRUPTION_CODES[corruption]
    films = [film_of(CORRUPTIONS[corruption](phantom(seed), rng)) for seed in range(40)]
    results = [checked(input_check, extract, film) for film in films]
    assert codes_of(results).count(code) >= 32
    found = [result.rejected for result in results if result.reasons and result.reasons[0].code == code]
    assert set(found) == {code in WITHHELD} == {code != InputCheckCode.CROPPED}


def test_every_corruption_has_a_code_and_every_reason_a_sentence():
    assert set(CORRUPTION_CODES) == set(CORRUPTIONS)
    assert tuple(CORRUPTION_CODES.values()) == KINDS[3:]
    assert set(SENTENCES) == set(InputCheckCode) - {InputCheckCode.FRONTAL, InputCheckCode.AGE}
    assert {InputCheckReason(code).sentence for code in SENTENCES} == set(SENTENCES.values())


def test_images_that_are_no_x_rays_are_rejected(input_check, extract):
    rejected = [checked(input_check, extract, film_of(draw_non_xray(10_000 + seed, 64))).rejected for seed in range(90)]
    assert np.mean(rejected) >= 0.9


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_blank_image_is_rejected_as_blank(input_check, extract, level):
    result = checked(input_check, extract, film_of(np.full((300, 400), level, np.uint8)))
    assert result.rejected
    assert [reason.code for reason in result.reasons] == [InputCheckCode.BLANK]


def test_a_film_smaller_than_the_model_s_input_gets_a_warning(input_check, extract):
    film = film_of(draw_phantom("normal", 3, 200).pixels)
    features = extract(film.fitted(SIZE_PX)[None])[0]
    assert InputCheckCode.LOW_RESOLUTION not in [
        reason.code for reason in input_check.check(features, film, 200).reasons
    ]
    assert InputCheckCode.LOW_RESOLUTION in [reason.code for reason in input_check.check(features, film, 224).reasons]


def test_a_stored_input_check_gives_the_same_results(input_check, extract, tmp_path):
    save_arrays(tmp_path / "input_check.npz", input_check.arrays())
    again = InputCheck.from_arrays(load_arrays(tmp_path / "input_check.npz"))
    films = [film_of(phantom(seed)) for seed in range(8)] + [film_of(draw_non_xray(seed, 64)) for seed in range(18)]
    assert [checked(again, extract, film) for film in films] == [checked(input_check, extract, film) for film in films]


def test_an_input_check_of_every_kind_can_be_stored():
    """As for a model whose dataset has lateral views."""
    features = np.random.default_rng(0).normal(size=(20 * len(KINDS), 24)).astype(np.float32)
    input_check = InputCheck.fit(InputCheckExamples(features, np.repeat(KINDS, 20), features[:20], 20))
    assert InputCheck.from_arrays(input_check.arrays()).kinds == KINDS


def test_an_input_check_for_a_large_backbone_is_small_and_fast():
    rng = np.random.default_rng(0)
    kinds = np.repeat(["frontal", "not-a-chest-xray", "inverted"], 60)
    features = rng.normal(size=(180, 1472)).astype(np.float32) + 3.0 * (kinds == InputCheckCode.NOT_CHEST_XRAY)[:, None]
    input_check = InputCheck.fit(InputCheckExamples(features, kinds, features[:30], 60))
    assert sum(array.nbytes for array in input_check.arrays().values()) < 400_000
    film = film_of(rng.integers(0, 256, (2000, 2500), np.uint8))
    input_check.check(features[0], film, 224)
    started = time.thread_time()
    for _ in range(20):
        input_check.check(features[0], film, 224)
    assert (time.thread_time() - started) / 20 < 0.002


def changed(input_check, **arrays):
    return input_check.arrays() | arrays


@pytest.mark.parametrize(
    "spoil",
    [
        lambda input_check: {},
        lambda input_check: {name: array for name, array in input_check.arrays().items() if name != "bias"},
        lambda input_check: changed(input_check, extra=np.zeros(3)),
        lambda input_check: changed(input_check, limits=np.array([np.nan, 1])),
        lambda input_check: changed(input_check, bias=input_check.bias[:-1]),
        lambda input_check: changed(input_check, kinds=np.arange(len(input_check.kinds)) + 50),
        lambda input_check: changed(input_check, kinds=np.zeros(len(input_check.kinds))),
        lambda input_check: changed(input_check, scale=np.zeros_like(input_check.scale)),
        lambda input_check: changed(input_check, kinds=np.array(3.0)),
    ],
    ids=["nothing", "missing", "extra", "not finite", "short", "unknown kinds", "twice", "no scale", "a number"],
)
def test_damaged_arrays_are_refused(input_check, spoil):
    with pytest.raises(RegistryError) as raised:
        InputCheck.from_arrays(spoil(input_check))
    assert raised.value.code == "registry.input-check"


# The examples


def test_test_films_are_never_used(extract, dataset):
    without_test = dataset.where(dataset.table["role"] != "test")
    with_test = collect_examples(extract, SIZE_PX, dataset, none_of(dataset), 0, silent)
    without = collect_examples(extract, SIZE_PX, without_test, none_of(dataset), 0, silent)
    assert with_test.films == without.films == 100
    assert len(with_test.held_out) == len(without.held_out) == 40
    assert (with_test.kinds == InputCheckCode.FRONTAL).sum() == 200


def test_the_same_seed_gives_the_same_examples_and_another_seed_others(extract, dataset, examples):
    again = collect_examples(extract, SIZE_PX, dataset, none_of(dataset), 0, silent)
    np.testing.assert_array_equal(again.features, examples.features)
    other = collect_examples(extract, SIZE_PX, dataset, none_of(dataset), 1, silent)
    assert not np.array_equal(other.features, examples.features)


def test_a_few_hundred_films_are_used_at_most(phantoms):
    found = Dataset.open(phantoms)
    many = Dataset(found.name, pd.concat([found.table] * 8, ignore_index=True))
    many = many.with_column("role", np.repeat(["train", "val"], [len(many) // 2, len(many) // 2]))
    steps: list[tuple[int, int]] = []

    def extract(films):
        return films.reshape(len(films), -1)[:, :5].astype(np.float32)

    examples = collect_examples(
        extract, SIZE_PX, many, none_of(many), 0, lambda done, total: steps.append((done, total))
    )
    assert examples.films == MAX_FILMS
    assert len(examples.held_out) == MAX_HELD_OUT
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] == steps[0][1]


def test_collecting_stops_when_the_progress_callback_raises(extract, dataset):
    def stop(done, total):
        if done >= 32:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        collect_examples(extract, SIZE_PX, dataset, none_of(dataset), 0, stop)


def test_unreadable_films_are_skipped(extract, dataset):
    odd = dataset.with_column("path", ["gone.png", *dataset.table["path"][1:]])
    assert len(collect_examples(extract, SIZE_PX, odd, none_of(dataset), 0, silent).kinds)
    with pytest.raises(DatasetError) as raised:
        collect_examples(extract, SIZE_PX, dataset.with_column("path", "gone.png"), none_of(dataset), 0, silent)
    assert raised.value.code == "dataset.no-examples"


def table_of(*rows):
    columns = ["dataset", "path", "label", "patient_id", "split", "view"]
    return Dataset("some", pd.DataFrame(rows, columns=columns))


def test_out_of_scope_films_are_laterals_and_slices_of_no_evaluation_patient():
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
        "side.png": "lateral",
        "slice.png": "not-a-chest-xray",
        "side-elsewhere.png": "lateral",
    }
    assert list(out_of_scope_films(dataset, roles, ("CT",)).table["path"]) == [
        "slice.png"
    ]  # it was trained on laterals


def test_an_input_check_trained_with_laterals_recognizes_them(extract, dataset, tmp_path):
    """There are no synthetic laterals: the left half of an X-ray, stretched, stands for one."""
    from PIL import Image

    rows = []
    for number in range(40):
        Image.fromarray(phantom(number)[:, :32]).save(tmp_path / f"{number}.png")
        rows.append(("d", f"{number}.png", "normal", str(number), "", "L"))
    sides = Dataset("sides", table_of(*rows).table.assign(root=str(tmp_path), kind=InputCheckCode.LATERAL.value))
    input_check = InputCheck.fit(collect_examples(extract, SIZE_PX, dataset, sides, 0, silent))
    results = [checked(input_check, extract, film_of(phantom(seed)[:, :32])) for seed in range(100, 130)]
    assert codes_of(results).count(InputCheckCode.LATERAL) >= 24


# Synthetic non-X-rays


def test_non_x_rays_are_of_every_kind_and_the_same_for_a_seed():
    for seed in range(len(DRAWN_KINDS)):
        pixels = draw_non_xray(seed, 48)
        assert pixels.shape == (48, 48)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, draw_non_xray(seed, 48))
        assert not np.array_equal(pixels, draw_non_xray(seed + len(DRAWN_KINDS), 48))


def test_each_source_gives_as_many_films_as_another_as_far_as_it_has_them():
    sources = np.array(["large"] * 900 + ["small"] * 30 + ["middle"] * 100)
    rows = np.flatnonzero(np.arange(len(sources)) % 2 == 0)
    chosen = balanced_sample(rows, sources, 120, np.random.default_rng(0))
    assert len(set(chosen)) == 120
    assert set(chosen) <= set(rows)
    counts = dict(zip(*np.unique(sources[chosen], return_counts=True), strict=True))
    assert counts["small"] == 15
    assert counts["middle"] == 50
    assert counts["large"] == 55
    other = balanced_sample(rows, sources, 120, np.random.default_rng(1))
    assert set(other[sources[other] == "large"]) != set(chosen[sources[chosen] == "large"])
    assert len(balanced_sample(rows, sources, 5000, np.random.default_rng(0))) == len(rows)
