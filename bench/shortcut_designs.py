"""Count what the shortcut audit says of models whose shortcut, or lack of one, is known.

    python bench/shortcut_designs.py --data D/kermany [--model vgg16-broad] [--draws 10] [--only token]

Normal children's X-rays, one a patient, get labels at random, and those of the second class something that is no
disease: letters, another compression, gray curve or noise, an electrode. Or soft opacities in the lungs, which are
disease as far as an audit can know; or nothing. In each draw of labels models are trained on some of the patients and
audited on the others. On a stored model's frozen backbone: a head on each channel's mean, which hardly sees small
things, and one on the last maps, which knows where things are. With `--pixels`, a linear model of fine structure, pixel
by pixel, which learns letters at a fixed place and nothing of disease.

A false acquittal: the model has learned what was planted (the lower bound of its AUC is above 0.6) and the audit says
"not detected". A false alarm: nothing, or a disease, was planted and the audit says "suspected" or "high".
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.evaluation.shortcuts.audited_films import VIEWS, AuditedFilms, AuditSettings  # noqa: E402
from cxr.evaluation.shortcuts.image_properties import image_properties  # noqa: E402
from cxr.evaluation.shortcuts.measurement import measurements_of, own_results  # noqa: E402
from cxr.evaluation.shortcuts.probes import ProbeTarget, probe_probabilities  # noqa: E402
from cxr.evaluation.shortcuts.region_features import FilmWithLungs  # noqa: E402
from cxr.evaluation.shortcuts.report import LUNGS_ONLY, MASKED, WHOLE, ShortcutMeasurements  # noqa: E402
from cxr.evaluation.shortcuts.verdict import verdict_on  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.lung_segmentation import lung_mask  # noqa: E402
from cxr.inference.classifier import Prediction  # noqa: E402
from cxr.learning.starting_weights import STORED_MODEL, load_starting_weights  # noqa: E402
from cxr.registry.verification import load_verified  # noqa: E402

SIDE_PX, FILMS, SEED = 224, 300, 0
BATCH, PRECISION = 32, "bfloat16"
MODELS, PIXELWISE_PX = ("channel means", "maps", "pixels"), 112
PLACES = {"top left": (0.04, 0.04), "shoulder": (0.08, 0.20), "abdomen": (0.44, 0.90)}
POINTS = (7, 10, 14)
RESULTS = Path(__file__).with_suffix(".json")  # the rows of the table
RESAMPLES = 400
LEARNED = 0.6  # AUC that the head's lower bound must exceed
CLASSES = ("normal", "pneumonia")
UNCHANGED = "unchanged"
HEADER = """\
| planted | model | AUC whole / lungs only / masked | high | suspected | cannot tell | not detected | false |
|---|---|---|---|---|---|---|---|"""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]
Version = dict[str, list[tuple[Floats, Floats]]]  # view -> features and flattened maps of each X-ray


@dataclass(frozen=True)
class Design:
    """What is done to the X-rays of the first and of the second class."""

    name: str
    first: str
    second: str
    shortcut: bool = True


@dataclass(frozen=True, eq=False)
class Draw:
    """Random labels of all X-rays, and which of these train and test a model."""

    number: int
    label: NDArray[np.int64]
    train: NDArray[np.int64]
    tested: NDArray[np.int64]

    @classmethod
    def of(cls, number: int, count: int, tested: int = 0) -> Draw:
        """The draw of this number: half of the X-rays of either side are of the second class.

        The first `tested` X-rays are tested; if 0, a random half.
        """
        rng = np.random.default_rng(1000 + number)
        order = rng.permutation(count)
        sides = [rng.permutation(tested), tested + rng.permutation(count - tested)]
        if not tested:
            sides = [order[count // 2 :], order[: count // 2]]
        label = np.zeros(count, int)
        for side in sides:
            label[side[: len(side) // 2]] = 1
        return cls(number, label, sides[1], sides[0])


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model makes of the tested X-rays in each view."""

    features: dict[str, Floats]
    probabilities: dict[str, Floats]


