"""Text of others is shown as it stands: nothing in it is Markdown."""

from __future__ import annotations

import pandas as pd
import pytest

from cxr.ui.plain_text import code_span, plain, plain_lines, plain_table

UNCHANGED = (
    "Pneumonia: positive, 68% (threshold 54%). Most likely bacterial, 95% CI 0.86–0.97 + more - less = none!",
    "first-again, version 3f2a, snake_case_name, IM-0001-0001.jpeg",
    "-0.04 and 1.5 ms, at 10:30:00, in C:/films/a_b",
    "",
)


@pytest.mark.parametrize("text", UNCHANGED)
def test_ordinary_sentences_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("![x](http://e.example/)", "!\\[x\\](http\u2060://e.example/)"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("**a** _b_ `c` ~d~ $e$ a|b", "\\*\\*a\\*\\* \\_b\\_ \\`c\\` \\~d\\~ \\$e\\$ a\\|b"),
        ("\\[x]", "\\\\\\[x\\]"),
        ("&lt;b&gt; &#33; A&B", "\\&lt;b\\&gt; \\&#33; A&B"),
        ("# a", "\\# a"),
        ("- a", "\\- a"),
        ("1. a", "1\\. a"),
        ("===", "\\==="),
        ("a\n\n# b\u2028\tc", "a # b c"),
        (":smile: :material/home: :red[x]", ":\u2060smile: :\u2060material/home: :\u2060red\\[x\\]"),
        ("www.e.example", "www\u2060.e.example"),
        (None, "None"),
    ],
)
def test_what_means_something_in_markdown_is_escaped(text: object, safe: str) -> None:
    assert plain(text) == safe


def test_lines_stay_lines_where_they_are_wanted() -> None:
    assert plain_lines("a\n# b") == "a  \n\\# b"


@pytest.mark.parametrize(
    ("text", "span"), [("/a/b", "`/a/b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("", "` `"), ("a\nb", "`a b`")]
)
def test_code_ends_where_it_should(text: str, span: str) -> None:
    assert code_span(text) == span


def test_cells_and_headings_of_a_table_are_plain_and_numbers_stay_numbers() -> None:
    table = plain_table(pd.DataFrame({"[a]": ["<b>", 1.5], 2: [None, "c"]}, index=["*", 1]))
    assert list(table.columns) == ["\\[a\\]", 2]
    assert list(table.index) == ["\\*", 1]
    assert table.iloc[0, 0] == "\\<b\\>"
    assert table.iloc[1, 0] == 1.5
