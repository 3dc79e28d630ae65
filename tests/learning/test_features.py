from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest

from cxr.core.errors import RunError
from cxr.core.paths import cache_dir
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.learning import features
from cxr.learning.augmentation import augment, view_rng
from cxr.learning.feature_store import CACHE_BYTES, KEY_BYTES, FeatureStore, make_room
from cxr.learning.features import feature_table, pixel_table
from cxr.learning.network import build
from tests.support.training import tiny_recipe

ROW = np.dtype(np.float32)


def quiet(done, total):
    pass


def key(number):
    return number.to_bytes(KEY_BYTES, "big")


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store", (2, 3), ROW)


def filled(store, *numbers):
    store.append([key(n) for n in numbers], np.stack([np.full(store.shape, n, store.dtype) for n in numbers]))


def contents(store):
    rows = store.rows()
    return {int.from_bytes(name, "big"): rows[place].ravel()[0] for name, place in store.row_by_key().items()}


# The store


def test_a_new_store_is_empty(store):
    assert store.row_by_key() == {}
    assert store.rows().shape == (0, 2, 3)
    assert not store.folder.exists()


def test_rows_are_found_again_by_their_keys(store):
    filled(store, 5, 7)
    filled(store, 9)
    assert store.row_by_key() == {key(5): 0, key(7): 1, key(9): 2}
    assert contents(store) == {5: 5, 7: 7, 9: 9}
    assert (store.rows().dtype, store.rows().shape) == (ROW, (3, 2, 3))


def test_half_precision_rows_are_kept_as_they_are(tmp_path):
    store = FeatureStore(tmp_path / "half", (4,), np.dtype(ml_dtypes.bfloat16))
    values = np.array([[1.5, -2.25, 3e30, 1e-30]], ml_dtypes.bfloat16)
    store.append([key(1)], values)
    assert store.rows().dtype == ml_dtypes.bfloat16
    assert np.array_equal(store.rows(), values)


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 2, 3), (1, 6)])
def test_rows_of_another_shape_or_number_are_refused(store, shape):
    with pytest.raises(ValueError, match="rows of shape"):
        store.append([key(1)], np.zeros(shape, ROW))


def grow(store, name, data):
    with (store.folder / name).open("ab") as file:
        file.write(data)


def test_a_row_without_a_key_is_cut_off_by_the_next_append(store):
    filled(store, 5)
    grow(store, "rows.bin", bytes([255] * store.row_bytes))
    assert contents(store) == {5: 5}
    filled(store, 6, 7)
    assert contents(store) == {5: 5, 6: 6, 7: 7}


@pytest.mark.parametrize(("name", "size"), [("rows.bin", 7), ("rows.bin", 24 + 7), ("keys.bin", 5)])
def test_half_a_row_or_half_a_key_is_cut_off_by_the_next_append(store, name, size):
    filled(store, 5)
    grow(store, name, bytes([255] * size))
    assert contents(store) == {5: 5}
    filled(store, 6)
    assert contents(store) == {5: 5, 6: 6}
    assert (store.folder / "rows.bin").stat().st_size == 2 * store.row_bytes


def test_a_key_without_its_row_does_not_count(store):
    filled(store, 5, 6)
    with (store.folder / "rows.bin").open("r+b") as file:
        file.truncate(store.row_bytes + 3)
    assert contents(store) == {5: 5}
    filled(store, 7)
    assert contents(store) == {5: 5, 7: 7}


def test_two_threads_can_append_at_once(store):
    def write(start):
        for n in range(start, start + 25):
            filled(FeatureStore(store.folder, store.shape, store.dtype), n)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, (0, 100)))
    assert contents(store) == {n: n for n in [*range(25), *range(100, 125)]}


# Pixels


@pytest.fixture
def dataset(phantoms):
    return Dataset.open(phantoms).where(np.arange(160) < 40)


@pytest.fixture
def copied(dataset, tmp_path):
    """Eight films in a folder of the test's own, one of them there twice and one of them broken."""
    folder = tmp_path / "films"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.png").write_bytes(dataset.read_bytes(i))
    (folder / "6.png").write_bytes(dataset.read_bytes(0))
    (folder / "7.png").write_bytes(b"no film")
    (folder / "manifest.csv").write_text("path,label\n" + "".join(f"{i}.png,viral\n" for i in range(8)))
    return Dataset.open(folder)


def test_films_are_brought_to_size_in_their_order(home, dataset):
    pixels = pixel_table(dataset, 32, quiet)
    assert len(pixels.table) == len(pixels.digests) == 40
    assert pixels.unreadable == {}
    for i in (0, 17, 39):
        assert np.array_equal(pixels.table.take(np.array(i)), Film.read(dataset.read_bytes(i)).fitted(32))


