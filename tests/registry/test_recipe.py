from typing import Any

import pydantic
import pytest

from cxr.core.errors import RecipeError
from cxr.registry.recipe import Recipe, built_in_names
from cxr.registry.recipe_sections import AugmentationSettings, RecipeSection

PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "gradientcrescent-binary": {
        "data": {
            "classes": ("normal", "covid19"),
            "validation": 0.2,
            "draw": {"normal": 79, "covid19": 69},
            "draw_test": 9,
        },
        "head": {"pool": "flatten", "dense": (256,), "output": "sigmoid", "dropout": 0.0},
        "optimiser": {"name": "adam", "rate": 5e-4, "schedule": "constant"},
        "training": {"epochs": 20, "batch": 10},
    },
    "gradientcrescent-3class": {
        "data": {"classes": ("normal", "bacterial", "covid19"), "validation": 0.2, "draw_test": 9},
        "head": {"pool": "flatten", "dense": (256,), "output": "softmax"},
        "optimiser": {"rate": 5e-4},
        "training": {"epochs": 100, "batch": 10},
    },
    "gradientcrescent-4class": {
        "data": {"classes": ("normal", "bacterial", "viral", "covid19"), "validation": 0.2, "draw_test": 9},
        "head": {"pool": "flatten", "dense": (256,), "output": "softmax"},
        "optimiser": {"rate": 1e-4},
        "training": {"epochs": 100, "batch": 10},
    },
    "resnet50-recall": {
        "input": {"size_px": 224, "scale": "caffe"},
        "trunk": {"backbone": "resnet50", "weights": "imagenet", "train": "head"},
        "head": {"pool": "flatten", "dense": ()},
        "optimiser": {"name": "adam", "rate": 0.1},
        "training": {
            "epochs": 30,
            "steps_per_epoch": 10,
            "batch": 32,
            "early_stopping": "val_accuracy",
            "min_delta": 0.01,
            "patience": 5,
            "best": "val_accuracy",
        },
        "augmentation": {"zoom": 0.2, "shear_deg": 0.2, "flip_horizontal": True, "flip_vertical": False},
    },
    "resnet18-frozen": {
        "data": {"classes": ("normal", "pneumonia")},
        "input": {"size_px": 224, "scale": "half"},
        "trunk": {"backbone": "resnet18", "weights": "imagenet", "train": "head"},
        "optimiser": {
            "name": "sgd",
            "rate": 1e-3,
            "momentum": 0.9,
            "schedule": "step",
            "step_epochs": 6,
            "step_factor": 0.1,
        },
        "training": {"epochs": 6, "batch": 4},
    },
    "resnet18-finetune": {
        "data": {"classes": ("normal", "pneumonia")},
        "input": {"size_px": 224, "scale": "half"},
        "trunk": {"backbone": "resnet18", "weights": "imagenet", "train": "all"},
        "optimiser": {
            "name": "sgd",
            "rate": 1e-3,
            "momentum": 0.9,
            "schedule": "step",
            "step_epochs": 7,
            "step_factor": 0.1,
        },
        "training": {"epochs": 10, "batch": 4},
        "augmentation": {"crop_area": 0.08, "crop_aspect": 1.3333, "flip_horizontal": True},
    },
    "vgg16-transfer": {
        "data": {"classes": ("normal", "covid19"), "draw": {"normal": 74, "covid19": 74}, "draw_test": 4},
        "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "head"},
        "head": {"pool": "flatten", "dense": (4096, 4096), "dropout": 0.5, "l2": 5e-4},
        "training": {"stop_at_accuracy": 0.9},
    },
    "vgg16-from-scratch": {
        "data": {"classes": ("normal", "covid19"), "draw": {"normal": 74, "covid19": 74}, "draw_test": 4},
        "trunk": {"backbone": "vgg16", "weights": "none", "train": "all"},
        "head": {"pool": "flatten", "dense": (4096, 4096), "dropout": 0.5},
        "training": {"stop_at_accuracy": 0.9},
    },
    "vgg16-broad": {
        "data": {"classes": ("normal", "bacterial", "viral", "covid19")},
        "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "block3"},
        "training": {"class_weights": "by_source", "half": True, "views": 0},
    },
    "vgg16-hospitals": {
        "data": {"classes": ("normal", "bacterial", "viral", "covid19", "tuberculosis")},
        "input": {"equalize": 1.0},
        "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "all"},
        "optimiser": {"rate": 3e-5, "head_rate": 10},
        "training": {"epochs": 3, "steps_per_epoch": 400, "batch": 64, "views": 0},
        "augmentation": {"random_filter": 0.5},
        "decision": {"rule": "specificity", "specificity": 0.95},
    },
    "vgg16-default": {
        "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "block5"},
        "augmentation": {"flip_horizontal": False, "flip_vertical": False},
    },
}
CRESCENT: dict[str, dict[str, Any]] = {
    "input": {"size_px": 150, "featurewise_center": True, "featurewise_std": True, "zca": True},
    "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "head"},
    "augmentation": {
        "rotation_deg": 50,
        "shift_x": 0.2,
        "shift_y": 0.2,
        "shear_deg": 0.25,
        "zoom": 0.1,
        "channel_shift": 20,
        "flip_horizontal": True,
        "flip_vertical": True,
        "fill": "constant",
    },
}


