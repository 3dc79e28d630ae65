"""The task of a run, stored as job.json: its kind, its inputs, the parameters of that kind, and who asked for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from cxr.core.access import LOCAL, REQUIRED_ROLE, Action, Person
from cxr.core.errors import RunError
from cxr.jobs.parameters import PARAMETERS, JobKind, Parameters, TrainParameters

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """One task: what is to be done, with what, and on whose behalf."""

    parameters: Parameters
    inputs: tuple[str, ...] = ()  # absolute paths
    by: str = LOCAL.name  # who started it

    @property
    def kind(self) -> JobKind:
        """The kind of work."""
        return self.parameters.kind

    @property
    def model(self) -> str | None:
        """The name of the model that is made, or that is used; None where there is none."""
        return self.parameters.model

    @property
    def person(self) -> Person:
        """The person on whose behalf the run's process works."""
        return LOCAL if self.by == LOCAL.name else Person(self.by, REQUIRED_ROLE[Action.TRAIN_MODEL])

    def uses(self, folder: str) -> bool:
        """Whether the job works on this folder or file, or on something in it."""
        place = Path(folder).resolve()
        return any(place in (path, *path.parents) for path in map(Path, self.inputs))

    def is_on(self, path: str) -> bool:
        """Whether this dataset is the job's only input."""
        return is_only(path, self.inputs)

    def parameters_as(self, kind: type[T]) -> T:
        """The parameters, if they are of this class; RunError where the job is of another kind."""
        if not isinstance(self.parameters, kind):
            raise RunError(f"This job is of the kind '{self.kind}'.", code="other-kind")
        return self.parameters

    @property
    def training(self) -> TrainParameters:
        """The parameters of a training; RunError where the job is of another kind."""
        return self.parameters_as(TrainParameters)

    def to_json(self) -> str:
        """The text of job.json."""
        return json.dumps(
            {"kind": self.kind, "inputs": self.inputs, "parameters": asdict(self.parameters), "by": self.by}
        )

    @classmethod
    def from_json(cls, data: bytes) -> Job:
        """The job in these bytes; a ValueError where there is none. Jobs of version 0.2 are trainings."""
        stored = json.loads(data)
        if not isinstance(stored, dict) or not {"inputs", "datasets"} & stored.keys():
            raise ValueError("not a job")
        if "kind" not in stored:
            return _from_0_2(stored)
        parameters = PARAMETERS[JobKind(stored["kind"])]
        return cls(
            adapter(parameters).validate_python(stored.get("parameters")),
            adapter(tuple[str, ...]).validate_python(stored.get("inputs")),
            adapter(str).validate_python(stored.get("by")),
        )


def is_only(path: str, inputs: Sequence[str]) -> bool:
    """Whether this dataset, however it is written, is the only one of these inputs."""
    return [Path(one).resolve() for one in inputs] == [Path(path).resolve()]


def training_job(
    recipe_toml: str,
    datasets: tuple[str, ...],
    model: str | None = None,
    fold: tuple[int, int] | None = None,
    left_out: str | None = None,
) -> Job:
    """The job of a training on these datasets."""
    return Job(TrainParameters(recipe_toml, model, fold, left_out), datasets)


def _from_0_2(stored: dict[str, Any]) -> Job:
    known = {name: stored[name] for name in ("recipe_toml", "model", "fold", "left_out") if name in stored}
    if unknown := stored.keys() - known.keys() - {"datasets", "by"}:
        raise ValueError(f"unknown: {sorted(unknown)}")
    parameters = adapter(TrainParameters).validate_python(known)
    datasets = adapter(tuple[str, ...]).validate_python(stored.get("datasets"))
    return Job(parameters, datasets, adapter(str).validate_python(stored.get("by", LOCAL.name)))


@cache
def adapter(kind: type[T]) -> TypeAdapter[T]:
    """What reads a value of this type; a ValueError where the value is another."""
    return TypeAdapter(kind)