def test_a_film_that_was_read_is_not_decoded_again(home, dataset):
    first = pixel_table(dataset, 32, quiet)
    (rows,) = (home / "cache" / "pixels").glob("32-*/rows.bin")
    size = rows.stat().st_size
    again = pixel_table(dataset.where(np.arange(40) % 2 == 1), 32, quiet)
    assert rows.stat().st_size == size == 40 * 32 * 32
    assert np.array_equal(again.table.take(np.arange(20)), first.table.take(np.arange(1, 40, 2)))


def test_sizes_are_kept_apart(home, dataset):
    assert pixel_table(dataset, 32, quiet).table.rows.shape[1:] == (32, 32)
    assert pixel_table(dataset, 16, quiet).table.rows.shape[1:] == (16, 16)


def test_a_broken_film_is_named_and_the_others_are_there(home, copied):
    pixels = pixel_table(copied, 32, quiet)
    assert list(pixels.unreadable) == [7]
    assert pixels.unreadable[7]
    assert pixels.table.row_numbers.ravel().tolist()[7] == -1
    assert (pixels.table.row_numbers[:7] >= 0).all()


def test_a_film_that_is_there_twice_is_one_row(home, copied):
    pixels = pixel_table(copied, 32, quiet)
    assert pixels.digests[0] == pixels.digests[6]
    assert pixels.table.row_numbers[0] == pixels.table.row_numbers[6]
    assert len(pixels.table.rows) == 6


def test_a_film_that_comes_again_much_later_is_one_row(home, dataset):
    twice = dataset.where(np.ones(40, bool))
    twice.table.loc[39, "path"] = twice.table.loc[0, "path"]
    assert len(pixel_table(twice, 32, quiet).table.rows) == 39


def test_reading_tells_how_far_it_is(home, dataset):
    told = []
    pixel_table(dataset, 32, lambda done, total: told.append((done, total)))
    assert told == [(32, 40), (40, 40)]


# Features


class Front:
    """A network's front that counts what it is asked."""

    def __init__(self, recipe, precision="float32"):
        self.model = build(recipe, 3, precision).frozen_part
        self.films = 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def predict_on_batch(self, batch):
        self.films += len(batch)
        return self.model.predict_on_batch(batch)


SHIFTED = {"shift_x": 0.2, "noise": 4}
FROZEN = {"train": "head"}


@pytest.fixture
def recipe():
    return tiny_recipe(trunk=FROZEN, head={"pool": "average"}, augmentation=SHIFTED)


@pytest.fixture
def pixels(home, dataset):
    return pixel_table(dataset, 32, quiet)


ALL = np.arange(40)


def test_features_are_what_the_front_makes_of_each_film(recipe, pixels):
    front = Front(recipe)
    table = feature_table(front, recipe, ALL, pixels, 0, quiet)
    films = pixels.table.take(ALL)[..., None].astype(np.float32)
    np.testing.assert_allclose(table.take(ALL), front.model.predict_on_batch(films), rtol=1e-4, atol=1e-5)
    assert table.rows.dtype == np.float32


def test_a_second_table_computes_nothing(recipe, pixels):
    first = feature_table(Front(recipe), recipe, ALL, pixels, 0, quiet)
    front = Front(recipe)
    again = feature_table(front, recipe, ALL[::-1], pixels, 0, quiet)
    assert front.films == 0
    assert np.array_equal(first.take(ALL), again.take(ALL))


def test_only_missing_films_are_computed(recipe, pixels):
    feature_table(Front(recipe), recipe, ALL[:38], pixels, 0, quiet)
    front, told = Front(recipe), []
    feature_table(front, recipe, ALL, pixels, 0, lambda done, total: told.append((done, total)))
    assert told == [(2, 2)]
    assert front.films == features.BATCH  # one batch, filled up


def test_films_that_were_not_chosen_have_no_place(recipe, pixels):
    table = feature_table(Front(recipe), recipe, np.array([3, 8]), pixels, 2, quiet)
    assert table.row_numbers.shape == (40, 2)
    assert (np.flatnonzero((table.row_numbers >= 0).all(axis=1)) == [3, 8]).all()


def test_views_are_augmented_and_the_same_whenever_they_are_made(recipe, pixels):
    chosen = np.array([5, 11])
    front = Front(recipe)
    table = feature_table(front, recipe, chosen, pixels, 3, quiet)
    for film in chosen:
        for view in range(3):
            rng = view_rng(recipe.training.seed, pixels.digests[film], view)
            shown = augment(pixels.table.take(np.array(film)), recipe.augmentation, rng)
            wanted = front.model.predict_on_batch(shown[None, ..., None].astype(np.float32))[0]
            np.testing.assert_allclose(table.take(np.array(film), view), wanted, rtol=1e-4, atol=1e-5)
    assert len(np.unique(table.rows.round(5), axis=0)) == 6


