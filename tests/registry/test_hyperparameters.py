"""Every hyperparameter can be asked for, written and read back."""

import pytest

from cxr.core.errors import RecipeError
from cxr.registry.hyperparameters import COMMON, SECTIONS, changes, hyperparameters, with_form_labels, with_values
from cxr.registry.recipe import Recipe, built_in_names

BY_KEY = {item.key: item for item in hyperparameters()}


def test_every_value_of_a_recipe_is_a_hyperparameter_with_a_meaning_and_a_label_of_its_own():
    table = Recipe().model_dump()
    keys = [f"{section}.{name}" for section in SECTIONS for name in table[section]]
    assert [item.key for item in hyperparameters()] == keys
    assert all(item.meaning.endswith(".") for item in hyperparameters())
    assert set(COMMON) <= set(BY_KEY)
    labels = [(item.section, item.label) for item in hyperparameters()]
    assert len(set(labels)) == len(labels)
    assert set(table) - set(SECTIONS) == {"name", "about", "origin", "published"}


@pytest.mark.parametrize("name", built_in_names())
def test_a_recipe_goes_through_its_settings_unchanged(name):
    recipe = Recipe.read(name)
    values = {}
    for item in hyperparameters():
        value = item.value_in(recipe)
        texts = ("text", "words", "numbers", "groups", "counts")
        values[item.key] = item.parse(item.format(value)) if item.kind in texts else value
    assert with_values(recipe, values) == recipe
    assert changes(recipe, with_values(recipe, values)) == {}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("training.epochs", "1–1000"),
        ("optimiser.rate", "more than 0, up to 10"),
        ("head.dropout", "0 to less than 1"),
        ("training.seed", "0–4,294,967,295"),
        ("optimiser.warmup_epochs", "0–1000"),
        ("input.zca_epsilon", "more than 0, up to 1000"),
        ("trunk.train", ""),
    ],
)
def test_ranges_are_those_that_the_recipe_holds_to(key, said):
    assert BY_KEY[key].range == said


def test_choices_are_those_of_the_recipe():
    assert BY_KEY["training.best"].choices == ("val_loss", "val_accuracy", "val_auc", "last")
    assert BY_KEY["optimiser.name"].kind == "choice"
    assert BY_KEY["augmentation.flip_vertical"].kind == "switch"


def test_a_change_is_said_as_it_was_and_is():
    recipe = Recipe.read("vgg16-default")
    other = with_values(recipe, {"optimiser.rate": 1e-3, "head.dense": (256, 64)})
    assert changes(recipe, other) == {"head.dense": ("", "256, 64"), "optimiser.rate": ("0.0002", "0.001")}


@pytest.mark.parametrize(
    ("key", "text", "as_in"),
    [("head.dense", "64, wide", "256, 64"), ("data.groups", "pneumonia", "bacterial"), ("data.draw", "a: b", "100")],
)
def test_what_cannot_be_read_is_said_with_an_example(key, text, as_in):
    with pytest.raises(RecipeError, match=as_in):
        BY_KEY[key].parse(text)


def test_values_that_do_not_hold_are_refused_in_words():
    with pytest.raises(RecipeError, match="training.epochs"):
        with_values(Recipe(), {"training.epochs": 0})


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("training.views needs frozen layers", "'Cached augmentations' needs frozen layers"),
        ("head.output = sigmoid is for two classes", "'Output activation' = sigmoid is for two classes"),
        ("optimiser.rate: too much; training.seed.", "'Learning rate': too much; 'Random seed'."),
        ("Nothing is at /me/data.test or data.test.zip.", "Nothing is at /me/data.test or data.test.zip."),
        ("Nothing is set here.", "Nothing is set here."),
    ],
)
def test_a_sentence_for_readers_calls_hyperparameters_as_the_form_does(sentence, said):
    assert with_form_labels(sentence) == said
