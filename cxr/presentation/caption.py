"""Words under a picture that leaves the house: in a strip below it, and in its file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

LEAST_PX = 320  # width of a strip, however small the picture
SMALLEST_PX = 11  # height of letters
SHARE = 1 / 70  # height of letters, of the strip's width
GROUND, INK = (17, 17, 17), (238, 238, 238)


def captioned(picture: Image.Image, sentences: Sequence[str]) -> Image.Image:
    """The picture, pixel for pixel, over a strip with the sentences."""
    width = max(picture.width, LEAST_PX)
    letters_px = max(SMALLEST_PX, round(SHARE * width))
    font = ImageFont.load_default(letters_px)
    edge, step = letters_px // 2, round(1.35 * letters_px)
    lines = _wrapped(" ".join(sentences), font, width - 2 * edge)
    width = max(width, *(round(font.getlength(line)) + 2 * edge for line in lines))
    sheet = Image.new("RGB", (width, picture.height + len(lines) * step + 2 * edge), GROUND)
    sheet.paste(picture)
    pen = ImageDraw.Draw(sheet)
    for n, line in enumerate(lines):
        pen.text((edge, picture.height + edge + n * step), line, INK, font)
    return sheet


def png(picture: Image.Image, words: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The picture as a file, with the words in it under their keys."""
    info = PngInfo()
    for key, text in words.items():
        info.add_text(key, text)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    """The text in lines of that width; a word that is longer is a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
