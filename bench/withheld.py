"""Counts the frontal validation X-rays that a model withholds, and those turned or inverted on purpose.

    python -m bench.withheld --model vgg16-broad --data D

D is the folder of the datasets that the model was trained on. Test X-rays are not read.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxr.core.errors import FilmError
from cxr.core.number_format import percent
from cxr.evaluation.scores import read_films
from cxr.films.film import Film
from cxr.inference.classifier import Classifier
from cxr.inference.corrections import CORRECTIONS
from cxr.inference.input_check.findings import InputCheckCode
from cxr.inference.loading import load_classifier
from cxr.registry import registry

BATCH, CORRUPTED, SEED = 16, 60, 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    films = read_films(registry.evaluation_path(options.model))
    films = films[films["role"] == "val"].sample(frac=1, random_state=SEED)
    _count("as they are", classifier, _films(films, options.data))
    for correction in CORRECTIONS:
        chosen = _films(films.head(CORRUPTED), options.data)
        moved = (replace(film, pixels=np.ascontiguousarray(correction.apply(film.pixels))) for film in chosen)
        _count(correction.action, classifier, moved)


def _films(rows: pd.DataFrame, folder: Path) -> Iterator[Film]:
    for dataset, path in rows[["dataset", "path"]].itertuples(index=False):
        try:
            yield Film.read(folder / dataset / path)
        except FilmError as error:
            print(f"{dataset}/{path}: {error}")


def _count(what: str, classifier: Classifier, films: Iterator[Film]) -> None:
    checks = [prediction.input_check for prediction in classifier.read_many(films, BATCH)]
    withheld = sum(bool(check and check.rejected) for check in checks)
    reasons: Counter[InputCheckCode] = Counter(reason.code for check in checks if check for reason in check.reasons)
    words = ", ".join(f"{count} {code.value}" for code, count in reasons.most_common())
    print(f"{what:22} {withheld} of {len(checks)} withheld ({percent(withheld / len(checks), 1)}); {words}", flush=True)


if __name__ == "__main__":
    main()
