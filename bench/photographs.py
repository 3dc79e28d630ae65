"""How many images of each dataset are said to have color, or to be photographs of films.

    python bench/photographs.py DATA [--most 900]

DATA is the folder of all datasets; of larger ones a sample is read.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas as pd  # noqa: E402

from cxr.films.film import Film  # noqa: E402
from cxr.films.film_warning import FilmWarning  # noqa: E402

DATASETS = ("photographed", "covid-cxnet", "covid-chestxray", "nih-adult", "tuberculosis", "radiography")


def main() -> None:
    """Print a line for each dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--most", type=int, default=900)
    options = parser.parse_args()
    for name in DATASETS:
        table = pd.read_csv(options.data / name / "manifest.csv", dtype=str, keep_default_na=False)
        paths = table["path"].sample(min(options.most, len(table)), random_state=0)
        found: Counter[str] = Counter()
        for path in paths:
            found.update(Film.read((options.data / name / path).read_bytes()).warnings)
        print(
            f"{name}: {len(paths)} read, photograph {found[FilmWarning.PHOTOGRAPH]}, color {found[FilmWarning.COLOR]}"
        )


if __name__ == "__main__":
    main()
