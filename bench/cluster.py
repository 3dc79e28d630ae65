"""What a cluster costs: an archive read by two Ray workers with a core each, and by one process with both cores.

    python bench/cluster.py [--count 2000] [--model vgg16-broad] [--rounds 3]

X-rays are noise of 224 px. Each round reads the archive once each way, in turns, with a model of this installation; the
two nodes are processes of this machine that listen on 127.0.0.1 alone. Prints X-rays per second of both, and the share
of the cluster in the speed of one process. The time of one process begins when the model is loaded, that of the cluster
when as many parts are stored as there are nodes; parts are small, so that little of others is read by then. To be run
on an idle machine with two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from bench.archives import draw

NODES = 2
PART_ROWS = 64  # two batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", choices=("read",), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task == "read":
        print(json.dumps(reading(asked.folder, asked.model)))
        return
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # before Ray is imported
    found: dict[str, list[float]] = {"one process": [], "cluster": []}
    with tempfile.TemporaryDirectory() as where:
        archive = Path(where) / "archive"
        draw(archive, asked.count)
        for number in range(asked.rounds):
            found["one process"].append(speed(archive, asked.model, {}))
            with two_nodes() as address:
                found["cluster"].append(speed(archive, asked.model, {"CXR_CLUSTER": "auto", "RAY_ADDRESS": address}))
            latest = {name: values[-1] for name, values in found.items()}
            print(json.dumps({"round": number + 1} | latest), flush=True)
    alone, together = (statistics.median(values) for values in found.values())
    print(json.dumps({"one process": alone, "cluster": together, "share": round(together / alone, 3)}))


def speed(archive: Path, model: str, environment: dict[str, str]) -> float:
    """The X-rays per second of a reading in a process of its own."""
    command = [sys.executable, __file__, "--task", "read", "--folder", str(archive), "--model", model]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, check=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def reading(archive: Path, model: str) -> float:
    """The same, of a reading in this process."""
    from cxr.jobs import run_store
    from cxr.jobs.kinds import execute
    from cxr.jobs.parameters import ReadParameters
    from cxr.jobs.read import reading_job
    from cxr.registry import registry

    with tempfile.TemporaryDirectory() as out:
        job = reading_job(registry.get_card(model), str(archive), out)
        job = replace(job, parameters=replace(job.parameters_as(ReadParameters), part_rows=PART_ROWS))
        run = run_store.create(job, f"read-{model}")
        execute(run)
        status = run.status
        run_store.delete(run)
    return status.films_s


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    settings = {"num_cpus": 1, "num_gpus": 0, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args=settings | {"include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            cluster.add_node(**settings)
        yield str(cluster.address)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
