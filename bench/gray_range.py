"""How far P(finding) of `vgg16-broad` moves where a 16-bit image has hot pixels, a marker or a border.

    python bench/gray_range.py --data FOLDER [--films 12]

FOLDER holds the datasets of its training; its validation images are read, so many of each dataset.
Each is written into 16 bits (1,000 + 180 times its gray level), changed, and shown by percentiles: 0 is the range from
minimum to maximum. `moved` compares with the unchanged 16-bit image shown in the same way, `from 8 bits` with the
8-bit image itself; "inner" counts no pixel of the outer twentieths. A table before has the share of the training and
validation images, 120 of each dataset, whose values reach beyond the percentiles in use by more than some part of their
distance. With `--films 0` only that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from cxr.evaluation.scores import read_films  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.gray_range import inner, sampled_range  # noqa: E402
from cxr.inference.classifier import Classifier  # noqa: E402
from cxr.inference.loading import load_classifier  # noqa: E402
from cxr.registry import registry  # noqa: E402

RANGES = {"0": (0, 0.0), "0.5": (0.5, 0.0), "1": (1, 0.0), "0.5 inner": (0.5, 0.05)}  # percent, margin
PARTS = (0.25, 0.5, 1)
HIGHEST = 65535
MODEL = "vgg16-broad"

Stored = NDArray[np.uint16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--films", type=int, default=12, help="of each dataset")
    asked = parser.parse_args()
    print_tails(asked.data)
    if asked.films:
        print_changes([Film.read(path).pixels for path in films_of(asked.data, asked.films, ("val",))])


def print_tails(data: Path) -> None:
    """Prints how many images have values far beyond their percentiles, by dataset."""
    print(f"| dataset | images | {' | '.join(f'beyond {part:g}' for part in PARTS)} |")
    files = pd.Series(films_of(data, 120, ("train", "val")))
    for name, of_dataset in files.groupby([file.relative_to(data).parts[0] for file in files]):
        tails = np.array([tail(Film.read(path).pixels) for path in of_dataset])
        shares = " | ".join(f"{np.mean(tails > part):.3f}" for part in PARTS)
        print(f"| {name} | {len(tails)} | {shares} |", flush=True)


def tail(image: NDArray[np.uint8]) -> float:
    """How far values reach beyond the percentiles, in parts of the distance of these."""
    shown_range, counted = sampled_range(image), inner(image)
    beyond = max(shown_range.low - float(counted.min()), float(counted.max()) - shown_range.high)
    return beyond / max(1.0, shown_range.high - shown_range.low)


def print_changes(gray: Sequence[NDArray[np.uint8]]) -> None:
    """Prints how far P(finding) moves by each change, with each range."""
    classifier = load_classifier(MODEL, "float32")
    stored = [(1000 + 180 * pixels.astype(np.uint16)).astype(np.uint16) for pixels in gray]
    reference = findings(classifier, gray)
    print(f"{len(gray)} validation images")
    print("| change | percent | from 8 bits: mean | 95% | largest | moved: mean | 95% | largest | decisions |")
    clean: dict[str, NDArray[np.float64]] = {}
    for name, change in CHANGES.items():
        changed = [change(image) for image in stored]
        for title, (percent, margin) in RANGES.items():
            scores = findings(classifier, [shown(image, percent, margin) for image in changed])
            clean.setdefault(title, scores)
            from_8_bits, moved = abs(scores - reference), abs(scores - clean[title])
            threshold = classifier.threshold or 0.5
            flipped = int(((scores >= threshold) != (clean[title] >= threshold)).sum())
            print(f"| {name} | {title} | {summary(from_8_bits)} | {summary(moved)} | {flipped} |", flush=True)


def films_of(data: Path, most: int, roles: Sequence[str]) -> list[Path]:
    """The files of the model's images in these roles that are in the folder, so many of each dataset."""
    films = read_films(registry.evaluation_path(MODEL))
    chosen = films[films["role"].isin(roles)]
    files = [data / dataset / path for dataset, path in zip(chosen["dataset"], chosen["path"], strict=True)]
    places = chosen.assign(file=files)
    there = places[[file.is_file() for file in places["file"]]]
    samples = [group.sample(min(most, len(group)), random_state=0) for _, group in there.groupby("dataset")]
    return list(pd.concat(samples)["file"])


def findings(classifier: Classifier, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """P(finding) of each image."""
    squares = np.stack([Film.from_pixels(image).fitted(classifier.size_px) for image in images])[..., None]
    rows = [np.asarray(classifier.forward(squares[start : start + 32])[0]) for start in range(0, len(squares), 32)]
    return np.asarray(1 - np.concatenate(rows)[:, classifier.labels.negative or 0], np.float64)


def shown(image: Stored, percent: float, margin: float) -> NDArray[np.uint8]:
    """The gray levels of stored values between these percentiles of the image without a margin."""
    rows, columns = (int(margin * side) for side in image.shape)
    counted = image[rows : len(image) - rows, columns : image.shape[1] - columns]
    low, high = np.percentile(counted, (percent, 100 - percent), method="inverted_cdf")
    return np.rint(255 * np.clip((image - float(low)) / max(1.0, float(high) - float(low)), 0, 1)).astype(np.uint8)


def summary(differences: NDArray[np.float64]) -> str:
    """Mean, 95th percentile and largest of these."""
    return f"{differences.mean():.4f} | {np.quantile(differences, 0.95):.4f} | {differences.max():.4f}"


def one_hot(image: Stored) -> Stored:
    """One pixel a quarter brighter than the brightest."""
    changed = image.copy()
    changed[len(image) // 2, image.shape[1] // 2] = min(HIGHEST, round(1.25 * float(image.max())))
    return changed


def twenty(image: Stored, value: int) -> Stored:
    """Twenty pixels of this value."""
    changed = image.copy()
    random = np.random.default_rng(image.size)
    changed[random.integers(0, len(image), 20), random.integers(0, image.shape[1], 20)] = value
    return changed


def marked(image: Stored) -> Stored:
    """A side marker of the largest value."""
    mask = Image.new("L", image.shape[::-1])
    font = ImageFont.load_default(max(12, len(image) // 14))
    ImageDraw.Draw(mask).text((0.06 * image.shape[1], 0.06 * len(image)), "L", 255, font=font)
    return np.where(np.asarray(mask) > 128, HIGHEST, image).astype(np.uint16)


def bordered(image: Stored, share: float, value: int) -> Stored:
    """A border of this share of the shorter side."""
    width = max(1, round(share * min(image.shape)))
    changed = np.full_like(image, value)
    changed[width:-width, width:-width] = image[width:-width, width:-width]
    return changed


CHANGES = {
    "none": lambda image: image,
    "1 pixel 25% brighter": one_hot,
    "20 white pixels": lambda image: twenty(image, HIGHEST),
    "20 black pixels": lambda image: twenty(image, 0),
    "white marker": marked,
    "black border of 1%": lambda image: bordered(image, 0.01, 0),
    "white border of 0.1%": lambda image: bordered(image, 0.001, HIGHEST),
    "white border of 1%": lambda image: bordered(image, 0.01, HIGHEST),
}


if __name__ == "__main__":
    main()
