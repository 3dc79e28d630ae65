"""How often text is said to be burnt into films, and how often a name line that was painted into them is found.

    python bench/burnt_text.py --data FOLDER [--data FOLDER ...] [--films 300] [--tiles FILE.png]

Of a set that names test films only those are taken, as the limits were tried on others; of every set a part by lot.
Shares come with Wilson's 95 % intervals. Name lines are of several sizes and places, white on black or straight on the
film. `--tiles` writes a sheet of the films in which text was seen, for a look at whether it is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.evaluation.intervals import wilson_interval  # noqa: E402
from cxr.films.burned_in_text import contains_text  # noqa: E402
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom  # noqa: E402

NAMES = ("DOE^JANE", "SMITH JOHN 12.03.1947", "ID 4711-0815 KLEIN", "Maria Example 1961")
SHARES = (0.025, 0.035, 0.05)  # a line's height, of the film's
DRAWN = 60
TILE_PX, ACROSS = 160, 8

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, type=Path)
    parser.add_argument("--films", type=int, default=300, help="at most so many of each set")
    parser.add_argument("--tiles", type=Path)
    asked = parser.parse_args()
    flagged: list[Pixels] = []
    for path in asked.data:
        flagged += count(path.name, films_of(path, asked.films))
    count("drawn films", [draw_phantom(FINDINGS[seed % len(FINDINGS)], seed, 512).pixels for seed in range(DRAWN)])
    if asked.tiles and flagged:
        sheet(flagged).save(asked.tiles)


def films_of(path: Path, most: int) -> list[Pixels]:
    dataset = Dataset.open(path)
    named = dataset.table["split"] == "test"
    chosen = np.flatnonzero(named if named.any() else dataset.table["path"] != "")
    lot = np.random.default_rng(0).permutation(chosen)[:most]
    return [dataset.read(int(i)).pixels for i in lot]


def count(name: str, films: Sequence[Pixels]) -> list[Pixels]:
    """Prints how many hold text as they are and with a name line; gives those that do as they are."""
    seen = [film for film in films if contains_text(film)]
    clean = [film for film in films if not contains_text(film)]
    hits = [contains_text(painted(film, number)) for number, film in enumerate(clean)]
    print(f"{name}: {share(len(seen), len(films))} said to hold text", end="; ")
    print(f"with a name line {share(sum(hits), len(hits))} of the rest")
    return seen


def painted(film: Pixels, number: int) -> Pixels:
    """The film with a name line: each size on black and straight on the film, near each corner in turn."""
    words, height = NAMES[number % len(NAMES)], max(8, round(SHARES[number % len(SHARES)] * len(film)))
    image = Image.fromarray(film)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    x = height if number & 4 else max(0, image.width - right - height)
    y = height if number & 8 else max(0, image.height - bottom - height)
    if number & 1:
        pen.rectangle((x + left, y + top, x + right, y + bottom), fill=0)
    pen.text((x, y), words, 255, font=font)
    return np.asarray(image)


def share(part: int, whole: int) -> str:
    found = wilson_interval(part, whole)
    return f"{found.value:.1%} ({found.low:.0%} to {found.high:.0%}, {part} of {whole})"


def sheet(films: Sequence[Pixels]) -> Image.Image:
    rows = -(-len(films) // ACROSS)
    image = Image.new("L", (ACROSS * TILE_PX, rows * TILE_PX))
    for at, film in enumerate(films):
        tile = Image.fromarray(film)
        tile.thumbnail((TILE_PX, TILE_PX))
        image.paste(tile, (at % ACROSS * TILE_PX, at // ACROSS * TILE_PX))
    return image


if __name__ == "__main__":
    main()
