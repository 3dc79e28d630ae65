from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COLUMNS
from cxr.datasets.split import assign_roles, assign_shares, draw_counts, folds
from tests.support.datasets import raises_code

SEEDS = range(8)


def films(seed: int = 0, patients: int = 300, placed: float = 0.0, name: str = "set") -> Dataset:
    """Patients with one to many films, some of two labels, a share of them with a split in the manifest."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        label = str(rng.choice(["normal", "bacterial", "viral"], p=[0.5, 0.4, 0.1]))
        split = str(rng.choice(["train", "test", "val"], p=[0.6, 0.2, 0.2])) if rng.random() < placed else ""
        for film in range(1 + min(int(rng.geometric(0.5)), 12)):
            film_label = label if rng.random() < 0.995 else "viral"
            rows.append((f"{patient}-{film}.png", film_label, f"p{patient}", split if film == 0 else ""))
    return dataset_of(rows, name)


def dataset_of(rows: list[tuple[str, str, str, str]], name: str = "set") -> Dataset:
    table = pd.DataFrame(rows, columns=["path", "label", "patient_id", "split"])
    for column in COLUMNS:
        if column not in table:
            table[column] = ""
    return Dataset(name, table.astype("str").assign(dataset=name, root=f"/{name}"))


def simple(counts: dict[str, int], films_each: int = 1) -> Dataset:
    rows = [
        (f"{label}{i}-{film}.png", label, f"{label}{i}", "")
        for label, patients in counts.items()
        for i in range(patients)
        for film in range(films_each)
    ]
    return dataset_of(rows)


def sides(dataset: Dataset) -> pd.Series:
    return dataset.table["role"].groupby(dataset.patients).nunique()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_patient_is_in_two_shares(seed: int) -> None:
    dataset = films(seed)
    shares = assign_shares(dataset.patients, dataset.labels, (0.6, 0.3, 0.1), seed)
    assert pd.Series(shares).groupby(dataset.patients).nunique().max() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_close_for_every_label(seed: int) -> None:
    dataset = films(seed, patients=1500)
    shares = assign_shares(dataset.patients, dataset.labels, (0.7, 0.1, 0.2), seed)
    table = pd.crosstab(dataset.labels, shares, normalize="index")
    assert np.abs(table.to_numpy() - [0.7, 0.1, 0.2]).max() < 0.03


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    dataset = films()
    shuffled = np.random.default_rng(5).permutation(len(dataset))
    mixed = Dataset("set", dataset.table.iloc[shuffled].reset_index(drop=True))
    shares = assign_shares(dataset.patients, dataset.labels, (0.8, 0.2), 3)
    assert (assign_shares(dataset.patients, dataset.labels, (0.8, 0.2), 3) == shares).all()
    assert (assign_shares(mixed.patients, mixed.labels, (0.8, 0.2), 3) == shares[shuffled]).all()
    assert (assign_shares(dataset.patients, dataset.labels, (0.8, 0.2), 4) != shares).any()


def test_large_patients_are_not_always_in_the_large_share() -> None:
    patients = np.repeat([f"p{i}" for i in range(60)], [5] * 20 + [1] * 40)
    inside = [assign_shares(patients, ["normal"] * len(patients), (0.7, 0.3), seed)[:100].mean() for seed in range(20)]
    assert 0.2 < np.mean(inside) < 0.4


def test_each_label_of_two_patients_is_in_both_shares() -> None:
    dataset = simple({"normal": 50, "rare": 2})
    for seed in SEEDS:
        shares = assign_shares(dataset.patients, dataset.labels, (0.9, 0.1), seed)
        assert set(shares[dataset.labels == "rare"]) == {0, 1}


def test_a_single_patient_goes_to_the_largest_share() -> None:
    assert list(assign_shares(["p"], ["rare"], (0.2, 0.8), 0)) == [1]


def test_a_share_of_zero_gets_nothing() -> None:
    dataset = films()
    assert set(assign_shares(dataset.patients, dataset.labels, (0, 0.5, 0.5), 0)) == {1, 2}
    with raises_code("dataset.share"):
        assign_shares(dataset.patients, dataset.labels, (0, 0), 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_split_of_the_manifest_is_kept(seed: int) -> None:
    dataset = films(seed, placed=0.5)
    roles = assign_roles(dataset, validation=0.2, test=0.2, seed=seed)
    placed = dataset.table["split"] != ""
    assert (roles.table["role"][placed] == dataset.table["split"][placed]).all()
    assert sides(roles).max() == 1  # the patients' other films follow


@pytest.mark.parametrize("seed", SEEDS)
def test_validation_films_come_from_training_films_alone(seed: int) -> None:
    dataset = films(seed, patients=600)
    split = np.where(assign_shares(dataset.patients, dataset.labels, (0.8, 0.2), 99) == 1, "test", "train")
    roles = assign_roles(dataset.with_column("split", split), 0.15, 0.3, seed).table["role"]
    assert ((roles == "test") == (split == "test")).all()
    assert abs((roles[split == "train"] == "val").mean() - 0.15) < 0.03


def test_films_without_a_split_are_assigned_to_all_roles_by_share() -> None:
    roles = assign_roles(films(patients=1500), validation=0.25, test=0.2, seed=0)
    table = pd.crosstab(roles.labels, roles.table["role"], normalize="index")
    assert np.abs(table[["test", "train", "val"]].to_numpy() - [0.2, 0.6, 0.2]).max() < 0.03
    assert sides(roles).max() == 1


def test_a_dataset_with_validation_films_gets_no_others() -> None:
    rows = [(f"{i}.png", "normal", f"p{i}", "val" if i < 3 else "train") for i in range(40)]
    roles = assign_roles(dataset_of(rows), 0.5, 0.2, 0).table
    assert set(roles.index[roles["role"] == "val"]) == {0, 1, 2}


def test_a_patient_with_test_films_is_never_in_validation() -> None:
    rows = [(f"{i}-{s}.png", "normal", f"p{i}", s) for i in range(10) for s in ("train", "test")]
    rows += [(f"{i}.png", "normal", f"p{i}", "train") for i in range(10, 20)]
    for seed in SEEDS:
        roles = assign_roles(dataset_of(rows), 0.3, 0, seed)
        val = set(roles.patients[roles.table["role"] == "val"])
        assert val
        assert not val & set(roles.patients[roles.table["role"] == "test"])


def test_each_dataset_of_a_join_is_split_by_itself() -> None:
    one, other = films(1, name="one"), films(2, name="other")
    alone = assign_roles(one, 0.2, 0.2, 0).table["role"]
    joined = assign_roles(Dataset.join([one, other]), 0.2, 0.2, 0).table
    assert list(joined["role"][joined["dataset"] == "one"]) == list(alone)


def test_without_shares_all_is_training() -> None:
    assert set(assign_roles(films(), 0, 0, 0).table["role"]) == {"train"}
    for validation, test in ((1, 0), (0, -0.1)):
        with raises_code("dataset.share"):
            assign_roles(films(), validation, test, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_folds_have_whole_patients_and_equal_shares_of_all_labels(seed: int) -> None:
    dataset = films(seed, patients=1000)
    fold = folds(dataset, 5, seed)
    assert pd.Series(fold).groupby(dataset.patients).nunique().max() == 1
    table = pd.crosstab(dataset.labels, fold, normalize="index")
    assert np.abs(table.to_numpy() - 0.2).max() < 0.03


def test_labels_with_fewer_patients_than_folds_leave_no_fold_empty() -> None:
    dataset = simple({f"label{n}": 3 for n in range(12)})
    for seed in SEEDS:
        assert sorted(np.bincount(folds(dataset, 5, seed), minlength=5)) == [7, 7, 7, 7, 8]
    mixed = simple({"normal": 50, "rare": 3, "rarer": 2})
    table = pd.crosstab(mixed.labels, folds(mixed, 5, 0))
    assert table.to_numpy()[0].tolist() == [10] * 5
    assert table.loc[["rare", "rarer"]].sum().tolist() == [1] * 5


def test_folds_need_at_least_as_many_patients() -> None:
    with raises_code("dataset.folds"):
        folds(simple({"normal": 4}), 5, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_draw_is_exact_and_keeps_patients_apart(seed: int) -> None:
    drawn = draw_counts(films(seed), {"normal": 60, "bacterial": 40}, test_per_label=15, seed=seed)
    table = pd.crosstab(drawn.labels, drawn.table["role"])
    assert table.loc["normal"].to_dict() == {"test": 15, "train": 45}
    assert table.loc["bacterial"].to_dict() == {"test": 15, "train": 25}
    assert sides(drawn).max() == 1
    assert not drawn.table["path"].duplicated().any()


def test_a_draw_of_all_films_succeeds() -> None:
    dataset = simple({"normal": 30, "viral": 10}, films_each=2)
    drawn = draw_counts(dataset, {"normal": 60, "viral": 20}, test_per_label=6, seed=0)
    assert len(drawn) == 80
    assert sides(drawn).max() == 1


def test_draws_differ_by_seed_and_not_by_order_of_rows() -> None:
    dataset = films()
    mixed = Dataset("set", dataset.table.sample(frac=1, random_state=1).reset_index(drop=True))
    chosen = {
        seed: set(draw_counts(dataset, {"normal": 30}, 10, seed).table[["path", "role"]].itertuples(index=False))
        for seed in (0, 1)
    }
    again = set(draw_counts(mixed, {"normal": 30}, 10, 0).table[["path", "role"]].itertuples(index=False))
    assert chosen[0] == again
    assert chosen[0] != chosen[1]


def test_both_roles_are_drawn_from_one_pool_without_official_test_patients() -> None:
    rows = [(f"{i}.png", "normal", f"p{i % 30}", "test" if i < 10 else "train" if i < 20 else "") for i in range(40)]
    drawn = draw_counts(dataset_of(rows), {"normal": 20}, 8, 0).table
    assert not set(drawn["patient_id"]) & {f"p{i}" for i in range(10)}
    assert set(drawn["split"]) == {"train", ""}
    assert set(drawn.loc[drawn["role"] == "test", "split"]) == {"train", ""}
    with raises_code("dataset.too-few-films"):
        draw_counts(dataset_of(rows), {"normal": 21}, 8, 0)


def test_an_impossible_draw_is_refused() -> None:
    with raises_code("dataset.too-few-films"):
        draw_counts(simple({"normal": 20}), {"normal": 10, "viral": 5}, 0, 0)
    with raises_code("dataset.patients-overlap"):
        draw_counts(simple({"normal": 5}, films_each=2), {"normal": 10}, 3, 0)
    with raises_code("dataset.test-count"):
        draw_counts(simple({"normal": 20}), {"normal": 10}, 11, 0)


def test_real_datasets_keep_their_official_test_films(films: Path) -> None:
    joined = Dataset.join([Dataset.open(path) for path in sorted(films.glob("*/manifest.csv"))])
    roles = assign_roles(joined, 0.15, 0.2, 0)
    placed = joined.table["split"] != ""
    assert ((roles.table["role"] == "test")[placed] == (joined.table["split"] == "test")[placed]).all()
    assert sides(roles).max() == 1
