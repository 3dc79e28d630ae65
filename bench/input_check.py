"""Train a model's input check on its own training films, and count its results on images that it was not trained on.

    python bench/input_check.py --model NAME --data FOLDER --data FOLDER [--other FOLDER] [--photographs FOLDER]

`--data` are the datasets that the model was trained on, with whatever else is in them; `--other` films of a hospital
that it was not trained on; `--photographs` a folder of folders of images that are no X-rays. Laterals and CT slices in
`--data` are checked twice: by an input check trained with none of them, and by ones trained with those of other
patients (in four folds). Held-out films are of role test, or of patients of whom no film was used in training. Nothing
in the registry is changed.
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
from cxr.core.number_format import percent  # noqa: E402
from cxr.datasets.dataset import Dataset, open_datasets  # noqa: E402
from cxr.evaluation.intervals import wilson_interval  # noqa: E402
from cxr.evaluation.model_evaluation import film_ids  # noqa: E402
from cxr.evaluation.training_films import roles_in_training  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.synthetic.corruptions import CORRUPTIONS  # noqa: E402
from cxr.films.synthetic.non_xrays import draw_non_xray  # noqa: E402
from cxr.inference.classifier import Classifier  # noqa: E402
from cxr.inference.input_check.detector import InputCheck  # noqa: E402
from cxr.inference.input_check.findings import InputCheckCode, InputCheckResult  # noqa: E402
from cxr.inference.input_check.training_data import (  # noqa: E402
    CORRUPTION_CODES,
    InputCheckExamples,
    collect_examples,
    out_of_scope_films,
)
from cxr.inference.loading import load_classifier  # noqa: E402
from cxr.registry import registry  # noqa: E402

FOLDS = 4
CORRUPTED_FILMS = 80
NON_XRAY_SEED = 1_000_000  # far from those of any training data
Images = list[tuple[Film, NDArray[np.floating]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--films", type=int, default=200, help="at most so many held-out films of each source")
    options = parser.parse_args()
    everything, recipe = open_datasets(options.data), registry.get_recipe(options.model)
    with console.bar("Reading films") as progress:
        names = film_ids(everything, progress)
    everything = everything.with_column("role", roles_in_training(options.model, names))
    role = everything.table["role"]
    own = everything.where(role != "")
    left = out_of_scope_films(everything, role.where(role == "train", ""), recipe.data.exclude_views)
    classifier = load_classifier(options.model)

    with console.bar("Training") as progress:
        examples = collect_examples(
            classifier.features, classifier.size_px, own, left.where(np.zeros(len(left), bool)), 0, progress
        )
    others = with_features(classifier, films_of(left))
    kinds, patients = left.table["kind"].to_numpy(), left.patients.to_numpy()
    check = InputCheck.fit(examples)
    fold = folds_of(patients)
    trained = {
        f: InputCheck.fit(with_out_of_scope(examples, others, kinds, fold != f))
        for f in range(FOLDS)
        if (fold != f).any()
    }
    last = trained[FOLDS - 1] if trained else check
    print(f"Input check of {options.model}, {classifier.precision}, trained on {examples.films} of its training films:")
    print(
        "  " + console.listed(Counter(examples.kinds)) + f"; limits set on {len(examples.held_out)} validation films."
    )
    counts = console.listed(Counter(kinds)) or "none"
    print(f"  Left out of its classes, in four folds by patient: {counts}. Size {size_kb(last):.0f} kB.\n")
    heading("the input check trained without laterals and CT slices", "rejected", "warned")

    def both(name: str, images: Images, right: str = "") -> None:
        row(name, [check_image(check, classifier, image) for image in images], right)
        if trained:
            row(f"{name} *", [check_image(last, classifier, image) for image in images], right)

    for kind in (InputCheckCode.NOT_CHEST_XRAY, InputCheckCode.LATERAL):
        of_kind = np.flatnonzero(kinds == kind)
        name = "CT slices" if kind == InputCheckCode.NOT_CHEST_XRAY else "laterals"
        row(name, [check_image(check, classifier, others[i]) for i in of_kind], kind)
        row(f"{name} *", [check_image(trained[fold[i]], classifier, others[i]) for i in of_kind], kind)
    held_out = held_out_films(everything, recipe.data.exclude_views, options.films)
    for name, dataset in held_out.items():
        both(name, with_features(classifier, films_of(dataset)))
    for path in options.other:
        other = sample(Dataset.open(path), options.films)
        both(f"another hospital, {other.name}", with_features(classifier, films_of(other)))
    for name, dataset in held_out.items():
        for corruption, films in corrupted(sample(dataset, CORRUPTED_FILMS)).items():
            code = CORRUPTION_CODES.get(corruption, "")
            both(f"{corruption}, {name.split(', ')[-1]}", with_features(classifier, films), code)
    for folder in (
        sorted(path for path in options.photographs.iterdir() if path.is_dir()) if options.photographs else ()
    ):
        both(folder.name, with_features(classifier, readable(sorted(folder.iterdir()))), InputCheckCode.NOT_CHEST_XRAY)
    drawn = [film_of(draw_non_xray(NON_XRAY_SEED + number, 256)) for number in range(180)]
    both("synthetic non-X-rays, other seeds", with_features(classifier, drawn), InputCheckCode.NOT_CHEST_XRAY)
    blank = [film_of(np.full((300, 300), level, np.uint8)) for level in (0, 30, 127, 200, 255)]
    both("blank", with_features(classifier, blank), InputCheckCode.BLANK)
    print("\n* trained with laterals and CT slices of other patients; rejected and warned do not overlap.")


def folds_of(patients: NDArray[np.object_]) -> NDArray[np.intp]:
    each, person = np.unique(patients.astype(str), return_inverse=True)
    return np.random.default_rng(0).permutation(len(each))[person] % FOLDS


def with_out_of_scope(
    examples: InputCheckExamples, others: Images, kinds: NDArray[np.object_], chosen: NDArray[np.bool_]
) -> InputCheckExamples:
    features = np.stack([features for _, features in others])[chosen]
    return replace(
        examples,
        features=np.concatenate([examples.features, features]),
        kinds=np.concatenate([examples.kinds, kinds[chosen].astype(str)]),
    )


def held_out_films(everything: Dataset, excluded: Sequence[str], most: int) -> dict[str, Dataset]:
    """Frontal films of each dataset by which the model may be check_image, named by what they are to it."""
    table, role = everything.table, everything.table["role"]
    trained_on = set(everything.patients[role.isin(("train", "val"))])
    new = (role == "test") | ((role == "") & ~everything.patients.isin(trained_on))
    frontal = ~table["view"].isin(excluded) & (table["label"] != "not-a-chest-xray")
    found = {}
    for name in table["dataset"].unique():
        dataset = everything.where(new & frontal & (table["dataset"] == name))
        kind = "held-out films" if (role[table["dataset"] == name] != "").any() else "another hospital"
        if len(dataset):
            found[f"{kind}, {name}"] = sample(dataset, most)
    return found


def sample(dataset: Dataset, most: int) -> Dataset:
    chosen = np.random.default_rng(0).permutation(len(dataset))[:most]
    return dataset.where(np.isin(np.arange(len(dataset)), chosen))


def films_of(dataset: Dataset) -> Iterator[Film]:
    return (dataset.read(i) for i in range(len(dataset)))


def corrupted(dataset: Dataset) -> dict[str, list[Film]]:
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


def with_features(classifier: Classifier, films: Iterable[Film]) -> Images:
    """Each film with its features."""
    present = list(films)
    if not present:
        return []
    return list(zip(present, classifier.features(film.fitted(classifier.size_px) for film in present), strict=True))


def check_image(
    check: InputCheck, classifier: Classifier, image: tuple[Film, NDArray[np.floating]]
) -> InputCheckResult:
    return check.check(image[1], image[0], classifier.size_px)


def size_kb(check: InputCheck) -> float:
    return sum(array.nbytes for array in check.arrays().values()) / 1000


def heading(check: str, *columns: str) -> None:
    print(f"{'images':38} {'n':>4}  " + "  ".join(f"{name:>22}" for name in columns) + "  reasons")
    print(f"without *: {check}")


def row(name: str, results: list[InputCheckResult], right: str = "") -> None:
    if not results:
        return
    n, rejected = len(results), sum(result.rejected for result in results)
    warned = sum(bool(result.reasons) and not result.rejected for result in results)
    counts = Counter(str(reason.code) for result in results for reason in result.reasons)
    words = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    if right:
        words = f"correct {share(counts[right], n)}: {words}"
    print(f"{name:38} {n:4d}  {share(rejected, n):>22}  {share(warned, n):>22}  {words}", flush=True)


def share(part: int, whole: int) -> str:
    interval = wilson_interval(part, whole)
    return f"{percent(part / whole, 1)} ({100 * interval.low:.0f}–{percent(interval.high)})"


if __name__ == "__main__":
    main()
