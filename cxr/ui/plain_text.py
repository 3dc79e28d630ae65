"""Text that was not written here, made safe for Streamlit, which renders nearly all texts as Markdown.

A class, a file or an address may be named `![](http://...)`: rendered, it would load that address from the browser of
whoever looks at the page. `tests/ui/test_markdown.py` holds every text that a page shows against these functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# What has a meaning anywhere in a line, and what only at its beginning.
_ANYWHERE = re.compile(r"[\\`*\[\]<>~$|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START = re.compile(r"^(#(?=#*(\s|$))|[+-](?=\s|$)|=(?==*$)|-(?=[\s-]*$)|\d{1,9}(?=[.)](\s|$)))")
_LINES = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")
# Addresses, emoji and icons are looked for after escapes are gone: an invisible character keeps them apart.
_LATE = re.compile(r"(?<=\w)(?=://)|(?<=\bwww)(?=\.)|(?<!\d:)(?<=:)(?=[\w+-]+([:/]|\\\[))", re.IGNORECASE)
_JOINER = "\u2060"


def plain(text: object) -> str:
    """The text as one line of Markdown that shows its letters and nothing else."""
    line = _LINES.sub(" ", str(text)).strip()
    return _LATE.sub(_JOINER, _AT_START.sub(_escaped_start, _ANYWHERE.sub(r"\\\g<0>", line)))


def plain_lines(text: object) -> str:
    """The text like `plain`, with its line breaks."""
    return "  \n".join(map(plain, str(text).splitlines()))


def code_span(text: object) -> str:
    """The text in the letters of code, whatever backticks it holds."""
    line = _LINES.sub(" ", str(text)).strip()
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line or ' '}{fence}"


def plain_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table for `st.table`, which renders its cells and headings as Markdown."""
    safe = table.map(lambda value: plain(value) if isinstance(value, str) else value)
    return safe.rename(columns=_plain_if_text, index=_plain_if_text)


def _plain_if_text(name: object) -> object:
    return plain(name) if isinstance(name, str) else name


def _escaped_start(match: re.Match[str]) -> str:
    """A number keeps its digits: the backslash comes after them, before the point that would make it a list."""
    start = match[1]
    return f"{start}\\" if start.isdigit() else f"\\{start}"