def section_fields(model: type[RecipeSection], path: str = "") -> list[tuple[str, pydantic.fields.FieldInfo]]:
    found = []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, RecipeSection):
            found += section_fields(info.annotation, f"{path}{name}.")
        else:
            found.append((path + name, info))
    return found


# Built-in recipes


@pytest.mark.parametrize("name", built_in_names())
def test_every_built_in_recipe_reads_and_returns_from_toml_as_it_was(name):
    recipe = Recipe.read(name)
    assert recipe.name == name
    assert recipe.about
    assert recipe.origin
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_every_published_recipe_is_there():
    assert built_in_names() == sorted(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_built_in_recipe_has_the_hyperparameters_of_its_publication(name):
    recipe = Recipe.read(name).model_dump()
    wanted: list[Any] = [PUBLISHED[name]] + [CRESCENT] * name.startswith("gradientcrescent")
    for table in wanted:
        for section, values in table.items():
            assert {key: recipe[section][key] for key in values} == values


# Sections


def test_an_empty_table_is_the_default_recipe():
    recipe = Recipe.from_table({})
    assert recipe == Recipe()
    assert (recipe.name, recipe.input.size_px, recipe.trunk.backbone, recipe.head.output) == (
        "custom",
        224,
        "vgg16",
        "softmax",
    )
    assert (recipe.optimiser.name, recipe.training.seed, recipe.augmentation.active) == ("adam", 0, False)


def test_a_section_holds_only_differences():
    recipe = Recipe.from_table({"training": {"epochs": 3}})
    assert recipe.training == Recipe().training.model_copy(update={"epochs": 3})
    assert recipe.data == Recipe().data


def test_every_field_says_what_it_is():
    silent = [path for path, info in section_fields(Recipe) if not (info.description or "").endswith((".", ")"))]
    assert silent == []


def test_every_default_is_one_that_would_be_allowed():
    assert Recipe.from_table(Recipe().model_dump(mode="json")) == Recipe()


def test_a_recipe_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        Recipe().training.epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", [name for name in AugmentationSettings.model_fields if name != "fill"])
def test_every_augmentation_makes_it_active(name):
    value = {"crop_area": 0.5, "crop_aspect": 1.5}.get(name, True if name.startswith("flip") else 0.1)
    assert AugmentationSettings(**{name: value}).active


def test_what_comes_in_from_outside_makes_no_augmentation_by_itself():
    assert not AugmentationSettings(fill="nearest").active


# Refusals


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"epochs": 3}, "epochs"),
        ({"training": {"epoch": 3}}, "training.epoch"),
        ({"head": {"pool": "max", "drop": 0.1}}, "head.drop"),
        ({"optimizer": {"rate": 0.1}}, "optimizer"),
    ],
)
def test_an_unknown_key_is_refused_by_name(table, key):
    with pytest.raises(RecipeError, match=f"unknown key '{key}'"):
        Recipe.from_table(table)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("input", "size_px", "large"),
        ("input", "size_px", 224.5),
        ("input", "size_px", 8),
        ("input", "size_px", 4096),
        ("input", "scale", "caffé"),
        ("data", "validation", 0),
        ("data", "test", 0.9),
        ("data", "classes", "normal"),
        ("data", "draw", {"normal": "many"}),
        ("trunk", "backbone", "vgg17"),
        ("trunk", "weights", 5),
        ("head", "dropout", 1),
        ("head", "dropout", -0.1),
        ("head", "dense", [256, "wide"]),
        ("optimiser", "rate", 0),
        ("optimiser", "rate", [0.1]),
        ("training", "epochs", 0),
        ("training", "batch", 0),
        ("training", "label_smoothing", 0.5),
        ("training", "best", "accuracy"),
        ("training", "seed", -1),
        ("augmentation", "crop_area", 0),
        ("augmentation", "flip_horizontal", "sometimes"),
    ],
)
def test_a_wrong_type_or_a_value_out_of_range_is_refused_by_name(section, key, value):
    with pytest.raises(RecipeError, match=f"{section}.{key}"):
        Recipe.from_table({section: {key: value}})


def floats():
    return [path for path, info in section_fields(Recipe) if info.annotation is float]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_number_may_be_infinite_or_undefined(value):
    for path in floats():
        section, key = path.split(".")
        with pytest.raises(RecipeError, match=path):
            Recipe.from_toml(f"[{section}]\n{key} = {value}")