@dataclass(frozen=True)
class Outcome:
    """What the audit says of one draw of labels."""

    design: str
    model: str
    draw: int
    aucs: dict[str, tuple[float, float, float]]  # of the model, by view
    level: str
    codes: tuple[str, ...]
    about: tuple[str, ...]

    @classmethod
    def from_json(cls, line: str) -> Outcome:
        """The outcome that is written in this line."""
        return cls(**json.loads(line))

    @property
    def learned(self) -> bool:
        """Whether the model has learned to tell the classes."""
        return self.aucs[WHOLE][1] > LEARNED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a dataset with normal X-rays")
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--size", type=int, default=SIDE_PX, help="side of the network's input, in pixels")
    parser.add_argument("--only", nargs="*", default=[""], help="designs whose name contains one of these")
    parser.add_argument("--pixels", action="store_true", help="a linear model of fine structure, pixel by pixel")
    parser.add_argument("--tested", type=int, default=0, help="X-rays to audit; the rest trains. 0: a random half")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--outcomes", type=Path, default=Path("outcomes.jsonl"), help="one line for each outcome")
    options = parser.parse_args()
    if options.data:
        options.outcomes.unlink(missing_ok=True)
        run(options)
    outcomes = [Outcome.from_json(line) for line in options.outcomes.read_text("utf-8").splitlines()]
    rows = {
        f"{design.name}, {model}": table_row(design, model, found)
        for design in designs()
        for model in MODELS
        if (found := [outcome for outcome in outcomes if (outcome.design, outcome.model) == (design.name, model)])
    }
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    print("\n".join([HEADER, *rows.values()]))


def run(options: argparse.Namespace) -> None:
    """Write the outcome of each draw of each design, as soon as it is known."""
    chosen = [design for design in designs() if any(part in design.name for part in options.only)]
    images = normal_films(Dataset.open(options.data), options.films)

    def write(done: Future[list[Outcome]]) -> None:
        with options.outcomes.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(outcome)) + "\n" for outcome in done.result())

    with TemporaryDirectory() as folder, ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        place = Path(folder)
        backbone: Features = Pixelwise(images) if options.pixels else Backbone(options.model, options.size)
        for design in chosen:
            sides = []
            for name in (design.first, design.second):
                if not (place / f"{name}.pickle").is_file():
                    write_version(name, images, options, place)
                sides.append(backbone.version(read_version(place, name)))
            for number in range(options.draws):
                draw = Draw.of(number, len(images), options.tested)
                answers = dict(models(sides, draw, backbone.models))
                pool.submit(audited, place, design, draw, answers).add_done_callback(write)
            print(f"{design.name}: models trained", flush=True)


def designs() -> Iterator[Design]:
    """All designs: nothing, a disease, and thirteen shortcuts."""
    yield Design("nothing", UNCHANGED, UNCHANGED, shortcut=False)
    yield Design("opacity in the lung", UNCHANGED, "opacity", shortcut=False)
    yield Design("JPEG quality 35 against 92", "jpeg 92", "jpeg 35")
    yield Design("gamma 0.8", UNCHANGED, "gamma")
    yield Design("noise of 4 gray levels", UNCHANGED, "noise")
    yield Design("electrode in the lung", UNCHANGED, "electrode")
    for points in POINTS:
        for place in PLACES:
            yield Design(f"token of {points} points, {place}", UNCHANGED, f"token {points} {place}")


def changed(pixels: Pixels, name: str, rng: np.random.Generator) -> Pixels:
    """The X-ray after the change of this name."""
    kind, _, rest = name.partition(" ")
    if kind == "token":
        points, _, place = rest.partition(" ")
        return with_token(pixels, int(points), PLACES[place])
    if kind == "jpeg":
        return recompressed(pixels, int(rest))
    if kind == "gamma":
        return np.rint(255 * (pixels / 255) ** 0.8).astype(np.uint8)
    changes = {"noise": with_noise, "electrode": with_electrode, "opacity": with_opacity}
    return changes[kind](pixels, rng) if kind in changes else pixels


