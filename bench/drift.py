"""How often drift watch raises a false alarm in a year, and how soon it sees a shift.

    python bench/drift.py [--years 500] [--rates 10 30 100]
    python bench/drift.py --readings FOLDER [--years 500]
    python bench/drift.py --read FOLDER --data D --model vgg16-broad

The first draws readings at random (cxr/drift/simulation.py): scores of two kinds of X-rays, places with heavy tails
that depend on each other. A year has 52 weeks with a Poisson number of readings around the rate; the reference is drawn
from the same, 250 X-rays. Then each shift is there from the first week on, and counted is how often it is seen within 4
weeks and within 13.

The second does the same with real X-rays, drawn with replacement from what the third has read: held-out X-rays of the
model's training sets, the same with other gray values, and X-rays of collections that the model does not know.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.drift.departure import Measure  # noqa: E402
from cxr.drift.simulation import NULL, Draw, Shift, drawn, simulated_year  # noqa: E402
from cxr.drift.tally import Observation, observe  # noqa: E402
from cxr.drift.watch import WEEKS_A_YEAR, DriftWatch  # noqa: E402
from cxr.evaluation.intervals import wilson_interval  # noqa: E402

SOON, LATER = 4, 13
SHIFTS = {
    "positive 50% -> 60%": Shift(positives=0.1),
    "positive 50% -> 70%": Shift(positives=0.2),
    "positive 50% -> 80%": Shift(positives=0.3),
    "questioned 2% -> 6%": Shift(questioned=0.04),
    "questioned 2% -> 12%": Shift(questioned=0.1),
    "features, half of the axes by 0.15 SD": Shift(places=0.15),
    "features, half of the axes by 0.3 SD": Shift(places=0.3),
    "features, half of the axes by 0.6 SD": Shift(places=0.6),
}
USUAL = "held out"
SHARES = (0.1, 0.25, 1.0)  # of the X-rays that are of another kind
READINGS = "readings.npz"
FILMS = 360  # held-out X-rays that are read; a fifth as many of each other kind


def main() -> None:
    """Prints the false alarms, then how often each shift is seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=500)
    parser.add_argument("--rates", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--readings", type=Path)
    parser.add_argument("--read", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="vgg16-broad")
    args = parser.parse_args()
    if args.read:
        read(args.read, args.data, args.model)
        return
    usual: Draw = drawn
    shifts: dict[str, Draw] = {name: partial(drawn, shift=shift) for name, shift in SHIFTS.items()}
    if args.readings:
        usual, shifts = real_readings(args.readings)
    for rate in args.rates:
        years = [simulated_year(seed, NULL, WEEKS_A_YEAR, rate, draw=usual, usual=usual) for seed in range(args.years)]
        alarms = sum(bool(year.departures) for year in years)
        of = {measure.value: sum(year.first(measure) is not None for year in years) for measure in Measure}
        share = wilson_interval(alarms, args.years).text()
        print(f"{rate} readings a week: false alarms in {alarms} of {args.years} years, {share}; {of}", flush=True)
    for rate in args.rates:
        for name, draw in shifts.items():
            sets = max(20, args.years // 5)
            found = [simulated_year(10_000 + seed, NULL, LATER, rate, draw=draw, usual=usual) for seed in range(sets)]
            soon, later = (sum(seen(year, weeks) for year in found) / sets for weeks in (SOON, LATER))
            print(f"{rate} readings a week, {name}: {soon:.0%} in 4 weeks, {later:.0%} in 13", flush=True)


def seen(year: DriftWatch, weeks: int) -> bool:
    """Whether any measure left the reference in the first of so many weeks."""
    return any(departure.week in list(year.weeks)[:weeks] for departure in year.departures)


def real_readings(folder: Path) -> tuple[Draw, dict[str, Draw]]:
    """What draws from the X-rays that were read, and what mixes others in, by name."""
    stored = np.load(folder / READINGS)
    kinds: dict[str, list[Observation]] = {}
    for i, kind in enumerate(stored["kind"]):
        score, questioned, places = stored["score"][i], bool(stored["questioned"][i]), stored["places"][i]
        rejected = bool(np.isnan(score))
        one = Observation(None if rejected else float(score), questioned, (), None if rejected else places)
        kinds.setdefault(str(kind), []).append(one)
    for kind, films in kinds.items():
        share = sum(film.questioned for film in films) / len(films)
        print(f"{kind}: {len(films)} X-rays, {share:.1%} questioned or rejected")
    mixes = {
        f"{share:.0%} {kind}": mixture(kinds[USUAL], films, share)
        for kind, films in kinds.items()
        if kind != USUAL
        for share in SHARES
    }
    return mixture(kinds[USUAL], kinds[USUAL], 0), mixes


def mixture(usual: list[Observation], others: list[Observation], share: float) -> Draw:
    """What draws usual readings, and this share of others."""

    def draw(rng: np.random.Generator, count: int) -> list[Observation]:
        other = rng.random(count) < share
        return [(others if mixed else usual)[rng.integers(len(others if mixed else usual))] for mixed in other]

    return draw


def read(folder: Path, data: Path, model: str) -> None:
    """Reads held-out X-rays, one of each patient, the same with other gray values, and X-rays of other collections."""
    from cxr.core.errors import FilmError
    from cxr.datasets.dataset import Dataset
    from cxr.evaluation.scores import read_scores
    from cxr.films.film import Film
    from cxr.inference.loading import load_classifier
    from cxr.registry import registry

    scores = read_scores(registry.evaluation_path(model))
    first = scores.drop_duplicates(["dataset", "patient"])
    largest = first["dataset"].value_counts().index[0]
    own = first[first["dataset"] == largest].sample(frac=1, random_state=0).head(FILMS)
    known = {str(row.path): data / str(row.dataset) / str(row.path) for row in own.itertuples()}
    plan: list[tuple[str, Path, Callable[[np.ndarray], np.ndarray]]] = [
        (USUAL, path, lambda p: p) for path in known.values()
    ]
    some = list(known.values())[: FILMS // 5]
    plan += [("darker (gamma 1.5)", path, lambda p: (255 * (p / 255) ** 1.5).astype(np.uint8)) for path in some]
    plan += [
        ("more contrast", path, lambda p: np.clip(1.4 * (p - 128.0) + 143, 0, 255).astype(np.uint8)) for path in some
    ]
    plan += [("upside down", path, lambda p: np.ascontiguousarray(np.rot90(p, 2))) for path in some]
    for other in sorted(data.iterdir()):
        if (other / "manifest.csv").is_file() and other.name != largest:
            table = Dataset.open(other).table.drop_duplicates("patient_id").sample(frac=1, random_state=0)
            plan += [(other.name, other / path, lambda p: p) for path in table["path"].head(FILMS // 5)]
    classifier = load_classifier(model)
    rows: list[tuple[str, Observation]] = []
    for number, (kind, path, change) in enumerate(plan):
        try:
            film = Film.from_pixels(change(Film.read(path.read_bytes()).pixels))
        except FilmError:
            continue
        (prediction,) = classifier.read_batch([film])
        rows.append((kind, observe(prediction, classifier.input_check)))
        if number % 50 == 0:
            print(f"{number} of {len(plan)}", file=sys.stderr, flush=True)
    places = next(one.places for _, one in rows if one.places is not None)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / READINGS,
        kind=np.array([kind for kind, _ in rows]),
        score=np.array([np.nan if one.score is None else one.score for _, one in rows]),
        questioned=np.array([one.questioned for _, one in rows]),
        places=np.stack([np.zeros_like(places) if one.places is None else one.places for _, one in rows]),
    )
    print(pd.Series([kind for kind, _ in rows]).value_counts().to_string())


if __name__ == "__main__":
    main()
