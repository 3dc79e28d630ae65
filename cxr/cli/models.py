"""`cxr models`: the shelf on the command line."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.console import Data, Json
from cxr.core.errors import RegistryError


class Kind(StrEnum):
    zip = "zip"
    keras = "keras"
    onnx = "onnx"
    tflite = "tflite"


app = typer.Typer(help="The shelf: every model, and which one is in use.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every model on the shelf; the one in use is starred."""
    from cxr.registry import registry

    listing, default = registry.list_models(), registry.default_name()
    if as_json:
        models = [card.model_dump(mode="json") | {"default": card.name == default} for card in listing.cards]
        console.print_json({"models": models, "damaged": listing.damaged})
        return
    for card in listing.cards:
        star = "*" if card.name == default else " "
        typer.echo(f"{star} {card.name:28} {card.version}  {card.created[:16]}  {', '.join(card.classes)}")
    for name, reason in listing.damaged.items():
        typer.echo(f"! {name:28} {reason}")
    if not listing.cards and not listing.damaged:
        typer.echo("The shelf is empty. Train a model: python -m cxr train RECIPE --data FOLDER")


@app.command("show")
def show(name: str, as_json: Json = False) -> None:
    """A model's card."""
    from cxr.registry import registry

    card = registry.get_card(name).model_dump(mode="json")
    if as_json:
        console.print_json(card)
        return
    for key, value in card.items():
        typer.echo(f"{key:18} {value if isinstance(value, str) else json.dumps(value)}")


@app.command("gate")
def gate(name: str, data: Data, as_json: Json = False) -> None:
    """Give a model a gate, taught with films it was trained on: it then says what the model must not be asked about."""
    from cxr.jobs import input_check_training

    with console.bar("Reading films") as progress:
        record = input_check_training.add_input_check(name, data, progress).gate
    if record and as_json:
        console.print_json({"model": name, "gate": record.model_dump(mode="json")})
    elif record:
        typer.echo(
            f"'{name}' has a gate, taught with {record.films} of its training films. Of {record.held_out} validation "
            f"films it lets {record.let_through} through, {record.unquestioned} of them without a warning."
        )


@app.command("revise")
def revise(
    name: str,
    new: str,
    overrides: Annotated[
        list[str],
        typer.Option("--set", help="As decision.rule=sensitivity; may be given again."),
    ],
    as_json: Json = False,
) -> None:
    """Put a model on the shelf once more, with another rule for its threshold or another band; nothing is trained."""
    from cxr.evaluation.revision import revise as revised

    card = revised(name, new, overrides)
    if as_json:
        console.print_json(card.model_dump(mode="json"))
        return
    said = "no threshold" if card.threshold is None else f"the threshold {card.threshold:.4f} ({card.threshold_rule})"
    typer.echo(f"'{new}' is on the shelf, with {said}.")


@app.command("describe")
def describe(name: str, path: Annotated[Path, typer.Argument(help="A TOML file, as docs/shipped-model.toml.")]) -> None:
    """Put what its makers say of it on a model's card: intended use, data, known failures."""
    from cxr.registry import registry
    from cxr.registry.card import Statement

    registry.set_statement(name, Statement.read(path))
    typer.echo(f"The card of '{name}' says so now.")


@app.command("promote")
def promote(name: str, as_json: Json = False) -> None:
    """Put a model into use."""
    from cxr.registry import registry

    registry.promote(name)
    console.print_json({"model": name}) if as_json else typer.echo(f"'{name}' is in use.")


@app.command("rollback")
def rollback(as_json: Json = False) -> None:
    """Put the model that was in use before back into use."""
    from cxr.registry import registry

    name = registry.roll_back()
    console.print_json({"model": name}) if as_json else typer.echo(f"'{name}' is in use again.")


@app.command("rename")
def rename(name: str, new: str, as_json: Json = False) -> None:
    """Give a model another name; it stays in use if it was."""
    from cxr.registry import registry

    named = registry.rename(name, new).name
    console.print_json({"model": named}) if as_json else typer.echo(f"'{name}' is now '{named}'.")


@app.command("delete")
def delete(name: str, as_json: Json = False) -> None:
    """Take a model off the shelf for good; never the one in use."""
    from cxr.registry import registry

    registry.delete(name)
    console.print_json({"model": name}) if as_json else typer.echo(f"'{name}' is deleted.")


@app.command("export")
def export(
    name: str,
    path: Path,
    kind: Annotated[
        Kind, typer.Option("--format", help="zip: the whole model, to be imported elsewhere; else the network alone.")
    ] = Kind.zip,
    as_json: Json = False,
) -> None:
    """Write a model to one file."""
    if kind is Kind.zip:
        from cxr.registry import package

        written = package.export_model(name, path)
        console.print_json({"model": name, "file": str(written)}) if as_json else typer.echo(f"Wrote {written}")
        return
    from cxr.exchange.model_formats import export_format as convert
    from cxr.registry import registry

    made, card = convert(name, kind), registry.get_card(name)
    try:
        path.write_bytes(made.data)
    except OSError as error:
        raise RegistryError(f"{path} cannot be written: {error.strerror}.") from error
    said = (
        f"Wrote {path}. It takes grey pixels 0..255, (films, {card.size_px}, {card.size_px}, 1), and gives the "
        f"probabilities of {', '.join(card.classes)}."
    )
    console.print_json({"model": name, "file": str(path)}) if as_json else typer.echo(said)


@app.command("import")
def import_(
    path: Path,
    name: Annotated[str | None, typer.Option(help="Another name for it.")] = None,
    as_json: Json = False,
) -> None:
    """Take in a model that was exported; it is checked first."""
    from cxr.registry import package

    taken_in = package.import_model(path, name).name
    console.print_json({"model": taken_in}) if as_json else typer.echo(f"'{taken_in}' is on the shelf.")