def with_token(pixels: Pixels, points: int, position: tuple[float, float]) -> Pixels:
    """The X-ray with "AP" written at this place."""
    image = Image.fromarray(pixels)
    place = (position[0] * image.width, position[1] * image.height)
    ImageDraw.Draw(image).text(place, "AP", fill=255, font=ImageFont.load_default(points))
    return np.asarray(image)


def recompressed(pixels: Pixels, quality: int) -> Pixels:
    """The X-ray compressed once more; the audit does not see the header that would tell it."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def with_noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The X-ray with Gaussian noise."""
    return np.clip(np.rint(pixels + rng.normal(0, 4, pixels.shape)), 0, 255).astype(np.uint8)


def with_electrode(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The X-ray with an electrode and its lead over the lung at the left of the image."""
    scale = 4  # drawn larger and reduced, for smooth edges
    (x, y), radius = np.array([0.30, 0.45] + rng.normal(0, 0.02, 2)) * SIDE_PX * scale, 0.018 * SIDE_PX * scale
    gray, cover = (Image.new("L", (SIDE_PX * scale,) * 2) for _ in range(2))
    for image, (ring, middle, lead) in ((gray, (215, 250, 225)), (cover, (255, 255, 255))):
        drawing = ImageDraw.Draw(image)
        drawing.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ring, width=int(radius / 2))
        drawing.ellipse((x - radius / 3, y - radius / 3, x + radius / 3, y + radius / 3), fill=middle)
        drawing.line((x, y, x - 0.02 * image.width, y - 0.25 * image.width), fill=lead, width=int(radius / 3))
    drawn, covered = (
        np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX), float) for image in (gray, cover)
    )
    return np.rint(drawn + (1 - covered / 255) * pixels).astype(np.uint8)


def with_opacity(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The X-ray with soft opacities at random places in its lungs."""
    lungs = lung_mask(pixels)
    if lungs is None:
        return pixels
    inside, (y, x) = np.argwhere(ndimage.binary_erosion(lungs, iterations=6)), np.mgrid[:SIDE_PX, :SIDE_PX]
    cloud = np.zeros(pixels.shape)
    for row, column in inside[rng.integers(len(inside), size=rng.integers(2, 5))]:
        spread = rng.uniform(8, 16)
        cloud += np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * spread**2))
    smooth = ndimage.gaussian_filter(lungs.astype(float), 3)
    strength = 0.6 * np.clip(cloud, 0, 1) * smooth
    return np.rint(pixels + strength * np.maximum(0, np.percentile(pixels, 85) - pixels)).astype(np.uint8)


def normal_films(dataset: Dataset, count: int) -> list[Pixels]:
    """Normal X-rays at the network's size, one a patient, whose lungs are found."""
    normal = dataset.where((dataset.labels == "normal").to_numpy())
    first = normal.where(~normal.patients.duplicated().to_numpy())
    images: list[Pixels] = []
    for i in np.random.default_rng(SEED).permutation(len(first)).tolist():
        pixels = first.read(i).fitted(SIDE_PX)
        if lung_mask(pixels) is not None:
            images.append(pixels)
        if len(images) == count:
            break
    return images


def write_version(name: str, images: Sequence[Pixels], options: argparse.Namespace, folder: Path) -> None:
    """Write the X-rays after a change as an audit reads them; lungs not found after it are those from before it."""
    films, size_px = [], options.size
    for i, pixels in enumerate(images):
        film = Film.from_pixels(changed(pixels, name, np.random.default_rng(SEED + i)))
        if options.tested and i >= options.tested:  # trains only
            films.append(FilmWithLungs(film.fitted(size_px), np.zeros((size_px, size_px), bool), SIDE_PX, SIDE_PX))
            continue
        mask = lung_mask(film.pixels)
        lungs = lung_mask(pixels) if mask is None else mask
        assert lungs is not None
        properties = image_properties(film, b"", lungs)
        fitted = np.asarray(Image.fromarray(lungs).resize((size_px, size_px), Image.Resampling.NEAREST))
        films.append(FilmWithLungs(film.fitted(size_px), fitted, SIDE_PX, SIDE_PX, properties))
    (folder / f"{name}.pickle").write_bytes(pickle.dumps(films))


