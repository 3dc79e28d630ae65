"""The registry and runs while processes are killed, many start at once, or the disk is full.

    python bench/faults.py [--kills 200] [--promotions 1000] [--starts 50] [--rounds 20]

Everything happens in a temporary folder. Prints counts; exits with 1 where something happened that must never happen:
half a model, a default model that does not exist, a run executed twice, or two runs on the device at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.faults import (  # noqa: E402
    FaultCount,
    kill_writers,
    promote_repeatedly,
    start_at_once,
    store_on_a_full_disk,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, most in {"kills": 200, "promotions": 1000, "starts": 50, "rounds": 20, "saves": 20}.items():
        parser.add_argument(f"--{option}", type=int, default=most)
    options = parser.parse_args()
    trials: dict[str, Callable[[], FaultCount]] = {
        f"{options.kills} writers killed": lambda: kill_writers(options.kills),
        f"{options.promotions} promotions": lambda: promote_repeatedly(options.promotions),
        f"{options.saves} saves on a full disk": lambda: store_on_a_full_disk(options.saves),
    }
    for n in range(options.rounds):
        trials[f"{options.starts} starts at once, round {n + 1}"] = lambda: start_at_once(options.starts)
    sound = True
    for name, trial in trials.items():
        with tempfile.TemporaryDirectory() as home:
            os.environ["CXR_HOME"] = home
            count = trial()
        sound = sound and not count.faults
        print(json.dumps({"trial": name} | asdict(count)), flush=True)
    sys.exit(not sound)


if __name__ == "__main__":
    main()