@pytest.mark.parametrize("weights", ["imagenet", "none", "w.npz"])
def test_only_the_head_of_a_stored_model_can_be_kept(weights):
    with pytest.raises(RecipeError, match=r"head\.keep"):
        Recipe.from_table({"head": {"keep": True}, "trunk": {"weights": weights}})


def test_several_problems_are_said_at_once():
    with pytest.raises(RecipeError, match=r"head.dropout.*training.epochs"):
        Recipe.from_table({"head": {"dropout": 2}, "training": {"epochs": -1}})


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "../a", "a" * 65])
def test_a_name_that_would_make_a_bad_file_name_is_refused(name):
    with pytest.raises(RecipeError, match="name"):
        Recipe.from_table({"name": name})


def test_a_sigmoid_is_for_two_classes():
    with pytest.raises(RecipeError, match="sigmoid is for two classes"):
        Recipe.from_table({"data": {"classes": ["a", "b", "c"]}, "head": {"output": "sigmoid"}})
    assert Recipe.from_table({"data": {"classes": ["a", "b"]}, "head": {"output": "sigmoid"}})


def test_cached_augmentations_need_frozen_layers():
    with pytest.raises(RecipeError, match=r"training\.views"):
        Recipe.from_table({"trunk": {"train": "all"}, "training": {"views": 2}})
    assert Recipe.from_table({"trunk": {"train": "block5"}, "training": {"views": 2}})


def test_a_warm_up_goes_with_a_cosine():
    with pytest.raises(RecipeError, match="cosine"):
        Recipe.from_table({"optimiser": {"warmup_epochs": 1}})


def test_a_draw_leaves_films_for_training():
    with pytest.raises(RecipeError, match=r"data\.draw"):
        Recipe.from_table({"data": {"draw": {"normal": 9, "viral": 20}, "draw_test": 9}})


# Files and overrides


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"no recipe 'vgg61'.*vgg16-default"):
        Recipe.read("vgg61")


def test_a_file_gives_its_name_to_a_recipe_without_one(tmp_path):
    (tmp_path / "mine.toml").write_text("about = 'ours'\n[training]\nepochs = 2\n")
    recipe = Recipe.read(tmp_path / "mine.toml")
    assert (recipe.name, recipe.about, recipe.training.epochs) == ("mine", "ours", 2)


@pytest.mark.parametrize("data", [b"[training\nepochs = 2", b"about = '\xff'", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused(tmp_path, data):
    (tmp_path / "mine.toml").write_bytes(data)
    with pytest.raises(RecipeError, match="mine.toml is not valid TOML"):
        Recipe.read(tmp_path / "mine.toml")


def test_text_that_is_not_toml_is_refused():
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.from_toml("= 5")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("head.dropout=0.4", "head", "dropout", 0.4),
        (" head.dropout = 0.4 ", "head", "dropout", 0.4),
        ("head.dense=[64, 32]", "head", "dense", (64, 32)),
        ("data.draw={normal = 5, covid19 = 6}", "data", "draw", {"normal": 5, "covid19": 6}),
        ("data.draw.viral=7", "data", "draw", {"viral": 7}),
        ('data.classes=["normal", "viral"]', "data", "classes", ("normal", "viral")),
        ("trunk.weights=none", "trunk", "weights", "none"),
        ("trunk.weights=shelf:my-model", "trunk", "weights", "shelf:my-model"),
        ('trunk.weights="none"', "trunk", "weights", "none"),
        ("trunk.weights=a=b", "trunk", "weights", "a=b"),
        ("augmentation.flip_horizontal=true", "augmentation", "flip_horizontal", True),
        ("optimiser.rate=1e-4", "optimiser", "rate", 1e-4),
    ],
)
def test_an_override_replaces_one_value(override, section, key, value):
    recipe = Recipe.read("vgg16-default", [override])
    assert getattr(getattr(recipe, section), key) == value
    changed = recipe.model_copy(
        update={section: getattr(recipe, section).model_copy(update={key: getattr(before(section), key)})}
    )
    assert changed == Recipe.read("vgg16-default")


def before(section):
    return getattr(Recipe.read("vgg16-default"), section)


def test_the_last_of_several_overrides_counts():
    recipe = Recipe.read("vgg16-default", ["name=mine", "training.epochs=2", "training.epochs=3"])
    assert (recipe.name, recipe.training.epochs) == ("mine", 3)


@pytest.mark.parametrize("override", ["head.dropout", "", "=5", "head.=5", "."])
def test_an_override_without_key_or_value_is_refused(override):
    with pytest.raises(RecipeError, match="section.key=value"):
        Recipe.read("vgg16-default", [override])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("name.first=5", "name is a value, not a section"),
        ("head.drop=0.4", "unknown key 'head.drop'"),
        ("head.dropout=much", "head.dropout"),
        ("head.dropout=", "head.dropout"),
        ("head=5", "head"),
        ("data.draw={normal=", "data.draw"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(override, said):
    with pytest.raises(RecipeError, match=said):
        Recipe.read("vgg16-default", [override])
