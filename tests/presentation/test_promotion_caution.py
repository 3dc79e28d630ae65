"""Who puts a model into use is warned where its test films speak against it."""

import pytest

from cxr.presentation.promotion_caution import LEAST_AUC, LEAST_SHARE, promotion_warning
from cxr.registry.card import Card

GOOD = {"auc": 0.9, "sensitivity": 0.9, "specificity": 0.9}


def made(binary: dict[str, float | None] | None, n: int = 16) -> Card:
    card = {"name": "m", "classes": ("normal", "viral"), "version": "1", "created": "2026-01-01", "recipe": "tiny"}
    test = {"n": n, "negative": "normal" if binary else "", "binary": binary}
    results = {"results": {"test": test}} if n else {}
    return Card.model_validate(card | {"size_px": 32, "seed": 0, "weights_sha256": "0" * 64} | results)


def test_a_good_model_and_one_at_the_bounds_bring_no_caution():
    assert promotion_warning(made(GOOD)) == ""
    assert promotion_warning(made({"auc": LEAST_AUC, "sensitivity": LEAST_SHARE, "specificity": LEAST_SHARE})) == ""


def test_a_model_without_test_films_was_not_tested():
    assert "was not tested" in promotion_warning(made(None, n=0))


@pytest.mark.parametrize(
    ("figure", "value", "said"),
    [
        ("auc", 0.438, "its AUC against normal is 0.438"),
        ("sensitivity", 0.25, "not normal it finds 25%"),
        ("specificity", 0.0, "are normal it clears 0%"),
    ],
)
def test_a_poor_figure_is_told_with_what_it_means(figure, value, said):
    sentence = promotion_warning(made(GOOD | {figure: value}))
    assert said in sentence and "16 test films" in sentence and ";" not in sentence


def test_a_model_that_knows_no_normal_or_whose_figures_are_not_known_is_not_judged_by_them():
    assert promotion_warning(made(None)) == ""
    assert promotion_warning(made(dict.fromkeys(GOOD))) == ""
