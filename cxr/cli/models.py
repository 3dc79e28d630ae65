"""`cxr models`: the model registry on the command line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console, model_card
from cxr.cli.fit_model import fit_model
from cxr.cli.options import Data, Json
from cxr.cli.quantize import quantize
from cxr.core.errors import RegistryError
from cxr.core.number_format import counted, decimal

if TYPE_CHECKING:
    from cxr.registry.card import Card


class ExportFormat(StrEnum):
    """The formats that a model can be exported in."""

    zip = "zip"
    keras = "keras"
    onnx = "onnx"
    tflite = "tflite"


Name = Annotated[str, typer.Argument(help="A model in the registry.")]
NewName = Annotated[str, typer.Argument(help="The new name.")]

app = typer.Typer(help="List, show, export, import and promote models.", no_args_is_help=True)
app.command("fit")(fit_model)
app.command("card")(model_card.card)
app.command("quantize")(quantize)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all models; a star marks the default model."""
    from cxr.registry import default_model, stored_models

    listing, default = stored_models.list_models(), default_model.default_name()
    if as_json:
        models = [card.model_dump(mode="json") | {"default": card.name == default} for card in listing.cards]
        console.print_json({"models": models, "damaged": listing.damaged})
        return
    for card in listing.cards:
        star = "*" if card.name == default else " "
        typer.echo(f"{star} {card.name:28} {card.version}  {card.created[:16]}  {_class_names(card)}")
    for name, reason in listing.damaged.items():
        typer.echo(f"! {name:28} {reason}")
    if not listing.cards and not listing.damaged:
        typer.echo("There is no model yet. Train one: cxr train RECIPE --data FOLDER")


@app.command("show")
def show(name: Name, as_json: Json = False) -> None:
    """Show a model card; --json prints every value."""
    from cxr.registry import registry

    card = registry.get_card(name)
    if as_json:
        console.print_json(card.model_dump(mode="json"))
    else:
        from cxr.cli.card_text import card_text

        typer.echo(card_text(card, registry.get_recipe(name)))


@app.command("input-check")
@app.command("gate", hidden=True)  # its name in version 0.1
def input_check(name: Name, data: Data, as_json: Json = False) -> None:
    """Add an input check to a model; it is trained on the X-rays that the model was trained on."""
    from cxr.jobs import input_check_training

    with console.bar("Reading X-rays") as progress:
        record = input_check_training.add_input_check(name, data, progress).gate
    if record and as_json:
        console.print_json({"model": name, "gate": record.model_dump(mode="json")})
    elif record:
        typer.echo(
            f"Added an input check to '{name}', trained on {counted(record.films, 'X-ray')}. "
            f"Of {counted(record.held_out, 'validation X-ray')} it accepts {record.let_through}, "
            f"{record.unquestioned} of them without a warning."
        )


@app.command("revise")
def revise(
    name: Name,
    new: NewName,
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set", help="Override a value of the recipe, for example decision.rule=sensitivity; repeatable."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Copy a model with another decision threshold or indeterminate band; nothing is trained."""
    from cxr.evaluation.revision import revise as revised

    card = revised(name, new, overrides)
    if as_json:
        console.print_json(card.model_dump(mode="json"))
        return
    threshold = (
        "no threshold" if card.threshold is None else f"threshold {decimal(card.threshold, 4)} ({card.threshold_rule})"
    )
    typer.echo(f"Added '{new}' with {threshold}.")


@app.command("recompute")
def recompute(name: Name, as_json: Json = False) -> None:
    """Compute the results on a model card again from its stored scores, with the methods of this version."""
    from cxr.evaluation.revision import recompute_results

    card = recompute_results(name)
    if as_json:
        console.print_json(card.model_dump(mode="json"))
    else:
        typer.echo(f"Computed the results of '{name}' again.")


@app.command("describe")
def describe(
    name: Name,
    path: Annotated[
        Path, typer.Argument(help="A TOML file with the sections of docs/shipped-models/vgg16-broad.toml.")
    ],
) -> None:
    """Add intended use, training data and limitations to a model card."""
    from cxr.registry import registry
    from cxr.registry.card import Statement

    registry.set_statement(name, Statement.read(path))
    typer.echo(f"Updated the model card of '{name}'.")


@app.command("promote")
def promote(name: Name, as_json: Json = False) -> None:
    """Set a model as default."""
    from cxr.presentation.model_limitations import promotion_reasons
    from cxr.registry import default_model, registry

    default_model.promote(name)
    for reason in promotion_reasons(registry.get_card(name)):
        typer.echo(reason, err=True)
    console.print_json({"model": name}) if as_json else typer.echo(f"'{name}' is the default model.")


@app.command("rollback")
def rollback(as_json: Json = False) -> None:
    """Restore the previous default model."""
    from cxr.registry import default_model

    name = default_model.roll_back()
    console.print_json({"model": name}) if as_json else typer.echo(f"'{name}' is the default model again.")


@app.command("rename")
def rename(name: Name, new: NewName, as_json: Json = False) -> None:
    """Rename a model; a default model stays the default."""
    from cxr.evaluation.renaming import rename_model

    renamed = rename_model(name, new).name
    console.print_json({"model": renamed}) if as_json else typer.echo(f"Renamed '{name}' to '{renamed}'.")


@app.command("delete")
def delete(name: Name, as_json: Json = False) -> None:
    """Delete a model permanently; the default model cannot be deleted."""
    from cxr.registry import registry

    registry.delete(name)
    console.print_json({"model": name}) if as_json else typer.echo(f"Deleted '{name}'.")


@app.command("export")
def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    kind: Annotated[
        ExportFormat,
        typer.Option("--format", help="zip: the complete model, for import elsewhere; otherwise the network only."),
    ] = ExportFormat.zip,
    film_ids: Annotated[
        bool,
        typer.Option(
            "--film-ids",
            help="zip: keep the IDs of the X-rays in the scores, by which other models' scores name them too; "
            "otherwise they are salted.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Export a model to a file."""
    if kind is ExportFormat.zip:
        from cxr.registry import package

        written = package.export_model(name, path, film_ids)
        console.print_json({"model": name, "file": str(written)}) if as_json else typer.echo(f"Wrote {written}")
        return
    from cxr.exchange.model_formats import export_format as convert
    from cxr.registry import registry

    made, card = convert(name, kind), registry.get_card(name)
    try:
        path.write_bytes(made.data)
    except OSError as error:
        raise RegistryError(f"Cannot write {path}: {error.strerror}.", code="not-writable") from error
    message = (
        f"Wrote {path}. Input: grayscale pixels from 0 to 255, shape (batch, {card.size_px}, {card.size_px}, 1). "
        f"Output: probabilities of {_class_names(card)}."
    )
    console.print_json({"model": name, "file": str(path)}) if as_json else typer.echo(message)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A ZIP file that `cxr models export` wrote.")],
    name: Annotated[str | None, typer.Option(help="Import it under another name.")] = None,
    as_json: Json = False,
) -> None:
    """Import an exported model after checking the file."""
    from cxr.evaluation.shortcuts.audit_file import read_audit
    from cxr.registry import package

    imported = package.import_model(path, name, read_audit).name
    console.print_json({"model": imported}) if as_json else typer.echo(f"Imported '{imported}'.")


def _class_names(card: Card) -> str:
    from cxr.datasets.labels import display_name

    return ", ".join(display_name(name) for name in card.classes)
