"""What workers of a cluster compute is what one process computes; here the workers are objects of this process."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cxr.cluster import features as features_module
from cxr.cluster.features import Batch, features_in_cluster, shared_with
from cxr.cluster.spread import Crew, Workers
from cxr.evaluation.scores import read_scores
from cxr.jobs import cluster_parts, run_store
from cxr.jobs.crossval import crossval_job
from cxr.jobs.kinds import execute
from cxr.jobs.run import SCORES, Run
from cxr.learning.device import find_device
from cxr.learning.features import forward_of
from cxr.learning.network import build
from tests.support.fake_ray import FakeRay, FakeRayError, FakeWorker, Reference, connection_to
from tests.support.training import tiny_recipe

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """A cluster in this process, whose workers leave the environment as it is."""
    cluster = FakeRay()
    for module in (cluster_parts, features_module):
        monkeypatch.setattr(module, "connected", partial(connection_to, cluster))
        monkeypatch.setattr(module, "set_up_worker", lambda *_: None)
    return cluster


def scores_of(run: Run) -> np.ndarray:
    """The scores of all held-out X-rays of a cross-validation, in one order."""
    assert run.status.state == "finished", run.status.sentence
    table = read_scores(run.result_folder / SCORES).sort_values("film")
    return table[["p_bacterial", "p_normal", "p_viral"]].to_numpy()


def test_folds_come_to_the_same(phantoms: Path, ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    job = crossval_job(tiny_recipe(training={"epochs": 1}), [str(phantoms)], 2)
    run, alone = (run_store.create(job, "crossval-tiny") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr("cxr.jobs.crossval.cluster_address", lambda: "auto")
        execute(run)
    execute(alone)
    assert len(ray.made) == 2
    np.testing.assert_allclose(scores_of(run), scores_of(alone), atol=1e-5)


def test_features_come_to_the_same_whoever_computes_them(phantoms: Path, ray: FakeRay) -> None:
    recipe = tiny_recipe(trunk={"train": "head"})
    find_device("float32")
    frozen = build(recipe, 3).frozen_part
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 32), np.uint8)
    here = forward_of(frozen)
    found = dict(features_in_cluster(frozen, recipe, iter(images), here))
    assert sorted(found) == list(range(6))
    assert len(ray.made) == 1  # the other node is this process's own
    assert ray.killed == ray.made
    for number, batch in enumerate(images):
        np.testing.assert_allclose(found[number], here(batch), atol=1e-6)


def test_batches_of_a_worker_that_dies_are_computed_here() -> None:
    class Dying:
        computed = 0

        def start(self) -> None:
            """Nothing."""

        def compute(self, batch: Batch) -> np.ndarray:
            self.computed += 1
            if self.computed > 2:
                raise FakeRayError
            return batch.images * 2

    ray, inner = FakeRay(), Dying()

    def hand(worker: FakeWorker, batch: Batch) -> Reference:
        return worker.compute.remote(batch)

    made = iter([FakeWorker(inner)])
    crew = Crew(ray, Workers(lambda: next(made), hand, lambda: 1 - len(ray.killed)))
    images = [np.full((2, 2), number, np.uint8) for number in range(12)]
    found = dict(shared_with(crew, images, lambda batch: batch * 2))
    assert {number: int(rows[0, 0]) for number, rows in found.items()} == {n: 2 * n for n in range(12)}
    assert inner.computed > 2