def test_a_training_that_goes_on_from_a_model_has_views_of_its_own(recipe, pixels):
    goes_on = recipe.model_copy(update={"trunk": recipe.trunk.model_copy(update={"weights": "shelf:first"})})
    front, chosen = Front(recipe), np.array([5])
    first, second = (feature_table(front, one, chosen, pixels, 3, quiet).take(chosen, 0) for one in (recipe, goes_on))
    assert not np.allclose(first, second)


def test_more_views_keep_the_ones_that_are_there(recipe, pixels):
    two = feature_table(Front(recipe), recipe, ALL[:8], pixels, 2, quiet)
    told = []
    three = feature_table(Front(recipe), recipe, ALL[:8], pixels, 3, lambda done, total: told.append(total))
    assert told == [8]
    assert np.array_equal(two.take(ALL[:8], 1), three.take(ALL[:8], 1))


def test_a_film_that_is_there_twice_is_computed_once(home, copied, recipe):
    pixels = pixel_table(copied, 32, quiet)
    told = []
    table = feature_table(Front(recipe), recipe, np.arange(7), pixels, 0, lambda done, total: told.append(total))
    assert told == [6]
    assert np.array_equal(table.take(np.array(0)), table.take(np.array(6)))


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"seed": 1}},
        {"input": {"scale": "half"}},
        {"trunk": {"train": "block3"}},
        {"input": {"featurewise_center": True}},
    ],
)
def test_another_network_shares_no_features(recipe, pixels, change):
    feature_table(Front(recipe), recipe, ALL[:4], pixels, 0, quiet)
    other = tiny_recipe(**({"trunk": FROZEN, "head": {"pool": "average"}, "augmentation": SHIFTED} | change))
    told = []
    feature_table(Front(other), other, ALL[:4], pixels, 0, lambda done, total: told.append(total))
    assert told == [4]


def test_another_weight_shares_no_features(recipe, pixels):
    feature_table(Front(recipe), recipe, ALL[:4], pixels, 0, quiet)
    front, told = Front(recipe), []
    bias = front.model.get_layer("block2_conv1").bias
    bias.assign(bias + 1e-3)
    feature_table(front, recipe, ALL[:4], pixels, 0, lambda done, total: told.append(total))
    assert told == [4]


def test_another_precision_shares_no_features(pixels):
    made = tiny_recipe(trunk={"train": "block3"})
    feature_table(Front(made), made, ALL[:4], pixels, 0, quiet)
    told = []
    table = feature_table(Front(made, "bfloat16"), made, ALL[:4], pixels, 0, lambda done, total: told.append(total))
    assert told == [4]
    assert table.rows.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("change", [{"augmentation": {"shift_x": 0.3}}, {"augmentation": SHIFTED | {"noise": 5}}])
def test_another_augmentation_shares_the_films_and_no_views(recipe, pixels, change):
    for views in (0, 1):
        feature_table(Front(recipe), recipe, ALL[:4], pixels, views, quiet)
    other = tiny_recipe(**({"trunk": FROZEN, "head": {"pool": "average"}} | change))
    told = []
    for views in (0, 1):
        feature_table(Front(recipe), other, ALL[:4], pixels, views, lambda done, total: told.append(total))
    assert told == [4]


def test_another_version_of_the_augmentation_shares_the_films_and_no_views(recipe, pixels, monkeypatch):
    for views in (0, 1):
        feature_table(Front(recipe), recipe, ALL[:4], pixels, views, quiet)
    monkeypatch.setattr(features, "AUGMENTATION", features.AUGMENTATION + 1)
    told = []
    for views in (0, 1):
        feature_table(Front(recipe), recipe, ALL[:4], pixels, views, lambda done, total: told.append(total))
    assert told == [4]


def test_what_is_trained_above_the_cut_changes_no_feature(recipe, pixels):
    feature_table(Front(recipe), recipe, ALL, pixels, 0, quiet)
    other = tiny_recipe(
        trunk=FROZEN, head={"pool": "average", "dense": [9]}, augmentation=SHIFTED, optimiser={"rate": 1.0}
    )
    front = Front(other)
    feature_table(front, other, ALL, pixels, 0, quiet)
    assert front.films == 0


# Room


def aged_store(folder, name, bytes_, age):
    import os

    (folder / name).mkdir(parents=True)
    (folder / name / "rows.bin").write_bytes(bytes(bytes_))
    os.utime(folder / name, (1e9 - age, 1e9 - age))


