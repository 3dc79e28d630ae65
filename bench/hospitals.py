"""How models read the X-rays of each source, those they were not trained on first.

    python bench/hospitals.py --model NAME [--model NAME ...] --data FOLDER [FOLDER ...]
                              [--left-out SCORES] [--out FILE] [--most 400]

Each model reads at most so many X-rays of each source and side (healthy, ill), drawn with a fixed seed: of a source
that it was trained on its test X-rays, of another one all. A source without healthy X-rays is compared with the healthy
adults of the sources that the model does not know, where there are any, else with those of its test set. SCORES is the
table that a cross-validation by source has stored: each source as a model reads it that was trained without it, at the
threshold of that model. Prints a Markdown table; FILE gets the same as JSON, by model and source.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.cli import console  # noqa: E402
from cxr.core.errors import FilmError  # noqa: E402
from cxr.datasets.dataset import Dataset, open_datasets  # noqa: E402
from cxr.evaluation.intervals import proportion_interval  # noqa: E402
from cxr.evaluation.metric_intervals import interval_of_auc
from cxr.evaluation.model_evaluation import film_ids  # noqa: E402
from cxr.evaluation.scores import PREFIX, read_scores  # noqa: E402
from cxr.evaluation.training_films import roles_in_training  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.inference.classifier import Classifier  # noqa: E402
from cxr.inference.input_check.findings import WITHHELD, InputCheckCode, InputCheckResult  # noqa: E402
from cxr.inference.loading import load_classifier  # noqa: E402

NORMAL, CHILDREN = "normal", "kermany"
NO_LABELS = ("other", "not-a-chest-xray")
FEWEST = 10  # films of a side below which there is no AUC


@dataclass(frozen=True)
class Row:
    """How one model reads one source."""

    model: str
    source: str
    known: bool  # whether the model was trained on other films of this source
    healthy: int
    ill: int
    auc: str
    healthy_called_ill: str
    ill_called_ill: str
    withheld: float | None  # the share of all films that the input check takes for no chest X-ray, or for another view
    unlike: float | None


def main() -> None:
    """Reads the X-rays and prints a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--left-out", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--most", type=int, default=400)
    options = parser.parse_args()
    dataset = frontal(open_datasets(options.data))
    with console.bar("Hashing files") as progress:
        dataset = dataset.with_column("film", film_ids(dataset, progress))
    rows: list[Row] = []
    for name in options.model:
        rows += of_model(name, dataset, options.most)
    if options.left_out:
        rows += of_left_out(read_scores(options.left_out))
    print(table(rows))
    if options.out:
        by_model: dict[str, dict[str, Any]] = {}
        for row in rows:
            by_model.setdefault(row.model.partition(" ")[0], {})[row.source] = asdict(row)
        options.out.write_text(json.dumps(by_model, indent=1) + "\n")


def frontal(dataset: Dataset) -> Dataset:
    """The frontal X-rays whose label says whether there is a finding."""
    rows = dataset.table
    return dataset.where((~rows["view"].isin(["L", "CT"]) & ~rows["label"].isin(NO_LABELS)).to_numpy())


def of_model(name: str, dataset: Dataset, most: int) -> list[Row]:
    """The rows of a stored model: sources that it does not know first."""
    classifier = load_classifier(name)
    roles = roles_in_training(name, dataset.table["film"].tolist())
    films = dataset.with_column("role", roles).with_column("patient", dataset.patients.tolist())
    known = set(films.table.loc[films.table["role"] != "", "source"])
    usable = films.where(((films.table["role"] == "test") | ~films.table["source"].isin(known)).to_numpy())
    scores = scores_of(classifier, sample(usable, most))
    return list(_rows(f"{classifier.card.name} {classifier.card.version}", scores, known))


def of_left_out(scores: pd.DataFrame) -> list[Row]:
    """The rows of a cross-validation by source: nothing here was known to the model that read it."""
    normal = scores[PREFIX + NORMAL] if PREFIX + NORMAL in scores else scores[scores.filter(like=PREFIX).columns[0]]
    scores = scores.assign(score=1 - normal, positive=scores.get("positive"), reason="")
    return list(_rows("left out", scores, set()))


