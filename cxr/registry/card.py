"""A model's card: everything known about a model except its weights. Also names the files in a model's folder."""

from __future__ import annotations

import tomllib
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cxr import DISCLAIMER
from cxr.core.bounded_files import read_regular
from cxr.core.errors import RecipeError, RegistryError
from cxr.registry.int8_record import Int8Record
from cxr.registry.local_fit import LocalFit
from cxr.registry.recipe import Recipe
from cxr.registry.recipe_sections import MAX_SEED
from cxr.registry.results import ModelResults, from_format_1
from cxr.registry.study_record import StudyRecord

WEIGHTS, RECIPE, CARD, EVALUATION = MEMBERS = ("weights.npz", "recipe.toml", "card.json", "evaluation.csv")
OPTIONAL = SHORTCUTS, INPUT_CHECK, INT8 = ("shortcuts.json", "gate.npz", "int8.npz")  # members that a model may have
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MAX_STATEMENT_BYTES = 100_000
CACHED = 64  # cards: a page asks for each many times whenever it is drawn
SHA256 = r"^[0-9a-f]{64}$"

Count = Annotated[int, Field(ge=0, le=10**12)]
ClassName = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
LabelCounts = dict[str, Count]
Digest = Annotated[str, Field(pattern=SHA256)]
Score = Annotated[float, Field(ge=0, le=1)]
EPOCH_COLUMNS = frozenset(("epoch", "loss", "accuracy", "val_loss", "val_accuracy"))  # in every row of a history


class CardSection(BaseModel):
    """The base of a card and its parts: frozen, no unknown keys, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputCheckRecord(CardSection):
    """The examples that a model's input check was trained on, and its results on frontal films held out of them."""

    films: Count  # of the training
    kinds: dict[str, Count]  # kind -> images: the films themselves, corrupted copies, synthetic images
    held_out: Count  # validation films, all frontal
    let_through: Count  # of those, not rejected
    unquestioned: Count  # of those, without a warning


class AgeRange(CardSection):
    """The ages of the patients that a model was trained on, in years."""

    youngest: float = Field(ge=0, le=200)  # 5 of 100 films are of younger patients
    oldest: float = Field(ge=0, le=200)  # and 5 of older ones
    known: int = Field(ge=1)  # films whose patient's age is known
    films: int = Field(ge=1)


class Statement(CardSection):
    """What the people who trained a model tell those who consider using it."""

    intended_use: str = Field(max_length=4000)
    not_for: str = Field(max_length=4000)  # films and questions that it must not be used for
    data: str = Field(max_length=4000)  # where the films are from, ages, licenses
    split: str = Field(max_length=4000)
    training: str = Field(max_length=4000)
    test_looks: int = Field(ge=1)  # how often test results were viewed before this model was chosen
    failures: str = Field(max_length=4000)  # known ones

    @classmethod
    def read(cls, path: Path) -> Self:
        """The statement in a TOML file."""
        try:
            return cls.model_validate(tomllib.loads(read_regular(path, MAX_STATEMENT_BYTES).decode("utf-8")))
        except OSError as error:
            raise RegistryError(f"{path.name} cannot be read: {error.strerror}.", code="statement") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RegistryError(f"{path.name} is not a valid TOML file: {error}.", code="statement") from error
        except ValidationError as error:
            raise RegistryError(f"{path.name} is not valid: {_first_problem(error)}.", code="statement") from error


