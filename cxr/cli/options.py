"""Options that several commands share, and commands whose options are the fields of a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

Options = TypeVar("Options")
Data = Annotated[
    list[str], typer.Option("--data", help="A folder, ZIP or manifest.csv of X-rays; may be given several times.")
]
Model = Annotated[str | None, typer.Option("--model", help="A model in the registry; by default, the default model.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[bool, typer.Option("--wait/--detach", help="Show the progress, or run in the background.")]
RecipeName = Annotated[str, typer.Argument(help="The name of a recipe, or a .toml file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a value of the recipe, for example head.dropout=0.4; repeatable."),
]


def takes_options(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """A decorator for a command with one dataclass parameter: Typer reads its arguments from the dataclass's fields."""

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def from_words(**values: Any) -> None:
            command(options(**values))

        hints = get_type_hints(options, include_extras=True)
        parameters = [
            parameter.replace(annotation=hints[name])
            for name, parameter in inspect.signature(options).parameters.items()
        ]
        from_words.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        from_words.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return from_words

    return decorate
