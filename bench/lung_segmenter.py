"""Train the network that outlines the lungs, and measure it on patients that it was not trained on.

    python bench/lung_segmenter.py --data D/covid-chestxray [--epochs 160]
    python bench/lung_segmenter.py --data D/covid-chestxray --measure

`--data` is a dataset with outlines in its folder `lung-masks`. Patients, with copies of their X-rays under other
numbers, are divided once: a fifth is the test, a tenth chooses the epoch. The first command trains, with any backend of
Keras (`KERAS_BACKEND`), and writes `cxr/films/lung_segmenter.npz`. Both print the Dice coefficients of `lung_mask` with
the stored weights, and write them to `bench/lung_segmenter.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.lung_segmentation import CHANNELS, SIDE_PX, WEIGHTS, lung_mask, network_input  # noqa: E402

BATCH, RATE, SEED = 16, 2e-3, 0
RESULTS = Path(__file__).with_suffix(".json")
DRAWN_PX = 160  # films are kept at this size for augmentation
SAME_IMAGE = 0.985  # correlation of thumbnails of 32 by 32
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OutlinedFilm:
    """An X-ray and the outline of its lungs, both as squares."""

    film: Film
    pixels: NDArray[np.uint8]
    lungs: NDArray[np.uint8]
    patient: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=160)
    parser.add_argument("--measure", action="store_true", help="measure the stored weights, train nothing")
    options = parser.parse_args()
    train, val, test = divided(outlined_films(Dataset.open(options.data)))
    print(f"X-rays: {len(train)} train, {len(val)} validation, {len(test)} test", flush=True)
    if not options.measure:
        weights = {name: array.astype(np.float16) for name, array in fit(train, val, options.epochs).items()}
        np.savez_compressed(WEIGHTS, **weights)  # type: ignore[arg-type]
    results = {"validation": measured(val), "test": measured(test)}
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def outlined_films(dataset: Dataset) -> list[OutlinedFilm]:
    """The X-rays with an outline; copies under two patient numbers count as one patient."""
    root, films = Path(str(dataset.table["root"].iat[0])), []
    for i in range(len(dataset)):
        path = root / "lung-masks" / f"{Path(str(dataset.table['path'].iat[i])).stem}.png"
        if path.is_file() and dataset.table["view"].iat[i] != "CT":
            films.append((dataset.read(i), Film.read(path), str(dataset.patients.iat[i])))
    thumbnails = np.stack([film.fitted(32).astype(float).ravel() for film, _, _ in films])
    copies = np.corrcoef(thumbnails) > SAME_IMAGE
    names = np.array([patient for _, _, patient in films])
    patient = connected_components(copies | (names[:, None] == names[None]))[1]
    return [
        OutlinedFilm(film, film.fitted(DRAWN_PX), outline.fitted(DRAWN_PX), int(patient[i]))
        for i, (film, outline, _) in enumerate(films)
    ]


def divided(films: list[OutlinedFilm]) -> list[list[OutlinedFilm]]:
    """Train, validation and test: 70, 10 and 20% of the patients."""
    patients = np.random.default_rng(SEED).permutation(len({film.patient for film in films}))
    numbers = {patient: i for i, patient in enumerate(sorted({film.patient for film in films}))}
    rank = np.argsort(patients) / len(patients)
    parts: list[list[OutlinedFilm]] = [[], [], []]
    for film in films:
        place = rank[numbers[film.patient]]
        parts[0 if place < 0.7 else 1 if place < 0.8 else 2].append(film)
    return parts


def fit(train: list[OutlinedFilm], val: list[OutlinedFilm], epochs: int) -> dict[str, Floats]:
    """The weights, batch normalization folded in, of the epoch with the best Dice coefficient on validation X-rays."""
    import keras

    keras.utils.set_random_seed(SEED)
    model, rng = build(), np.random.default_rng(SEED)
    steps = -(-len(train) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, epochs * steps), clipnorm=1.0)
    model.compile(optimizer, loss=overlap_loss)
    checked, best, weights = [network_input(film.film.pixels) for film in val], 0.0, {}
    truth = np.stack([_resized(film.lungs, SIDE_PX) > 127 for film in val])
    for epoch in range(epochs):
        drawn = [augmented(train[i], rng) for i in rng.permutation(len(train))]
        images, lungs = (np.stack(part)[..., None] for part in zip(*drawn, strict=True))
        loss = model.fit(images, lungs, BATCH, verbose=0).history["loss"][0]
        if epoch % 5 == 4 or epoch == epochs - 1:
            found = model.predict(np.stack(checked)[..., None], BATCH, verbose=0)[..., 0] > 0.5
            score = float(np.mean([dice(*pair) for pair in zip(found, truth, strict=True)]))
            if score >= best:
                best, weights = score, folded(model)
            print(f"epoch {epoch + 1}: loss {loss:.4f}, validation Dice {score:.4f}", flush=True)
    return weights


def build() -> Any:
    """The network in Keras, with batch normalization."""
    from keras import Input, Model, layers

    def block(x: Any, width: int, name: str) -> Any:
        for step in ("a", "b"):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}{step}")(x)
            x = layers.ReLU()(layers.BatchNormalization(name=f"{name}{step}-norm", momentum=0.9)(x))
        return x

    image, skipped = Input((SIDE_PX, SIDE_PX, 1)), []
    x = image
    for level, width in enumerate(CHANNELS):
        x = block(x, width, f"down{level}")
        if level < len(CHANNELS) - 1:
            skipped.append(x)
            x = layers.MaxPooling2D()(x)
    for level in reversed(range(len(CHANNELS) - 1)):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skipped[level]])
        x = block(x, CHANNELS[level], f"up{level}")
    return Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="out")(x))


def overlap_loss(lungs: Any, found: Any) -> Any:
    """Cross-entropy, and one less the soft Dice coefficient of each X-ray."""
    from keras import losses, ops

    both = ops.sum(lungs * found, axis=(1, 2, 3))
    soft = (2 * both + 1) / (ops.sum(lungs, axis=(1, 2, 3)) + ops.sum(found, axis=(1, 2, 3)) + 1)
    return losses.binary_crossentropy(lungs, found) + (1 - soft)[:, None, None]


def folded(model: Any) -> dict[str, Floats]:
    """The weights by the names of `lung_segmentation`, batch normalization folded into the convolutions."""
    weights = {}
    for layer in model.layers:
        if layer.name == "out":
            weights["out/kernel"], weights["out/bias"] = (np.asarray(array) for array in layer.get_weights())
        elif f"{layer.name}-norm" in {other.name for other in model.layers}:
            norm = model.get_layer(f"{layer.name}-norm")
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            weights[f"{layer.name}/kernel"] = layer.get_weights()[0] * scale
            weights[f"{layer.name}/bias"] = beta - mean * scale
    return weights


def augmented(film: OutlinedFilm, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A varied view of the X-ray as the network gets it, and its lungs."""
    angle, zoom = np.deg2rad(rng.normal(0, 6)), np.exp(rng.normal(0, 0.12, 2) + rng.normal(0, 0.12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag(zoom) * (DRAWN_PX / SIDE_PX)
    if rng.random() < 0.5:
        matrix[:, 1] *= -1
    offset = DRAWN_PX / 2 - matrix @ np.full(2, SIDE_PX / 2) + rng.normal(0, 0.05 * DRAWN_PX, 2)
    views = [
        ndimage.affine_transform(part.astype(np.float32), matrix, offset, (SIDE_PX, SIDE_PX), order=1, cval=0)
        for part in (film.pixels, film.lungs)
    ]
    gray, lungs = views[0], (views[1] > 127).astype(np.float32)
    gray = with_disease(gray, lungs, rng)
    low, high = np.percentile(gray, (1, 99))
    gray = np.clip((gray - low) / max(high - low, 1), 0, 1) ** np.exp(rng.normal(0, 0.35))
    gray = ndimage.gaussian_filter(gray, max(0, rng.normal(0, 0.7))) + rng.normal(0, 0.03 * rng.random(), gray.shape)
    gray = np.clip(0.5 + (gray - 0.5) * np.exp(rng.normal(0, 0.2)) + rng.normal(0, 0.06), 0, 1)
    for _ in range(rng.integers(0, 3)):  # markers, letters and shields anywhere
        top, left = rng.integers(0, SIDE_PX, 2)
        height, width = rng.integers(2, 16, 2)
        gray[top : top + height, left : left + width] = rng.choice([0.0, 1.0, rng.random()])
    return (gray - 0.5).astype(np.float32), lungs


def with_disease(gray: Floats, lungs: Floats, rng: np.random.Generator) -> Floats:
    """The X-ray with soft opacities in its lungs, half of the time: lungs stay lungs."""
    if rng.random() < 0.5 or not lungs.any():
        return gray
    rows, columns = np.nonzero(lungs)
    cloud = np.zeros_like(gray)
    for _ in range(rng.integers(1, 5)):
        place = rng.integers(len(rows))
        spread, (y, x) = rng.uniform(4, 16), np.mgrid[:SIDE_PX, :SIDE_PX]
        cloud += np.exp(-((y - rows[place]) ** 2 + (x - columns[place]) ** 2) / (2 * spread**2))
    strength = rng.uniform(0.2, 0.9) * np.clip(cloud, 0, 1) * lungs
    return (gray + strength * (np.percentile(gray, 90) - gray)).astype(np.float32)


def dice(found: NDArray[np.bool_], lungs: NDArray[np.bool_]) -> float:
    """The Dice coefficient of two masks."""
    return 2 * float((found & lungs).sum()) / max(1, int(found.sum() + lungs.sum()))


def measured(films: list[OutlinedFilm]) -> dict[str, float]:
    """The Dice coefficients of the stored weights, over the X-rays in which lungs are found."""
    scores = []
    for film in films:
        found = lung_mask(film.film.pixels)
        if found is not None:
            fitted = _resized(255 * found.astype(np.uint8), DRAWN_PX) > 127
            scores.append(dice(fitted, film.lungs > 127))
    figures = {"mean": np.mean(scores), "median": np.median(scores), "fifth percentile": np.quantile(scores, 0.05)}
    counts = {"X-rays": len(films), "patients": len({film.patient for film in films}), "found": len(scores)}
    return counts | {name: round(float(value), 3) for name, value in figures.items()}


def _resized(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    return Film.from_pixels(pixels).fitted(side_px)


if __name__ == "__main__":
    main()
