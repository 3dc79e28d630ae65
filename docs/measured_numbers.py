"""Writes the measured numbers into README and docs, where they differ: python docs/measured_numbers.py

The sentences and where their numbers come from are those of tests/test_documented_numbers.py.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.test_documented_numbers import NUMBERS, filled  # noqa: E402

PLACE = re.compile(r"{[^}]*}")
NUMBER = r"(-?\d+(?:[.,]\d+)*(?:\s(?:ms|s)\b)?(?:\s\([\d.]+–[\d.]+\))?)"  # 4,434; 115 ms (107–171); 0.989 (0.972–0.996)
WORD = "([A-Za-z]+)"  # Ten


def main() -> None:
    """Update each document where its numbers differ, and print what changes."""
    for document, sentence in NUMBERS:
        path = PROJECT / document
        text = path.read_text("utf-8")
        updated = with_numbers(text, sentence)
        if updated is None:
            print(f"{document}: a sentence is not there: {sentence}")
        elif updated != text:
            print(f"{document}: {filled(sentence)}")
            path.write_text(updated, "utf-8")


def with_numbers(text: str, sentence: str) -> str | None:
    """The text with the numbers of this sentence; None where the sentence is not in it. Line breaks stay."""
    parts = PLACE.split(sentence)
    if filled(sentence) in " ".join(text.split()):
        return text
    numbers = re.fullmatch("(.+?)".join(re.escape(part) for part in parts), filled(sentence))
    if numbers is None:
        return None
    first, *rest = [re.sub(r"(\\ )+", r"\\s+", re.escape(part)) for part in parts]
    forms = [WORD if number.isalpha() else NUMBER for number in numbers.groups()]
    places = re.search(first + "".join(form + part for form, part in zip(forms, rest, strict=True)), text)
    if places is None:
        return None
    for number in range(places.re.groups, 0, -1):  # from the last, so that the places of the others stay
        text = text[: places.start(number)] + numbers[number] + text[places.end(number) :]
    return text


if __name__ == "__main__":
    main()
