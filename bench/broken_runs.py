"""What becomes of trainings that are broken at random points: epochs, weights and models against an unbroken one.

    python bench/broken_runs.py [--kills 200] [--full-disks 20] [--epochs 30]
    python bench/broken_runs.py --kind evaluate [--kills 200] [--films 640]

A small network is trained on drawn films in processes of their own, once without a break, then as often as it takes.
Each process is killed with SIGKILL at a random moment, seen dead, and resumed, until the run is finished. Then the same
on a file system of 50 MB that something else fills to the last byte at a random moment, and makes free again when the
run has ended in words (Linux, as root: a mount that only this script sees). Prints a line a run. Ends with 1 where an
epoch is in the history twice or not at all, where weights differ by more than 1e-5 from those of the unbroken run,
where a dead run is shown as running for longer than 10 s, where partial files are left, or where the shelf holds
anything but one whole model a run. With another --kind, jobs of that kind are killed instead, and what they store is
compared with what an unbroken one stores.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.films.synthetic.phantom import draw_phantom_set  # noqa: E402
from cxr.jobs.job import JobKind  # noqa: E402
from cxr.registry import registry  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
from tests.support.broken_jobs import differences, films_of, result_of, work_broken, work_unbroken  # noqa: E402
from tests.support.broken_runs import (  # noqa: E402
    Breaking,
    compare,
    fill_the_disk,
    kill,
    registry_content_faults,
    stateful_recipe,
    train_broken,
    train_unbroken,
)

FILMS, SIZE_PX = 160, 64
DISK_MB = 50
MOST_KILLS = 5  # of one job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, most in {"kills": 200, "full-disks": 20, "epochs": 30}.items():
        parser.add_argument(f"--{option}", type=int, default=most)
    parser.add_argument("--kind", choices=list(JobKind), default=JobKind.TRAIN)
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--small-disk", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    recipe = stateful_recipe(options.epochs)
    with tempfile.TemporaryDirectory() as where:
        draw_phantom_set(films := Path(where) / "films", options.films, size_px=SIZE_PX)
        if options.small_disk:
            os.environ["CXR_HOME"] = str(options.small_disk)
            sys.exit(not trial(recipe, films, options.full_disks, fill_the_disk))
        os.environ["CXR_HOME"] = str(Path(where) / "home")
        if options.kind != JobKind.TRAIN:
            sys.exit(not trial_of_kind(JobKind(options.kind), films, options.kills, Path(where)))
        sound = trial(recipe, films, options.kills, kill)
        sys.exit(not (sound and (not options.full_disks or on_a_small_disk(Path(where)))))


def trial(recipe: Recipe, films: Path, times: int, breaking: Breaking) -> bool:
    """Runs until so many were broken; True where all of them ended as the unbroken one did."""
    first, broke, sound = train_unbroken(recipe, films), 0, True
    models = {first.status.model}
    while broke < times:
        run, count = train_broken(recipe, films, f"broken-{len(models)}", times - broke, breaking)
        compare(run, first, count)
        models.add(count.model)
        count.faults += registry_content_faults(models)
        broke, sound = broke + count.broken.total(), sound and not count.faults
        print(json.dumps({breaking.__name__: broke} | vars(count)), flush=True)
    return sound


def trial_of_kind(kind: JobKind, films: Path, times: int, where: Path) -> bool:
    """Jobs of a kind until so many processes were killed; True where all of them ended as the unbroken one did."""
    train_unbroken(stateful_recipe(2), films)
    card, films = registry.get_card("unbroken"), films_of(kind, films, where / "local")
    work_unbroken(kind, card, films, where / "whole")
    wanted = result_of(kind, registry.get_card(card.name), where / "whole")
    broke, sound = 0, True
    while broke < times:
        out = where / f"broken-{broke}"
        _, count = work_broken(kind, card, films, out, min(MOST_KILLS, times - broke))
        if not count.faults:
            count.faults += differences(result_of(kind, registry.get_card(card.name), out), wanted)
        broke, sound = broke + count.broken.total(), sound and not count.faults
        print(json.dumps({"kind": kind, "killed": broke} | vars(count)), flush=True)
    return sound


def on_a_small_disk(where: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() or not shutil.which("unshare"):
        print("No disk was filled: this takes Linux and the rights of root.")
        return True
    disk = where / "disk"
    disk.mkdir()
    again = shlex.join([sys.executable, *sys.argv, "--small-disk", str(disk)])
    mounted = f"mount -t tmpfs -o size={DISK_MB}m cxr {shlex.quote(str(disk))} && exec {again}"
    return subprocess.run(["unshare", "--mount", "sh", "-c", mounted]).returncode == 0


if __name__ == "__main__":
    main()
