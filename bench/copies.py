"""How many X-rays of datasets are copies of one another, and how long it takes to find them.

    python bench/copies.py --data FOLDER [--data FOLDER ...]

The datasets are taken as one, as in a training. Prints seconds on the clock and of the CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.datasets.quality.copies import merged_films, with_copies_as_one_patient  # noqa: E402
from cxr.datasets.quality.duplicates import groups_of_copies, thumbnails_on_disk  # noqa: E402
from cxr.datasets.quality.fingerprints import read_fingerprints  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, type=Path)
    dataset = open_datasets(parser.parse_args().data)
    with thumbnails_on_disk() as thumbnails:
        clocks = [(time.time(), time.process_time())]
        fingerprints, _ = read_fingerprints(dataset, thumbnails, None)
        clocks.append((time.time(), time.process_time()))
        found = groups_of_copies(list(fingerprints.values()), thumbnails)
        clocks.append((time.time(), time.process_time()))
    rows = list(fingerprints)
    groups = [[rows[i] for i in group] for group in found]
    merged = with_copies_as_one_patient(dataset, groups)
    for name, k in (("read", 0), ("compared", 1)):
        wall_s, cpu_s = (clocks[k + 1][clock] - clocks[k][clock] for clock in (0, 1))
        print(f"{name} in {wall_s:.0f} s ({cpu_s:.0f} s of a CPU)")
    across = sum(dataset.table["dataset"].iloc[group].nunique() > 1 for group in groups)
    copies, before, after = sum(map(len, groups)), dataset.patients, merged.patients
    print(f"{len(dataset)} X-rays; {copies} are copies in {len(groups)} groups, {across} across datasets")
    print(f"{merged_films(merged)} are of different patients: {before.nunique()} patients become {after.nunique()}")
    print(f"most X-rays of one: {before.value_counts().max()} before, {after.value_counts().max()} after")


if __name__ == "__main__":
    main()
