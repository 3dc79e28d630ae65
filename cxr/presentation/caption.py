"""Captions of exported images: in a strip below the image, and in the file's metadata."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

MIN_WIDTH_PX = 320  # width of a strip, however small the image
MIN_TEXT_PX = 11  # text height
TEXT_SHARE = 1 / 70  # text height by the strip's width
BACKGROUND, TEXT_COLOR = (17, 17, 17), (238, 238, 238)


def captioned(image: Image.Image, sentences: Sequence[str]) -> Image.Image:
    """The image, pixel for pixel, over a strip with the sentences."""
    width = max(image.width, MIN_WIDTH_PX)
    text_px = max(MIN_TEXT_PX, round(TEXT_SHARE * width))
    font = ImageFont.load_default(text_px)
    edge, step = text_px // 2, round(1.35 * text_px)
    lines = _wrapped(" ".join(sentences), font, width - 2 * edge)
    width = max(width, *(round(font.getlength(line)) + 2 * edge for line in lines))
    sheet = Image.new("RGB", (width, image.height + len(lines) * step + 2 * edge), BACKGROUND)
    sheet.paste(image)
    draw = ImageDraw.Draw(sheet)
    for n, line in enumerate(lines):
        draw.text((edge, image.height + edge + n * step), line, TEXT_COLOR, font)
    return sheet


def png(image: Image.Image, texts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The image as a file, with the texts in its metadata under their keys."""
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
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
