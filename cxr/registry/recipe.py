"""A recipe: every choice that turns films into a model, validated, frozen, read from and written to TOML."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from cxr.core.access import current_person
from cxr.core.bounded_files import read_regular
from cxr.core.errors import RecipeError
from cxr.registry.recipe_sections import (
    MAX_TEXT,
    AugmentationSettings,
    BackboneSettings,
    DataSettings,
    DecisionSettings,
    HeadSettings,
    InputSettings,
    OptimizerSettings,
    RecipeSection,
    TrainingSettings,
)
from cxr.registry.shapes import weight_count
from cxr.registry.starting_file import weights_file

MAX_BYTES = 100_000  # of a recipe's file
MAX_WEIGHTS = 160_000_000  # of a network: VGG19 with its published head has 144 million
BUILT_IN = Path(__file__).parent / "recipes"


class Recipe(RecipeSection):
    """All settings of a training."""

    name: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="The recipe's name.")
    about: str = Field("", max_length=MAX_TEXT, description="Summary, in a sentence.")
    origin: str = Field("", max_length=MAX_TEXT, description="Source.")
    published: str = Field("", max_length=MAX_TEXT, description="Published results.")
    data: DataSettings = DataSettings()
    input: InputSettings = InputSettings()
    trunk: BackboneSettings = BackboneSettings()
    head: HeadSettings = HeadSettings()
    optimiser: OptimizerSettings = OptimizerSettings()
    training: TrainingSettings = TrainingSettings()
    decision: DecisionSettings = DecisionSettings()
    augmentation: AugmentationSettings = AugmentationSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.head.output == "sigmoid" and self.data.classes and len(self.data.classes) != 2:
            raise ValueError("head.output = sigmoid is for two classes; use softmax")
        if self.trunk.train == "all" and self.training.views:
            raise ValueError("training.views needs frozen layers; with trunk.train = all, set it to 0")
        if self.head.keep and not self.trunk.weights.startswith("shelf:"):
            raise ValueError("head.keep needs a stored model to start from: trunk.weights = shelf:NAME")
        if self.optimiser.warmup_epochs and self.optimiser.schedule != "cosine":
            raise ValueError("optimiser.warmup_epochs needs optimiser.schedule = cosine")
        if self.data.draw and min(self.data.draw.values()) <= self.data.draw_test:
            raise ValueError("data.draw must be larger than data.draw_test, or no image is left for training")
        if (weights := weight_count(self)) > MAX_WEIGHTS:
            raise ValueError(
                f"this network has {weights / 1e6:,.0f} million weights, more than {MAX_WEIGHTS / 1e6:,.0f} million; "
                "use smaller head.dense, head.pool = average, or a smaller input.size_px"
            )
        return self

    @classmethod
    def read(cls, name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
        """The built-in recipe of that name, or the TOML file, with `section.key=value` overrides applied."""
        path = Path(name_or_path)
        if path.suffix != ".toml":
            path = BUILT_IN / f"{name_or_path}.toml"
        try:
            table = tomllib.loads(read_regular(path, MAX_BYTES).decode("utf-8"))
        except FileNotFoundError:
            known = ", ".join(built_in_names())
            raise RecipeError(f"There is no recipe '{name_or_path}'. Available: {known}; or a .toml file.") from None
        except OSError as error:
            raise RecipeError(f"The recipe {path.name} cannot be read: {error.strerror}.", code="unreadable") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecipeError(f"The recipe {path.name} is not valid TOML: {error}.", code="not-toml") from error
        table.setdefault("name", path.stem)
        for override in overrides:
            _override(table, override)
        return cls.from_table(table)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Recipe:
        """The recipe in a table as TOML has it; RecipeError if it is not valid."""
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise RecipeError(_sentence(error), code="invalid") from error

    @property
    def seed_of_views(self) -> int:
        """The seed of the order and the augmented views of training films.

        A training that goes on from a stored model may have its films, and the same seed, so that the split stays: it
        draws an order and views of its own, as those that the model was trained with are no longer new to it.
        """
        seed, weights = self.training.seed, self.trunk.weights
        if not weights.startswith("shelf:"):
            return seed
        return int.from_bytes(hashlib.sha256(f"{seed} {weights}".encode()).digest()[:4], "big")

    def with_absolute_weights(self) -> Recipe:
        """The recipe with the weights file's absolute path, for a process that starts in another folder."""
        if self.trunk.weights in ("imagenet", "none") or self.trunk.weights.startswith("shelf:"):
            return self
        path = weights_file(self.trunk.weights, current_person())
        return self.model_copy(update={"trunk": self.trunk.model_copy(update={"weights": str(path)})})

    def with_overrides(self, overrides: Iterable[str]) -> Recipe:
        """The recipe with `section.key=value` overrides applied."""
        table = self.model_dump(mode="json")
        for override in overrides:
            _override(table, override)
        return Recipe.from_table(table)

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """The recipe in a TOML text; RecipeError if it is not valid."""
        try:
            return cls.from_table(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"The recipe is not valid TOML: {error}.", code="not-toml") from error

    def to_toml(self) -> str:
        """The whole recipe as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json"))


def built_in_names() -> list[str]:
    """Names of the recipes that come with the library, sorted."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not last:
        raise RecipeError(f"'{override}' cannot be read. Write section.key=value, for example head.dropout=0.4.")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"'{override}': {section} is a value, not a section.")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        table[last] = text.strip()  # a bare word, as in trunk.weights=none


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key '{key}'")
        elif key:
            parts.append(f"{key}: {problem['msg'].lower()} (got {problem['input']!r})")
        else:
            parts.append(problem["msg"].removeprefix("Value error, "))
    return f"Invalid settings: {'; '.join(parts)}."
