"""`cxr audit`, `cxr phantom`: datasets on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json, takes_options
from cxr.core.number_format import counted

MAX_PATHS = 5  # printed for a finding; all of them are in the JSON


class Shortcut(StrEnum):
    """The artifacts that synthetic X-rays can have."""

    corner = "corner"
    border = "border"
    brightness = "brightness"


class PhantomMachine(StrEnum):
    """The X-ray machines that synthetic X-rays can come from."""

    first = "first"
    second = "second"


def audit(
    data: Annotated[
        list[str], typer.Argument(help="Folders, ZIP files or manifests of X-rays, audited as one dataset.")
    ],
    as_json: Json = False,
) -> None:
    """Audit a dataset for problems: duplicates, leakage between splits, confounding of source and class."""
    from cxr.datasets.dataset import open_datasets
    from cxr.datasets.labels import display_name
    from cxr.datasets.quality.audit import audit as audit_dataset

    with console.bar("Reading X-rays") as progress:
        result = audit_dataset(open_datasets(data), progress)
    if as_json:
        console.print_json(result.to_dict())
        return
    films, patients = counted(result.films, "X-ray"), counted(result.patients, "patient")
    counts = {display_name(label): count for label, count in result.by_label.items()}
    typer.echo(f"{films} from {patients}: {console.listed(counts)}")
    for finding in result.findings:
        typer.echo(f"{finding.severity.upper()}: {finding.sentence}")
        for path in finding.paths[:MAX_PATHS]:
            typer.echo(f"    {path}")
        if len(finding.paths) > MAX_PATHS:
            typer.echo(f"    and {len(finding.paths) - MAX_PATHS} more")


@dataclass(frozen=True)
class PhantomOptions:
    """The arguments of `cxr phantom`."""

    out: Annotated[Path, typer.Argument(help="The folder to create.")]
    films: Annotated[int, typer.Option(min=8, max=100_000, help="The number of X-rays.")] = 400
    seed: Annotated[int, typer.Option(min=0, help="The seed of the random numbers.")] = 0
    size: Annotated[int, typer.Option(min=32, max=2048, help="Width and height in pixels.")] = 256
    shortcut: Annotated[
        Shortcut | None,
        typer.Option(
            "--shortcut", "--plant", help="An artifact on every X-ray with a finding, for tests of shortcut audits."
        ),
    ] = None
    wrong_labels: Annotated[
        float, typer.Option(min=0, max=0.4, help="The share of training patients whose label is wrong, to find them.")
    ] = 0.0
    machine: Annotated[PhantomMachine, typer.Option(help="The X-ray machine: the second has other gray levels.")] = (
        PhantomMachine.first
    )
    as_json: Json = False


@takes_options(PhantomOptions)
def phantom(options: PhantomOptions) -> None:
    """Generate a dataset of synthetic X-rays."""
    from cxr.films.synthetic.flaws import Flaws
    from cxr.films.synthetic.phantom import draw_phantom_set

    flaws = Flaws(options.shortcut, options.wrong_labels, options.machine.value)
    with console.bar("Generating X-rays") as progress:
        manifest = draw_phantom_set(
            options.out, options.films, seed=options.seed, size_px=options.size, flaws=flaws, progress=progress
        )
    folder = manifest.parent
    if options.as_json:
        console.print_json({"dataset": str(folder), "films": options.films})
        return
    typer.echo(f"Generated {options.films} synthetic X-rays. To train on them: cxr train vgg16-default --data {folder}")
