"""Every value of a recipe has bounds, and so has the network as a whole."""

from __future__ import annotations

from typing import Any, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from cxr.core.access import LOCAL, Person
from cxr.core.errors import RecipeError
from cxr.registry.hyperparameters import SECTIONS, hyperparameters
from cxr.registry.recipe import MAX_WEIGHTS, Recipe, built_in_names
from cxr.registry.shapes import weight_count
from cxr.registry.starting_file import weights_file

HUGE: list[tuple[str, str, Any]] = [
    ("training", "steps_per_epoch", 10**12),
    ("training", "patience", 10**9),
    ("training", "min_delta", 1e300),
    ("training", "seed", 2**64),
    ("optimiser", "warmup_epochs", 1e300),
    ("optimiser", "step_epochs", 10**9),
    ("optimiser", "clip_norm", 1e300),
    ("input", "zca_epsilon", 1e300),
    ("data", "draw_seed", 2**64),
    ("data", "draw_test", 10**12),
    ("data", "draw", {"normal": 10**12}),
    ("data", "draw", {"normal": -1}),
    ("data", "draw", {"x" * 1000: 5}),
    ("data", "classes", [str(number) for number in range(2000)]),
    ("data", "classes", ["x" * 1000, "normal"]),
    ("data", "leave_out", ["x"] * 2000),
    ("data", "exclude_views", ["x" * 1000]),
    ("data", "groups", {"pneumonia": ["x"] * 2000}),
    ("data", "groups", {"x" * 1000: ["viral"]}),
    ("data", "groups", {str(number): ["viral"] for number in range(2000)}),
    ("trunk", "weights", "x" * 5000),
    ("trunk", "train", "x" * 5000),
    ("head", "dense", [2**14 + 1]),
    ("head", "dense", [1] * 9),
    ("head", "dense", [-1]),
]


@pytest.mark.parametrize(("section", "key", "value"), HUGE, ids=lambda value: repr(value)[:30])
def test_a_value_without_measure_is_refused_by_name(section: str, key: str, value: Any) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_table({section: {key: value}})
    assert raised.value.code == "recipe.invalid"
    assert f"{section}.{key}" in str(raised.value)


@pytest.mark.parametrize("item", hyperparameters(), ids=lambda item: item.key)
def test_every_number_has_a_lowest_and_a_highest_value(item: Any) -> None:
    if item.kind in ("whole", "real"):
        assert item.low is not None
        assert item.high is not None


def test_every_text_has_a_longest_length() -> None:
    fields: list[FieldInfo] = [
        field
        for section in SECTIONS
        for field in (Recipe.model_fields[section].annotation.model_fields).values()
        if field.annotation is str
    ]
    assert fields
    assert all(any(hasattr(bound, "max_length") for bound in field.metadata) for field in fields)
    assert get_origin(Recipe.model_fields["data"].annotation) is None
    assert get_args(Recipe.model_fields["data"].annotation) == ()


@pytest.mark.parametrize(
    ("size_px", "pool", "dense"),
    [(224, "average", [15_000, 15_000]), (1024, "flatten", [512]), (32, "average", [16_384, 16_384])],
)
def test_a_network_of_too_many_weights_is_refused(size_px: int, pool: str, dense: list[int]) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_table({"input": {"size_px": size_px}, "head": {"pool": pool, "dense": dense}})
    assert raised.value.code == "recipe.invalid"
    assert "million weights" in str(raised.value)


@pytest.mark.parametrize("name", built_in_names())
def test_the_networks_that_come_with_the_library_are_below_the_limit(name: str) -> None:
    assert weight_count(Recipe.read(name), 1000) < MAX_WEIGHTS


# The file of starting weights

GUEST = Person("guest@example.org", "trainer")


@pytest.fixture
def folder(home: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    (home / "weights").mkdir()
    (home / "weights" / "a.npz").write_bytes(b"weights")
    (home / "secret.npz").write_bytes(b"secret")
    (home / "weights" / "out.npz").symlink_to(home / "secret.npz")
    monkeypatch.setenv("CXR_WEIGHTS", str(home / "weights"))
    monkeypatch.chdir(home)
    return home


def test_a_person_who_signed_in_gets_one_answer_for_every_other_path(folder: Any) -> None:
    assert weights_file("a.npz", GUEST) == folder / "weights" / "a.npz"
    assert weights_file(str(folder / "weights" / "a.npz"), GUEST) == folder / "weights" / "a.npz"
    answers = set()
    for source in (
        *(str(folder / "secret.npz"), "secret.npz", "../secret.npz", str(folder / "none.npz"), "out.npz", "none.npz"),
        *("/etc/passwd", "/etc/shadow", "/root", "/dev/zero", "/proc/self/environ", "", ".", "a\0b", "x" * 300),
    ):
        with pytest.raises(RecipeError) as raised:
            weights_file(source, GUEST)
        assert raised.value.code == "recipe.no-weights"
        answers.add(str(raised.value).replace(f"'{source}'", ""))
    assert len(answers) == 1
    assert str(folder) not in answers.pop()


def test_the_local_person_may_name_any_regular_file(folder: Any) -> None:
    assert weights_file("secret.npz", LOCAL) == folder / "secret.npz"
    for source in ("none.npz", "weights", "/dev/zero", "x" * 300):
        with pytest.raises(RecipeError):
            weights_file(source, LOCAL)
