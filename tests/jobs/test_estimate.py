"""An estimate is a range with a basis."""

import time
from dataclasses import replace

import numpy as np
import pytest

from cxr.jobs import run_store
from cxr.jobs.estimate import estimate, time_left_s
from cxr.jobs.job import training_job
from cxr.jobs.run import Status
from cxr.learning.backbone_costs import BLOCK_COSTS, block_names
from cxr.learning.device import Device
from cxr.learning.journal import Phase
from cxr.registry.recipe import Recipe
from tests.support.training import tiny_recipe

CPU = Device("CPU (a name, 2 cores)", "float32")
FILMS = {"train": 100, "val": 20, "test": 40}


@pytest.mark.parametrize("backbone", ["vgg16", "resnet18", "resnet50", "tiny"])
def test_the_cost_of_a_backbone_is_that_of_its_layers(backbone):
    from cxr.learning.network import build

    recipe = Recipe.from_table({"name": "x", "trunk": {"backbone": backbone, "weights": "none"}})
    model = build(recipe, 2).model
    trunk = model.layers[: model.layers.index(model.get_layer("pooled"))]
    kernels = [(layer.kernel.shape, layer.output.shape) for layer in trunk if type(layer).__name__ == "Conv2D"]
    gmac = sum(np.prod(kernel[:3]) * np.prod(out[1:]) for kernel, out in kernels) / 1e9
    assert sum(block.gmac for block in BLOCK_COSTS[backbone].values()) == pytest.approx(gmac, rel=0.01)
    weights_m = sum(layer.count_params() for layer in trunk if layer.name != "normalise") / 1e6
    assert sum(block.weights_m for block in BLOCK_COSTS[backbone].values()) == pytest.approx(
        weights_m, rel=0.01, abs=0.001
    )
    known = {layer.name.partition("_")[0] for layer in trunk}
    assert set(block_names(backbone)) <= known


def test_without_earlier_runs_the_estimate_is_a_wide_range(home):
    found = estimate(Recipe.read("vgg16-default"), FILMS, CPU, [])
    assert 0 < found.seconds.low < found.seconds.high
    assert 0 < found.memory_bytes.low < found.memory_bytes.high
    assert found.past_runs == 0
    assert "vgg16 at 224 px" in found.basis


def test_the_training_of_the_input_check_is_included(home):
    recipe = tiny_recipe(trunk={"train": "head"}, input={"size_px": 224})
    whole = estimate(recipe, FILMS, CPU, []).seconds
    without = estimate(recipe, FILMS, CPU, [], input_check_images=0).seconds
    assert whole.low > without.low
    assert whole.high > without.high


def test_more_films_epochs_pixels_or_views_take_longer(home):
    def high(recipe, films=FILMS):
        return estimate(recipe, films, CPU, []).seconds.high

    plain = tiny_recipe(trunk={"train": "head"}, input={"size_px": 224})
    assert high(plain, {**FILMS, "train": 200}) > high(plain)
    assert high(tiny_recipe(trunk={"train": "all"}, input={"size_px": 224})) > high(plain)
    assert high(tiny_recipe(trunk={"train": "head"}, input={"size_px": 448})) > high(plain)
    assert high(tiny_recipe(trunk={"train": "head"}, input={"size_px": 224}, training={"epochs": 9})) > high(plain)
    views: dict[str, dict[str, object]] = {
        "trunk": {"train": "head"},
        "input": {"size_px": 224},
        "augmentation": {"noise": 3},
    }
    assert high(tiny_recipe(**views, training={"views": 8})) > high(tiny_recipe(**views, training={"views": 1}))


def ended(recipe, epoch_s, before_s, device=CPU.name, films=FILMS, state="finished"):
    run = run_store.create(training_job(recipe.to_toml(), ("/films",), None), recipe.name)
    rows = [{"epoch": i + 1, "loss": 0.5, "seconds": epoch_s} for i in range(recipe.training.epochs)]
    run.write_history(rows)
    lines = [f"d,{role}-{i}.png,x,{role}" for role, count in films.items() for i in range(count)]
    (run.folder / "films.csv").write_text("dataset,path,label,role\n" + "\n".join(lines) + "\n")
    spent = epoch_s * len(rows) + before_s
    run.write_status(Status(state, device=device, started=1000.0, heartbeat=1000.0 + spent, memory_bytes=2_000_000_000))
    return run


def test_the_estimate_is_based_on_earlier_runs_of_the_kind_on_this_device(home):
    recipe = tiny_recipe()
    past = [ended(recipe, 60, 120), ended(recipe, 60, 120, device="GPU"), ended(recipe, 600, 0, state="stopped")]
    past.append(ended(tiny_recipe(input={"size_px": 64}), 600, 0))
    twice = tiny_recipe(training={"epochs": 6})
    found = estimate(twice, {**FILMS, "train": 200}, CPU, past)
    assert found.past_runs == 1
    assert "1 earlier training " in found.basis
    assert found.seconds.low < 6 * 120 < found.seconds.high < 2 * 6 * 120
    assert found.memory_bytes.low < 2e9 < found.memory_bytes.high < 3e9


def test_damaged_runs_are_ignored(home):
    run = ended(tiny_recipe(), 60, 120)
    (run.folder / "films.csv").unlink()
    other = ended(tiny_recipe(), 60, 120)
    (other.folder / "job.json").write_text(training_job("colour = 1", ()).to_json())
    assert estimate(tiny_recipe(), FILMS, CPU, [run, other]).past_runs == 0


def test_the_time_left_follows_from_the_epochs_so_far():
    now = time.time()
    status = Status("working", Phase.TRAINING, 5, 10, 3, 8, phase_started=now - 100, heartbeat=now)
    assert time_left_s(status, [{"seconds": 20}, {"seconds": 40}, {"seconds": 20}]) == pytest.approx(5.5 * 20)
    assert time_left_s(replace(status, epoch=1), []) == pytest.approx(7.5 * 200)
    assert time_left_s(replace(status, phase=Phase.READING_IMAGES), []) == pytest.approx(100)
    assert time_left_s(replace(status, done=0), []) is None
