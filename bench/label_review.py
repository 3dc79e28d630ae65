"""How far up the ranking of doubtful labels puts those that a second reading corrected: nih-adult.

    python bench/label_review.py --data DATA/nih-adult [--features imagenet vgg16-broad] [--with DATA/radiography]

Of the X-rays labeled pneumonia (mined from reports), `second-reading.csv` beside the manifest lists some that RSNA's
radiologists read as normal. This script alone opens that file; the ranking never sees it. The list is not complete: a
pneumonia that is not on it was not necessarily read again, so precision is a lower bound. Figures are within the
X-rays labeled pneumonia: the AUC of the doubt for being on the list, and how many of the first 30 are on it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.core.ranking import roc_auc  # noqa: E402
from cxr.evaluation.intervals import wilson_interval  # noqa: E402
from cxr.evaluation.label_review.ranking import LabelRanking, rank_dataset  # noqa: E402
from cxr.evaluation.metric_intervals import interval_of_auc  # noqa: E402

LABEL, NORMAL, FIRST = "pneumonia", "Normal", 30


def main() -> None:
    """Prints the figures of each backbone's ranking."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", nargs="+", default=["imagenet"])
    parser.add_argument("--with", nargs="+", default=[], dest="reference")
    args = parser.parse_args()
    with (args.data / "second-reading.csv").open(newline="") as file:
        corrected = {row["path"] for row in csv.DictReader(file) if row["readers"] == NORMAL}
    for backbone in args.features:
        references: list[list[str]] = [[], args.reference] if args.reference else [[]]
        for reference in references:
            report(rank_dataset([str(args.data)], backbone, lambda done, total: None, reference=reference), corrected)


def report(ranking: LabelRanking, corrected: set[str]) -> None:
    """Prints the figures of a ranking."""
    own = ranking.labels == ranking.classes.index(LABEL)
    films = ranking.films.table[own]
    wrong = films["path"].isin(corrected).to_numpy()
    doubt = -ranking.quality.margin[own]
    patient = pd.factorize(ranking.films.patients.to_numpy()[own])[0].astype(np.int64)
    first = np.argsort(-doubt, kind="stable")[:FIRST]
    given = roc_auc(own, ranking.probabilities[:, ranking.classes.index(LABEL)])
    hits, chance = int(wrong[first].sum()), wrong.mean()
    print(f"{ranking.backbone}: {len(wrong)} labeled {LABEL}, {int(wrong.sum())} of them on the list")
    print(f"    {ranking.reference_films} reference X-rays")
    print(f"    out-of-fold AUC for the given labels {given:.3f}; {ranking.trained_on} X-rays trained the backbone")
    print(f"    estimated wrong: { ({k: round(v.value) for k, v in ranking.wrong.items()}) }")
    print(f"    AUC of the doubt {interval_of_auc(wrong, doubt, patient).text()}")
    print(
        f"    of the first {FIRST}: {hits} ({wilson_interval(hits, FIRST).text()}), by chance {chance:.3f}", flush=True
    )


if __name__ == "__main__":
    main()
