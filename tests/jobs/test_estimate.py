"""An estimate is a range that rests on something, and says on what."""

import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from cxr.jobs import run_store
from cxr.jobs.estimate import estimate, time_left_s
from cxr.jobs.run import Job, Status
from cxr.learning.backbone_costs import TRUNKS, blocks
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe
from tests.support.training import tiny_recipe

CPU = Device("CPU (a name, 2 cores)", "float32")
FILMS = {"train": 100, "val": 20, "test": 40}


@pytest.mark.parametrize("backbone", ["vgg16", "resnet18", "resnet50", "tiny"])
def test_a_trunk_costs_what_its_layers_cost(backbone):
    from cxr.learning.network import build

    recipe = Recipe.from_table({"name": "x", "trunk": {"backbone": backbone, "weights": "none"}})
    model = build(recipe, 2).model
    trunk = model.layers[: model.layers.index(model.get_layer("pooled"))]
    kernels = [(layer.kernel.shape, layer.output.shape) for layer in trunk if type(layer).__name__ == "Conv2D"]
    gmac = sum(np.prod(kernel[:3]) * np.prod(out[1:]) for kernel, out in kernels) / 1e9
    assert sum(block.gmac for block in TRUNKS[backbone].values()) == pytest.approx(gmac, rel=0.01)
    weights_m = sum(layer.count_params() for layer in trunk if layer.name != "normalise") / 1e6
    assert sum(block.weights_m for block in TRUNKS[backbone].values()) == pytest.approx(weights_m, rel=0.01, abs=0.001)
    known = {layer.name.partition("_")[0] for layer in trunk}
    assert set(blocks(backbone)) <= known


def test_without_earlier_runs_it_is_a_wide_range_that_says_so(home):
    found = estimate(Recipe.read("vgg16-default"), FILMS, CPU, [])
    assert 0 < found.seconds.low < found.seconds.high and 0 < found.memory_bytes.low < found.memory_bytes.high
    assert "can be off" in found.rests_on


def test_teaching_the_gate_is_counted(home, monkeypatch):
    recipe = tiny_recipe(trunk={"train": "head"}, input={"size_px": 224})
    whole = estimate(recipe, FILMS, CPU, []).seconds
    monkeypatch.setattr("cxr.jobs.estimate.GATE_PICTURES", 0)
    without = estimate(recipe, FILMS, CPU, []).seconds
    assert whole.low > without.low and whole.high > without.high


def test_more_of_anything_takes_longer(home):
    def high(recipe, films=FILMS):
        return estimate(recipe, films, CPU, []).seconds.high

    plain = tiny_recipe(trunk={"train": "head"}, input={"size_px": 224})
    assert high(plain, {**FILMS, "train": 200}) > high(plain)
    assert high(tiny_recipe(trunk={"train": "all"}, input={"size_px": 224})) > high(plain)
    assert high(tiny_recipe(trunk={"train": "head"}, input={"size_px": 448})) > high(plain)
    assert high(tiny_recipe(trunk={"train": "head"}, input={"size_px": 224}, training={"epochs": 9})) > high(plain)
    views = {"trunk": {"train": "head"}, "input": {"size_px": 224}, "augmentation": {"noise": 3}}
    assert high(tiny_recipe(**views, training={"views": 8})) > high(tiny_recipe(**views, training={"views": 1}))


def ended(recipe, epoch_s, before_s, device=CPU.name, films=FILMS, state="finished"):
    run = run_store.create(Job(recipe.to_toml(), ("/films",), None), recipe.name)
    rows = [{"epoch": i + 1, "loss": 0.5, "seconds": epoch_s} for i in range(recipe.training.epochs)]
    run.write_history(rows)
    lines = [f"d,{role}-{i}.png,x,{role}" for role, count in films.items() for i in range(count)]
    (run.folder / "films.csv").write_text("dataset,path,label,role\n" + "\n".join(lines) + "\n")
    spent = epoch_s * len(rows) + before_s
    run.write_status(Status(state, device=device, started=1000.0, heartbeat=1000.0 + spent, memory_bytes=2_000_000_000))
    return run


def test_earlier_runs_of_the_kind_on_this_device_are_what_it_rests_on(home):
    recipe = tiny_recipe()
    past = [ended(recipe, 60, 120), ended(recipe, 60, 120, device="GPU"), ended(recipe, 600, 0, state="stopped")]
    past.append(ended(tiny_recipe(input={"size_px": 64}), 600, 0))
    twice = tiny_recipe(training={"epochs": 6})
    found = estimate(twice, {**FILMS, "train": 200}, CPU, past)
    assert found.rests_on.startswith("From 1 earlier training ")
    assert found.seconds.low < 6 * 120 < found.seconds.high < 2 * 6 * 120
    assert found.memory_bytes.low < 2e9 < found.memory_bytes.high < 3e9


def test_damaged_runs_tell_nothing(home):
    run = ended(tiny_recipe(), 60, 120)
    (run.folder / "films.csv").unlink()
    other = ended(tiny_recipe(), 60, 120)
    (other.folder / "job.json").write_text(json.dumps(asdict(Job("colour = 1", ()))))
    assert "can be off" in estimate(tiny_recipe(), FILMS, CPU, [run, other]).rests_on


def test_what_is_left_is_told_by_the_epochs_that_ended():
    now = time.time()
    status = Status("working", "training", 5, 10, 3, 8, phase_started=now - 100, heartbeat=now)
    assert time_left_s(status, [{"seconds": 20}, {"seconds": 40}, {"seconds": 20}]) == pytest.approx(5.5 * 20)
    assert time_left_s(replace(status, epoch=1), []) == pytest.approx(7.5 * 200)
    assert time_left_s(replace(status, phase="reading films"), []) == pytest.approx(100)
    assert time_left_s(replace(status, done=0), []) is None