@cache
def read_version(folder: Path, name: str) -> list[FilmWithLungs]:
    """The X-rays after a change, which this program wrote."""
    return cast("list[FilmWithLungs]", pickle.loads((folder / f"{name}.pickle").read_bytes()))


class Features(Protocol):
    """What features and maps models are made of, and which of the two each model uses."""

    models: dict[str, int]

    def version(self, films: Sequence[FilmWithLungs]) -> Version:
        """The features and the flattened maps of these X-rays in each view."""


class Pixelwise:
    """Fine structure, pixel by pixel; its features are the 64 main components of unchanged X-rays."""

    def __init__(self, images: Sequence[Pixels]) -> None:
        from sklearn.decomposition import PCA

        self.models = {"pixels": 1}
        rows = np.stack([self.fine_structure(Film.from_pixels(image).fitted(PIXELWISE_PX)) for image in images])
        self.axes = PCA(64, random_state=SEED).fit(rows)

    @staticmethod
    def fine_structure(pixels: Pixels) -> Floats:
        """The pixels, less the mean of those around them."""
        small = np.asarray(Image.fromarray(pixels).resize((PIXELWISE_PX,) * 2, Image.Resampling.BILINEAR), np.float32)
        return (small - ndimage.uniform_filter(small, 7)).ravel()

    def version(self, films: Sequence[FilmWithLungs]) -> Version:
        """The components and the fine structure of these X-rays in each view."""
        found: Version = {}
        for view, images in views_of(films).items():
            rows = np.stack([self.fine_structure(image) for image in images])
            found[view] = list(zip(self.axes.transform(rows), rows, strict=True))
        return found


class Backbone:
    """The frozen backbone of a stored model, which looks at the same pixels once."""

    def __init__(self, name: str, size_px: int) -> None:
        from cxr.learning.network import build

        self.models = {"channel means": 0, "maps": 1}
        stored = load_verified(name)
        recipe = stored.recipe.with_overrides([f"input.size_px={size_px}", f"trunk.weights={STORED_MODEL}{name}"])
        network = build(recipe, len(CLASSES), PRECISION)
        load_starting_weights(network.model, recipe)
        self.network = network.maps_and_features
        self.known: dict[bytes, tuple[Floats, Floats]] = {}

    def version(self, films: Sequence[FilmWithLungs]) -> Version:
        """The features and the flattened maps of these X-rays in each view."""
        images = views_of(films)
        new = {image.tobytes(): image for drawn in images.values() for image in drawn}
        new = {key: image for key, image in new.items() if key not in self.known}
        if new:
            pixels = np.stack(list(new.values()))[..., None].astype(np.float32)
            maps, features = self.network.predict(pixels, BATCH, verbose=0)
            flat = maps.astype(np.float16).reshape(len(maps), -1)
            self.known |= dict(zip(new, zip(features, flat, strict=True), strict=True))
        return {view: [self.known[image.tobytes()] for image in drawn] for view, drawn in images.items()}


def views_of(films: Sequence[FilmWithLungs]) -> dict[str, list[Pixels]]:
    """The X-rays in each view; those without lungs, which come last, as a whole only."""
    return {
        view: [draw(film.pixels, film.lungs) for film in films if view == WHOLE or film.lungs.any()]
        for view, draw in VIEWS.items()
    }


