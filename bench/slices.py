"""How often a search for slices raises a false alarm, and how often it finds a slice that is there.

    python bench/slices.py [--sets 500] [--permutations 499] [--patients 200]

Each null set has one or two X-rays a patient, four columns, a class that is harder than the other and patients that are
harder than others, but no slice. Then women with the view AP get more errors, and the search must name them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.evaluation.intervals import wilson_interval  # noqa: E402
from cxr.evaluation.slices.search import find_slices  # noqa: E402
from tests.evaluation.slices.test_slices import null_cases  # noqa: E402

PLANTED = {"view": "AP", "sex": "F"}
EXTRA = (0.1, 0.2, 0.3, 0.4)  # of the error rate, in the planted slice


def main() -> None:
    """Prints the false-alarm rate with its interval, then how often the planted slice is reported and comes first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--permutations", type=int, default=499)
    parser.add_argument("--patients", type=int, default=200)
    args = parser.parse_args()
    alarms = 0
    for seed in range(args.sets):
        search = find_slices(null_cases(seed, args.patients), permutations=args.permutations)
        alarms += bool(search.significant)
    rate = wilson_interval(alarms, args.sets)
    print(f"false alarms: {alarms} of {args.sets}, {rate.text()}", flush=True)
    for extra in EXTRA:
        reported = first = 0
        sets = args.sets // 5
        for seed in range(sets):
            cases = null_cases(10_000 + seed, args.patients, extra)
            found = find_slices(cases, permutations=args.permutations).significant
            reported += bool(found)
            first += bool(found) and dict(found[0].candidate.values) == PLANTED
        print(f"{extra:.0%} more errors: reported in {reported} of {sets}, named exactly in {first}", flush=True)


if __name__ == "__main__":
    main()
