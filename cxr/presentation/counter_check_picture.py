"""Counter-checks as one picture: the X-ray as it is and each changed image, with its probability as a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxr import DISCLAIMER
from cxr.core.number_format import probability
from cxr.evaluation.counter_checks.counter_check import CounterCheck, CounterChecks
from cxr.presentation.caption import BACKGROUND, TEXT_COLOR, captioned, png
from cxr.presentation.counter_check_text import asked

TILE_PX, EDGE_PX, BAR_PX, TEXT_PX = 236, 10, 14, 16
COLUMNS = 4
BAR_COLOR, OWN_COLOR, CHANGED_COLOR, TRACK_COLOR = (116, 169, 207), (238, 238, 238), (253, 174, 97), (58, 58, 58)
LINE_PX = round(1.35 * TEXT_PX)
CELL_HEIGHT_PX = TILE_PX + BAR_PX + 3 * LINE_PX + 3 * EDGE_PX


def counter_check_png(checks: CounterChecks) -> bytes:
    """The picture as a file, with what it shows and the disclaimer below it and in its metadata."""
    cells = [_cell(checks.pixels, "as it is", checks, None)]
    cells += [_cell(check.pixels, check.change.caption, checks, check) for check in checks.checks]
    rows = -(-len(cells) // COLUMNS)
    width = TILE_PX + EDGE_PX
    sheet = Image.new("RGB", (COLUMNS * width + EDGE_PX, rows * CELL_HEIGHT_PX), BACKGROUND)
    for place, cell in enumerate(cells):
        sheet.paste(cell, (EDGE_PX + place % COLUMNS * width, place // COLUMNS * CELL_HEIGHT_PX))
    title = f"Counter-checks: {asked(checks)} for each changed image; the white line is that of the X-ray as it is."
    texts = {"Description": title, "Source": checks.model, "Disclaimer": DISCLAIMER}
    return png(captioned(sheet, [title, f"Model: {checks.model}.", DISCLAIMER]), texts)


def _cell(pixels: NDArray[np.uint8], title: str, checks: CounterChecks, check: CounterCheck | None) -> Image.Image:
    """One image with its title, its probability as a bar and a number, and what the decision becomes."""
    cell = Image.new("RGB", (TILE_PX, CELL_HEIGHT_PX), BACKGROUND)
    image = Image.fromarray(pixels).resize((TILE_PX, TILE_PX), Image.Resampling.BILINEAR)
    cell.paste(image.convert("RGB"), (0, EDGE_PX))
    draw, font = ImageDraw.Draw(cell), ImageFont.load_default(TEXT_PX)
    top = TILE_PX + 2 * EDGE_PX
    share = checks.probability if check is None else check.probability
    changed = check is not None and check.decision_changes
    for line, text in enumerate(cell_texts(title, share, check)):
        draw.text((0, top + line * LINE_PX), text, CHANGED_COLOR if line and changed else TEXT_COLOR, font)
    bar = top + 3 * LINE_PX
    draw.rectangle((0, bar, TILE_PX - 1, bar + BAR_PX), TRACK_COLOR)
    draw.rectangle((0, bar, round(share * (TILE_PX - 1)), bar + BAR_PX), CHANGED_COLOR if changed else BAR_COLOR)
    own = round(checks.probability * (TILE_PX - 1))
    draw.line((own, bar - 2, own, bar + BAR_PX + 2), OWN_COLOR, 2)
    return cell


def cell_texts(title: str, share: float, check: CounterCheck | None) -> list[str]:
    """The lines below an image: its title, the probability with the change in percentage points, another decision."""
    title = title[:1].upper() + title[1:]
    if check is None:
        return [title, probability(share)]
    points = round(100 * check.shift)
    moved = f"{points:+d} {'point' if abs(points) == 1 else 'points'}" if points else "unchanged"
    return [title, f"{probability(share)} ({moved})", *(["Decision changes"] if check.decision_changes else [])]