def test_the_longest_unused_stores_go_first_and_one_s_own_stays(tmp_path, monkeypatch):
    monkeypatch.setitem(CACHE_BYTES, "features", 200)
    root = tmp_path / "features"
    for name, age in (("own", 99), ("old", 50), ("older", 60), ("new", 10)):
        aged_store(root, name, 100, age)
    own = FeatureStore(root / "own", (10,), np.dtype(np.uint8))
    make_room(own, 0)
    assert sorted(path.name for path in root.iterdir()) == ["new", "own"]
    make_room(own, 1)
    assert [path.name for path in root.iterdir()] == ["own"]


def test_nothing_goes_where_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setitem(CACHE_BYTES, "features", 220)
    root = tmp_path / "features"
    for name in ("own", "other"):
        aged_store(root, name, 100, 5)
    make_room(FeatureStore(root / "own", (10,), np.dtype(np.uint8)), 2)
    assert len(list(root.iterdir())) == 2


def test_poolings_and_augmentations_have_stores_of_their_own(home, dataset):
    pixels = pixel_table(dataset, 32, quiet)
    chosen = np.arange(2)
    for pool in ("average", "max"):
        recipe = tiny_recipe(trunk={"train": "head"}, head={"pool": pool})
        front = build(recipe, 2).frozen_part
        rows = feature_table(front, recipe, chosen, pixels, 0, quiet).take(chosen)
        direct = np.asarray(front(pixels.table.take(chosen)[..., None].astype(np.float32)))
        np.testing.assert_allclose(rows, direct, atol=1e-4, rtol=1e-4)
    equalizing = tiny_recipe(trunk={"train": "head"}, input={"equalize": 1.0})
    feature_table(build(equalizing, 2).frozen_part, equalizing, chosen, pixels, 0, quiet)
    shifted = tiny_recipe(trunk={"train": "head"}, training={"views": 1}, augmentation={"shift_x": 0.2})
    feature_table(build(shifted, 2).frozen_part, shifted, chosen, pixels, 1, quiet)
    assert len(list((home / "cache" / "features").iterdir())) == 4


def test_a_store_that_would_outgrow_its_limit_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setitem(CACHE_BYTES, "features", 250)
    own = FeatureStore(tmp_path / "features" / "own", (10,), np.dtype(np.uint8))
    own.append([bytes([k]) * KEY_BYTES for k in range(8)], np.zeros((8, 10), np.uint8))
    make_room(own, 4)  # 8 rows with their keys are 208 bytes
    assert len(own.row_by_key()) == 8
    make_room(own, 5)
    assert own.row_by_key() == {}
    with pytest.raises(RunError) as raised:
        make_room(own, 26)
    assert raised.value.code == "run.cache-limit"


def test_what_another_job_uses_stays_until_it_ends(tmp_path, monkeypatch):
    monkeypatch.setitem(CACHE_BYTES, "features", 250)
    used, own, third = (FeatureStore(tmp_path / "features" / name, (10,), np.dtype(np.uint8)) for name in "abc")
    filled(used, *range(6))
    (used.folder / "use-of-a-job-that-was-killed.lock").touch()
    with used.in_use():
        make_room(own, 20)
        assert len(used.row_by_key()) == 6
        with used.in_use():  # two jobs fill one store
            make_room(used, 20)
            assert len(used.row_by_key()) == 6
        make_room(third, 20)
        assert used.users() == 1
    make_room(own, 20)
    assert not used.folder.exists()


def test_a_job_that_fills_a_store_is_not_disturbed_by_one_that_needs_room(recipe, pixels, monkeypatch):
    monkeypatch.setitem(CACHE_BYTES, "features", 100_000)
    other = FeatureStore(cache_dir() / "features" / "other", (10_000,), np.dtype(np.uint8))
    front = Front(recipe)
    table = feature_table(front, recipe, ALL, pixels, 0, lambda *_: make_room(other, 10))
    assert len(table.take(ALL)) == len(ALL)


def test_pixels_stay_below_their_limit_while_datasets_follow_each_other(home, dataset, monkeypatch):
    row = 32 * 32
    monkeypatch.setitem(CACHE_BYTES, "pixels", len(dataset) * row)
    first, second = (dataset.where(np.arange(len(dataset)) % 2 == half) for half in (0, 1))
    for films in (first, second, dataset, first):
        table = pixel_table(films, 32, quiet)
        assert not table.unreadable
        assert np.array_equal(table.table.take(np.arange(1))[0], films.read(0).fitted(32))
        (folder,) = (home / "cache" / "pixels").iterdir()
        assert (folder / "rows.bin").stat().st_size <= len(dataset) * row
