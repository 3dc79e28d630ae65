"""A model's card: what is known of it. And what its folder on the shelf holds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cxr import DISCLAIMER
from cxr.core.errors import RecipeError, RegistryError
from cxr.registry.recipe import Recipe

WEIGHTS, RECIPE, CARD, EVALUATION = MEMBERS = ("weights.npz", "recipe.toml", "card.json", "evaluation.csv")
OPTIONAL = SHORTCUTS, GATE = ("shortcuts.json", "gate.npz")  # members that a model may have
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class InputCheckRecord(BaseModel):
    """What a model's gate was taught with, and what it said to frontal films that it was not."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    films: int = Field(ge=0)  # of the training
    kinds: dict[str, int]  # kind -> pictures: the films themselves, what was made of them, what was drawn
    held_out: int = Field(ge=0)  # validation films, all frontal
    let_through: int = Field(ge=0)  # of those, not refused
    unquestioned: int = Field(ge=0)  # of those, without a warning


class AgeRange(BaseModel):
    """The ages of the patients that a model was trained on, in years."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    youngest: float = Field(ge=0)  # 5 of 100 films are of younger patients
    oldest: float = Field(ge=0)  # and 5 of older ones
    known: int = Field(ge=1)  # films whose patient's age is known
    films: int = Field(ge=1)


class Statement(BaseModel):
    """What the people who trained a model say of it, for those who consider using it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intended_use: str = Field(max_length=4000)
    not_for: str = Field(max_length=4000)  # films and questions that it must not be used with
    data: str = Field(max_length=4000)  # where the films are from, ages, licences
    split: str = Field(max_length=4000)
    training: str = Field(max_length=4000)
    test_looks: int = Field(ge=1)  # how often results on the test films were looked at before this model was chosen
    failures: str = Field(max_length=4000)  # known ones

    @classmethod
    def read(cls, path: Path) -> Self:
        """The statement in a TOML file."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except OSError as error:
            raise RegistryError(f"{path.name} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RegistryError(f"{path.name} is no TOML file: {error}.") from error
        except ValidationError as error:
            raise RegistryError(f"{path.name} does not hold: {_where(error)}.") from error


class ModelDraft(BaseModel):
    """What a training knows about the model that it made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    classes: tuple[str, ...] = Field(min_length=2)
    groups: dict[str, tuple[str, ...]] = {}
    threshold: float | None = Field(None, ge=0, le=1)
    threshold_rule: str = ""
    temperature: float = Field(1.0, gt=0)  # of which the weights know already: never to be applied again
    temperature_rule: str = ""
    unsure: tuple[float, float] | None = None  # the scores that are no ground for either answer
    unsure_rule: str = ""  # what holds outside of it, or why there is none
    zca_rank: int = Field(0, ge=0)
    starting_weights: str = ""
    films: dict[str, dict[str, int]] = {}  # role (train, val, test) -> label -> films
    sources: dict[str, dict[str, int]] = {}  # source -> label -> films
    results: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()  # why the results may be too good
    device: str = ""
    precision: str = ""
    duration_s: float = Field(0.0, ge=0)
    run: str = ""  # the id of its training
    epochs: int = Field(0, ge=0)
    best_epoch: int = Field(0, ge=0)
    history: tuple[dict[str, float | None], ...] = ()  # a row an epoch; null is what was not a number
    gate: InputCheckRecord | None = None  # None: whether a picture is a film of its kind, nobody asks
    ages: AgeRange | None = None  # None: not known


class Card(ModelDraft):
    """A model's card: what a training knew, and what the shelf adds when it takes the model in."""

    format: Literal[1] = 1
    version: str
    created: str
    recipe: str
    size_px: int
    seed: int
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    gate_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    software: dict[str, str] = {}
    statement: Statement | None = None
    note: str = DISCLAIMER


def model_files(card: Card) -> tuple[str, ...]:
    """The files of this card's model."""
    return (*MEMBERS, GATE) if card.gate_sha256 else MEMBERS


def read_card(folder: Path) -> Card:
    try:
        return Card.model_validate_json((folder / CARD).read_bytes())
    except OSError as error:
        raise RegistryError(f"The model's {CARD} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise RegistryError(f"The model's {CARD} does not hold: {_where(error)}.") from error


def _where(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file itself'}: {first['msg']}"


def read_recipe(folder: Path) -> Recipe:
    try:
        return Recipe.from_table(tomllib.loads((folder / RECIPE).read_text("utf-8")))
    except OSError as error:
        raise RegistryError(f"The model's {RECIPE} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecipeError) as error:
        raise RegistryError(f"The model's {RECIPE} does not hold: {error}") from error
    except RecursionError:
        raise RegistryError(f"The model's {RECIPE} does not hold: it is nested without end.") from None