def models(sides: Sequence[Version], draw: Draw, parts: dict[str, int]) -> Iterator[tuple[str, Answers]]:
    """The answers of the models that are trained in this draw, by name."""

    def chosen(view: str, part: int, films: NDArray[np.int64]) -> Floats:
        return np.stack([sides[draw.label[i]][view][i][part] for i in films]).astype(np.float32)

    features = {view: chosen(view, 0, draw.tested) for view in VIEWS}
    for name, part in parts.items():
        trained, label = chosen(WHOLE, part, draw.train), draw.label[draw.train]
        probabilities = {
            view: probe_probabilities(trained, label, chosen(view, part, draw.tested), len(CLASSES)) for view in VIEWS
        }
        yield name, Answers(features, probabilities)


def audited(folder: Path, design: Design, draw: Draw, answers: dict[str, Answers]) -> list[Outcome]:
    """What the audit says of each model in this draw; all but the models' own scores is measured once."""
    sides = [read_version(folder, name) for name in (design.first, design.second)]
    films = Dataset("designs", film_table(draw.label[draw.tested], draw.tested))
    target = ProbeTarget.from_values(films.labels, np.arange(len(draw.tested)), CLASSES)
    images = [sides[draw.label[i]][i] for i in draw.tested]
    measured, outcomes = None, []
    for model, answer in answers.items():
        predictions = {
            view: [prediction(*pair) for pair in zip(answer.probabilities[view], answer.features[view], strict=True)]
            for view in VIEWS
        }
        settings = AuditSettings(seed=draw.number, resamples=RESAMPLES)
        read = AuditedFilms(films, target, images, predictions, settings, "segmented")
        if measured is None:
            measured = measurements_of(read, films, lambda *_: None)
        else:
            measured = measured.model_copy(update={"model_scores": own_results(read)})
        outcomes.append(outcome(design, model, draw, measured))
    return outcomes


def outcome(design: Design, model: str, draw: Draw, measured: ShortcutMeasurements) -> Outcome:
    """The verdict on these measurements, with what it rests on."""
    verdict = verdict_on(measured)
    aucs = {result.name: (result.auc.value, result.auc.low, result.auc.high) for result in measured.model_scores}
    reasons = verdict.findings[: len(verdict.reasons)]
    codes, about = tuple(str(finding.code) for finding in reasons), tuple(finding.about for finding in reasons)
    return Outcome(design.name, model, draw.number, aucs, verdict.level, codes, about)


def film_table(label: NDArray[np.int64], films: NDArray[np.int64]) -> pd.DataFrame:
    """The X-rays as a dataset's table."""
    names = [str(i) for i in films]
    columns = {"dataset": "designs", "source": "kermany", "role": "", "path": names, "patient_id": names}
    return pd.DataFrame(columns | {"label": [CLASSES[k] for k in label]})


def prediction(probabilities: Floats, features: Floats) -> Prediction:
    """The head's prediction, without a heatmap."""
    empty = np.zeros((2, 1, 1), np.float32)
    return Prediction(
        classes=CLASSES,
        probabilities=probabilities.astype(np.float32),
        decision=CLASSES[int(probabilities.argmax())],
        threshold=None,
        heatmaps=empty,
        peaks=empty.max(axis=(1, 2)),
        positive_probability=float(probabilities[1]),
        features=features,
        model_ms=0,
    )


def table_row(design: Design, model: str, outcomes: Sequence[Outcome]) -> str:
    """A row of the table in docs/trust.md."""
    levels = Counter(outcome.level for outcome in outcomes)
    views = [np.median([outcome.aucs[view][0] for outcome in outcomes]) for view in (WHOLE, LUNGS_ONLY, MASKED)]
    areas = " / ".join(f"{value:.2f}" for value in views)
    learned = sum(outcome.learned for outcome in outcomes)
    if design.shortcut:
        false = sum(outcome.learned and outcome.level == "none found" for outcome in outcomes)
        verdict = f"{false} of {learned} acquitted"
    else:
        verdict = f"{levels['suspected'] + levels['shown']} of {len(outcomes)} alarmed"
    counts = " | ".join(str(levels[level]) for level in ("shown", "suspected", "cannot tell", "none found"))
    return f"| {design.name} | {model} | {areas} | {counts} | {verdict} |"


if __name__ == "__main__":
    main()
