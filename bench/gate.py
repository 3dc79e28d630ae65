"""Teach a model's gate with its own training films, and count what it says of pictures that it was not taught with.

    python bench/gate.py --model NAME --data FOLDER --data FOLDER [--other FOLDER] [--photographs FOLDER]

`--data` are the datasets that the model was trained on, with whatever else lies in them; `--other` films of a hospital
that it was not trained on; `--photographs` a folder of folders of pictures that are no films. Laterals and CT slices in
`--data` are judged twice: by a gate that was taught with none of them, and by gates that were taught with those of
other patients (in four folds). Held-out films are of role test, or of patients of whom no film was trained on. Nothing
on the shelf is changed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.cli import console  # noqa: E402
from cxr.core.errors import FilmError  # noqa: E402
from cxr.datasets.dataset import Dataset, open_datasets  # noqa: E402
from cxr.evaluation.intervals import wilson_interval  # noqa: E402
from cxr.evaluation.model_evaluation import film_names, roles_in_training  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.synthetic.corruptions import CORRUPTIONS  # noqa: E402
from cxr.films.synthetic.non_xrays import draw_non_xray  # noqa: E402
from cxr.inference.classifier import Classifier  # noqa: E402
from cxr.inference.input_check.input_check import LATERAL, NOT_CHEST_XRAY, InputCheck, InputCheckResult  # noqa: E402
from cxr.inference.input_check.training_data import InputCheckExamples, collect_examples, out_of_scope_films  # noqa: E402
from cxr.registry import registry  # noqa: E402

FOLDS = 4
SPOILED_FILMS = 80
DRAWN_SEED = 1_000_000  # far from those of any lesson
Pictures = list[tuple[Film, NDArray[np.floating]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--films", type=int, default=200, help="at most so many held-out films of each source")
    asked = parser.parse_args()
    everything, recipe = open_datasets(asked.data), registry.get_recipe(asked.model)
    with console.bar("Reading films") as progress:
        names = film_names(everything, progress)
    everything = everything.with_column("role", roles_in_training(asked.model, names))
    role = everything.table["role"]
    own = everything.where(role != "")
    left = out_of_scope_films(everything, role.where(role == "train", ""), recipe.data.exclude_views)
    classifier = registry.load(asked.model)

    with console.bar("Teaching") as progress:
        lesson = collect_examples(
            classifier.features, classifier.size_px, own, left.where(np.zeros(len(left), bool)), 0, progress
        )
    odd = seen(classifier, films_of(left))
    kinds, patients = left.table["kind"].to_numpy(), left.patients.to_numpy()
    gate = InputCheck.fit(lesson)
    fold = folds_of(patients)
    taught = {
        f: InputCheck.fit(with_strangers(lesson, odd, kinds, fold != f)) for f in range(FOLDS) if (fold != f).any()
    }
    last = taught[FOLDS - 1] if taught else gate
    print(f"Gate of {asked.model}, {classifier.precision}. Taught with {lesson.films} of its training films:")
    print("  " + console.listed(Counter(lesson.kinds)) + f"; limits set on {len(lesson.held_out)} validation films.")
    told = console.listed(Counter(kinds)) or "none"
    print(f"  Left out of its classes, in four folds by patient: {told}. Size {size_kb(last):.0f} kB.\n")
    heading("the gate that was taught with no lateral and no CT slice", "refused", "questioned")

    def both(name: str, pictures: Pictures, right: str = "") -> None:
        row(name, [judged(gate, classifier, one) for one in pictures], right)
        if taught:
            row(f"{name} *", [judged(last, classifier, one) for one in pictures], right)

    for kind in (NOT_CHEST_XRAY, LATERAL):
        of_kind = np.flatnonzero(kinds == kind)
        name = "CT slices" if kind == NOT_CHEST_XRAY else "laterals"
        row(name, [judged(gate, classifier, odd[i]) for i in of_kind], kind)
        row(f"{name} *", [judged(taught[fold[i]], classifier, odd[i]) for i in of_kind], kind)
    held_out = held_out_films(everything, recipe.data.exclude_views, asked.films)
    for name, dataset in held_out.items():
        both(name, seen(classifier, films_of(dataset)))
    for path in asked.other:
        other = some(Dataset.open(path), asked.films)
        both(f"another hospital, {other.name}", seen(classifier, films_of(other)))
    for name, dataset in held_out.items():
        for kind, films in spoiled(some(dataset, SPOILED_FILMS)).items():
            both(f"{kind}, {name.split(', ')[-1]}", seen(classifier, films), kind)
    for folder in sorted(path for path in asked.photographs.iterdir() if path.is_dir()) if asked.photographs else ():
        both(folder.name, seen(classifier, readable(sorted(folder.iterdir()))), NOT_CHEST_XRAY)
    drawn = [film_of(draw_non_xray(DRAWN_SEED + number, 256)) for number in range(180)]
    both("drawn by the program, other seeds", seen(classifier, drawn), NOT_CHEST_XRAY)
    blank = [film_of(np.full((300, 300), level, np.uint8)) for level in (0, 30, 127, 200, 255)]
    both("blank", seen(classifier, blank), "blank")
    print("\n* by a gate taught with laterals and CT slices of other patients; refused and questioned do not overlap.")


def folds_of(patients: NDArray[np.object_]) -> NDArray[np.intp]:
    each, person = np.unique(patients.astype(str), return_inverse=True)
    return np.random.default_rng(0).permutation(len(each))[person] % FOLDS


def with_strangers(
    lesson: InputCheckExamples, odd: Pictures, kinds: NDArray[np.object_], chosen: NDArray[np.bool_]
) -> InputCheckExamples:
    features = np.stack([features for _, features in odd])[chosen]
    return replace(
        lesson,
        features=np.concatenate([lesson.features, features]),
        kinds=np.concatenate([lesson.kinds, kinds[chosen].astype(str)]),
    )


def held_out_films(everything: Dataset, excluded: Sequence[str], most: int) -> dict[str, Dataset]:
    """Frontal films of each dataset by which the model may be judged, named by what they are to it."""
    table, role = everything.table, everything.table["role"]
    trained_on = set(everything.patients[role.isin(("train", "val"))])
    new = (role == "test") | ((role == "") & ~everything.patients.isin(trained_on))
    frontal = ~table["view"].isin(excluded) & (table["label"] != "not-a-chest-xray")
    found = {}
    for name in table["dataset"].unique():
        dataset = everything.where(new & frontal & (table["dataset"] == name))
        kind = "held-out films" if (role[table["dataset"] == name] != "").any() else "another hospital"
        if len(dataset):
            found[f"{kind}, {name}"] = some(dataset, most)
    return found


def some(dataset: Dataset, most: int) -> Dataset:
    chosen = np.random.default_rng(0).permutation(len(dataset))[:most]
    return dataset.where(np.isin(np.arange(len(dataset)), chosen))


def films_of(dataset: Dataset) -> Iterator[Film]:
    return (dataset.read(i) for i in range(len(dataset)))


def spoiled(dataset: Dataset) -> dict[str, list[Film]]:
    found: dict[str, list[Film]] = {kind: [] for kind in (*CORRUPTIONS, "mirrored")}
    for place, film in enumerate(films_of(dataset)):
        rng = np.random.default_rng([7, place])
        for kind, spoil in CORRUPTIONS.items():
            found[kind].append(film_of(spoil(film.pixels, rng)))
        found["mirrored"].append(film_of(film.pixels[:, ::-1]))
    return found


def readable(paths: Iterable[Path]) -> Iterator[Film]:
    for path in paths:
        try:
            yield Film.read(path)
        except FilmError as error:
            print(f"  {path.name}: {error}", file=sys.stderr)


def film_of(pixels: NDArray[np.uint8]) -> Film:
    return Film(pixels=np.ascontiguousarray(pixels), format="PNG", bits=8)


def seen(classifier: Classifier, films: Iterable[Film]) -> Pictures:
    """Each film, and what the trunk makes of it."""
    shown = list(films)
    if not shown:
        return []
    return list(zip(shown, classifier.features(film.fitted(classifier.size_px) for film in shown), strict=True))


def judged(gate: InputCheck, classifier: Classifier, picture: tuple[Film, NDArray[np.floating]]) -> InputCheckResult:
    return gate.check(picture[1], picture[0], classifier.size_px)


def size_kb(gate: InputCheck) -> float:
    return sum(array.nbytes for array in gate.arrays().values()) / 1000


def heading(gate: str, *columns: str) -> None:
    print(f"{'pictures':38} {'n':>4}  " + "  ".join(f"{name:>22}" for name in columns) + "  reasons")
    print(f"without *: {gate}")


def row(name: str, verdicts: list[InputCheckResult], right: str = "") -> None:
    if not verdicts:
        return
    n, refused = len(verdicts), sum(verdict.rejected for verdict in verdicts)
    questioned = sum(bool(verdict.reasons) and not verdict.rejected for verdict in verdicts)
    reasons = Counter(reason.code for verdict in verdicts for reason in verdict.reasons)
    words = ", ".join(f"{kind} {count}" for kind, count in reasons.most_common())
    if right:
        words = f"right {share(reasons[right], n)}: {words}"
    print(f"{name:38} {n:4d}  {share(refused, n):>22}  {share(questioned, n):>22}  {words}", flush=True)


def share(part: int, whole: int) -> str:
    interval = wilson_interval(part, whole)
    return f"{100 * part / whole:.1f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


if __name__ == "__main__":
    main()
