"""`cxr revise`, `cxr revisions`: a dataset's labels, X-rays and patients corrected, with a record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json
from cxr.core.errors import DatasetError
from cxr.core.number_format import counted

if TYPE_CHECKING:
    from cxr.datasets.revisions.history import Revision

DatasetPath = Annotated[Path, typer.Argument(help="A folder or manifest.csv of X-rays; a ZIP is never changed.")]
_VERBS = {"relabel": "labeled", "exclude": "excluded", "merge-patients": "merged with"}


def revise(
    data: DatasetPath,
    relabel: Annotated[
        list[str] | None, typer.Option("--relabel", help="PATH=LABEL: another label for this X-ray; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="The path of an X-ray to leave out; repeatable.")
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option("--merge-patients", help="PATIENT=PATIENT: the first is the second; repeatable."),
    ] = None,
    restore: Annotated[int | None, typer.Option(help="Bring back the manifest from before this revision.")] = None,
    why: Annotated[str, typer.Option(help="The reason, which the record keeps.")] = "",
    as_json: Json = False,
) -> None:
    """Revise a dataset's manifest: relabel or exclude X-rays, merge patients. The old manifest is kept."""
    from cxr.datasets.revisions import history
    from cxr.datasets.revisions.edits import edits_from_words

    edits = edits_from_words(relabel or [], exclude or [], merge or [])
    if restore is not None and edits:
        raise DatasetError("Restore a manifest, or edit it, not both at once.", code="invalid-edit")
    revised = history.revise(data, edits, why) if restore is None else history.restore(data, restore, why)
    revision = revised.revision
    if as_json:
        console.print_json(revision.model_dump(mode="json"))
        return
    _print(revision)
    if revision.previous:
        typer.echo(f"The manifest before is {revision.previous}.")


def revisions(data: DatasetPath, as_json: Json = False) -> None:
    """List a dataset's revisions: who changed what, when and why."""
    from cxr.datasets.revisions import history

    known = history.revisions(data)
    if as_json:
        console.print_json([revision.model_dump(mode="json") for revision in known])
        return
    for revision in known:
        _print(revision)
    if not known:
        typer.echo("This dataset has not been revised.")


def _print(revision: Revision) -> None:
    """Prints a revision: a line for it, and one for each edit."""
    what = f"restored what was before revision {revision.restored}" if revision.restored else ""
    what = what or counted(len(revision.edits), "edit")
    why = f": {revision.why}" if revision.why else ""
    typer.echo(f"Revision {revision.number}, {revision.when}, {revision.who}, {what}{why}")
    for edit in revision.edits:
        before = f" (was {edit.before})" if edit.before and edit.value else ""
        typer.echo(f"    {edit.subject} {_VERBS.get(edit.kind, edit.kind)} {edit.value}{before}".rstrip())