class ModelDraft(CardSection):
    """What a training knows about the model that it made."""

    name: str
    classes: tuple[ClassName, ...] = Field(min_length=2, max_length=1000)
    groups: dict[str, tuple[str, ...]] = {}
    threshold: Score | None = None
    threshold_rule: str = ""
    temperature: float = Field(1.0, ge=1e-6, le=1e6)  # already applied to the weights: never to be applied again
    temperature_rule: str = ""
    unsure: tuple[Score, Score] | None = None  # the indeterminate band
    unsure_rule: str = ""  # what holds outside of it, or why there is none
    zca_rank: int = Field(0, ge=0)
    starting_weights: str = ""
    films: dict[Literal["train", "val", "test"], LabelCounts] = {}  # role -> label -> films
    sources: dict[str, LabelCounts] = {}  # source -> label -> films
    results: ModelResults = ModelResults()
    warnings: tuple[str, ...] = ()  # why the results may be too good
    device: str = ""
    precision: str = ""
    duration_s: float = Field(0.0, ge=0, le=1e10)
    run: str = ""  # the id of its training run
    epochs: Count = 0
    best_epoch: Count = 0
    history: tuple[dict[str, float | None], ...] = ()  # a row for each epoch; null if a value was not a number
    gate: InputCheckRecord | None = None  # None: the model has no input check
    ages: AgeRange | None = None  # None: not known
    local_fit: LocalFit | None = None  # to one hospital; None: as trained
    study: StudyRecord | None = None  # that it was chosen in; None: its settings were chosen by a person

    @field_validator("unsure")
    @classmethod
    def _band_has_its_ends_in_order(cls, band: tuple[float, float] | None) -> tuple[float, float] | None:
        if band is not None and band[0] > band[1]:
            raise ValueError("the band's lower end is above its upper end")
        return band

    @field_validator("history")
    @classmethod
    def _every_epoch_has_its_columns(cls, rows: tuple[dict[str, float | None], ...]) -> Any:
        if any(not row.keys() >= EPOCH_COLUMNS or row["epoch"] is None for row in rows):
            raise ValueError(f"every epoch needs {', '.join(sorted(EPOCH_COLUMNS))}")
        return rows

    @model_validator(mode="after")
    def _results_are_of_its_classes(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is listed twice")
        for role, results in self.results.by_role.items():
            if results.classes != self.classes:
                raise ValueError(f"results.{role} are of other classes")
        return self


class Card(ModelDraft):
    """A model's card: what a training knew, and what the registry adds when it stores the model.

    Format 2 has typed results and may have the digest of each file. A card of format 1, from version 0.1, is converted
    when it is read.
    """

    format: Literal[2] = 2
    version: str = Field(pattern=r"^[0-9a-f]{1,64}$")
    created: str
    recipe: str
    size_px: int = Field(ge=1)
    seed: int = Field(ge=0, le=MAX_SEED)
    weights_sha256: Digest
    gate_sha256: Digest | None = None
    recipe_sha256: Digest | None = None
    evaluation_sha256: Digest | None = None
    shortcuts_sha256: Digest | None = None
    int8: Int8Record | None = None  # None: the model has no int8 engine
    int8_sha256: Digest | None = None
    software: dict[str, str] = {}
    statement: Statement | None = None
    note: str = DISCLAIMER

    @model_validator(mode="before")
    @classmethod
    def _from_format_1(cls, card: Any) -> Any:
        if not isinstance(card, dict) or card.get("format") != 1:
            return card
        return card | {"format": 2} | ({"results": from_format_1(card["results"])} if "results" in card else {})

    @field_validator("created")
    @classmethod
    def _created_is_a_time(cls, created: str) -> str:
        datetime.fromisoformat(created)
        return created

    @model_validator(mode="after")
    def _records_have_their_digests(self) -> Self:
        if (self.gate is None) != (self.gate_sha256 is None):
            raise ValueError("gate and gate_sha256 belong together")
        if (self.int8 is None) != (self.int8_sha256 is None):
            raise ValueError("int8 and int8_sha256 belong together")
        return self

    @property
    def digests(self) -> dict[str, str | None]:
        """The SHA-256 of each file except the card itself; None for a file without a digest on the card."""
        return {
            WEIGHTS: self.weights_sha256,
            RECIPE: self.recipe_sha256,
            EVALUATION: self.evaluation_sha256,
            INPUT_CHECK: self.gate_sha256,
            SHORTCUTS: self.shortcuts_sha256,
            INT8: self.int8_sha256,
        }

    def to_json(self) -> str:
        """The text of the card's file."""
        return self.model_dump_json(indent=2) + "\n"


def model_files(card: Card) -> tuple[str, ...]:
    """The files that this card's model must have."""
    return (*MEMBERS, *(name for name in OPTIONAL if card.digests[name]))


@lru_cache(maxsize=CACHED)
def parse_card(data: bytes) -> Card:
    """The card in these bytes, shared by all who ask, to be read only; RegistryError if it is not valid."""
    try:
        return Card.model_validate_json(data)
    except ValidationError as error:
        raise RegistryError(f"The model's {CARD} is not valid: {_first_problem(error)}.", code="card") from error


def parse_recipe(data: bytes) -> Recipe:
    """The recipe in these bytes; RegistryError if it is not valid."""
    try:
        return Recipe.from_table(tomllib.loads(data.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecipeError) as error:
        reason = str(error).removesuffix(".")
        raise RegistryError(f"The model's {RECIPE} is not valid: {reason}.", code="recipe") from error
    except RecursionError:
        raise RegistryError(f"The model's {RECIPE} is not valid: it is nested too deeply.", code="recipe") from None


def _first_problem(error: ValidationError) -> str:
    """Where the first problem is, and what it is."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file itself'}: {first['msg']}"