def sample(dataset: Dataset, most: int) -> Dataset:
    """At most so many films of each source and side."""
    side = dataset.table["source"] + "/" + (dataset.table["label"] == NORMAL).astype(str)
    order = np.random.default_rng(0).permutation(len(dataset))
    place = side.iloc[order].groupby(side.iloc[order]).cumcount()
    kept = np.zeros(len(dataset), bool)
    kept[order[(place < most).to_numpy()]] = True
    return dataset.where(kept)


def scores_of(classifier: Classifier, dataset: Dataset) -> pd.DataFrame:
    """Score, decision and the input check's reason for each film that can be read."""
    kept: list[int] = []

    def films(progress: Callable[..., None]) -> Iterator[Film]:
        for n, row in enumerate(dataset.table.itertuples()):
            progress(n, len(dataset))
            try:
                film = Film.read(Path(str(row.root)) / str(row.path))
            except FilmError:
                continue
            kept.append(n)
            yield film

    read: list[tuple[float, bool, str]] = []
    negative = classifier.classes[classifier.labels.negative or 0]
    with console.bar(f"Reading with {classifier.card.name}") as progress:
        for one in classifier.read_many(films(progress)):
            check = one.input_check
            reason = "" if check is None else _reason(check)
            read.append((one.positive_probability, one.decision != negative, reason))
    columns = pd.DataFrame(read, columns=["score", "positive", "reason"])
    return pd.concat([dataset.table.iloc[kept].reset_index(drop=True), columns], axis=1)


def _reason(check: InputCheckResult) -> str:
    codes = {reason.code for reason in check.reasons}
    return "withheld" if codes & WITHHELD else "unlike" if InputCheckCode.UNLIKE_TRAINING in codes else ""


def _rows(model: str, scores: pd.DataFrame, known: set[str]) -> Iterator[Row]:
    healthy = (scores["label"] == NORMAL).to_numpy()
    source = scores["source"].to_numpy(str)
    person = scores["dataset"] + "/" + scores["patient"].astype(str)
    score, positive = scores["score"].to_numpy(float), scores["positive"].to_numpy()
    unknown = ~np.isin(source, list(known))
    adults = healthy & (source != CHILDREN)
    others = adults & unknown if (adults & unknown).sum() >= FEWEST else adults
    for name in sorted(set(source), key=lambda one: (one in known, one)):
        own = source == name
        compared = own & healthy if (own & healthy).sum() >= FEWEST else others
        ill = own & ~healthy
        yield Row(
            model,
            name,
            name in known,
            int((own & healthy).sum()),
            int(ill.sum()),
            _auc(score, ill, compared, person.to_numpy(str)),
            _share(positive, own & healthy, person.to_numpy(str)),
            _share(positive, ill, person.to_numpy(str)),
            float((scores["reason"][own] == "withheld").mean()) if known else None,
            float((scores["reason"][own] == "unlike").mean()) if known else None,
        )


def _auc(
    score: NDArray[np.float64], ill: NDArray[np.bool_], healthy: NDArray[np.bool_], person: NDArray[np.str_]
) -> str:
    if min(ill.sum(), healthy.sum()) < FEWEST:
        return ""
    both = ill | healthy
    return interval_of_auc(ill[both], score[both], _numbered(person[both])).text(2)


def _share(positive: NDArray[np.object_], part: NDArray[np.bool_], person: NDArray[np.str_]) -> str:
    if not part.any() or pd.isna(positive[part]).any():
        return ""
    return proportion_interval(positive[part].astype(bool), _numbered(person[part])).text(2)


def _numbered(person: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(person, return_inverse=True)[1]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| model | source | healthy, ill | AUC | healthy called ill | ill called ill | withheld | unlike |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"{row.source}, test X-rays" if row.known else f"**{row.source}**"
        shares = ["" if share is None else f"{share:.1%}" for share in (row.withheld, row.unlike)]
        cells = [row.model, name, f"{row.healthy}, {row.ill}", row.auc, row.healthy_called_ill, row.ill_called_ill]
        lines.append("| " + " | ".join([*cells, *shares]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
