"""Damage films by the hundred thousand and try to read them: what comes out that must not, the slowest, the memory.

    python bench/stress_films.py [--mutants 100000] [--data FOLDER]

Seeds are small drawn films in every kind of file, pydicom's own test files, and every film under FOLDER (CXR_DATA, or
../shared/data). Blocks of mutants are tried in processes of their own: one that dies counts as an escape, and memory
is bounded and measured in each. Ends with 1 where anything escaped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from cxr.datasets.archive import may_be_film  # noqa: E402
from tests.support.mutants import read_mutant, seeds, small_seeds  # noqa: E402

BLOCK, BLOCKS = 2_000, 50
BLOCK_LIMIT_S = 3_600


@dataclass(frozen=True)
class Block:
    """What became of a block of mutants."""

    wrong: list[str]
    slowest_s: float = 0.0
    peak_bytes: int = 0
    tried: int = 0
    read: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=BLOCK * BLOCKS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CXR_DATA") or PROJECT.parent / "shared/data"))
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.first is not None:
        print(json.dumps(asdict(block(asked.first, asked.mutants, asked.data))))
        return
    began, blocks = time.perf_counter(), list[Block]()
    for first in range(0, asked.mutants, BLOCK):
        blocks.append(in_its_own_process(first, min(BLOCK, asked.mutants - first), asked.data))
        print("\n".join(blocks[-1].wrong) or ".", end="", flush=True)
    wrong = sum(len(one.wrong) for one in blocks)
    print(
        f"\n{sum(one.tried for one in blocks):,} damaged films, of {len(real_films(asked.data)):,} real and "
        f"{len(small_seeds())} small ones: {wrong} wrong, {sum(one.read for one in blocks):,} read, the slowest in "
        f"{max(one.slowest_s for one in blocks):.2f} s, at most {max(one.peak_bytes for one in blocks) / 1e6:.0f} MB "
        f"({(time.perf_counter() - began) / 60:.0f} min)"
    )
    sys.exit(bool(wrong))


def in_its_own_process(first: int, count: int, data: Path) -> Block:
    command = [sys.executable, __file__, "--first", str(first), "--mutants", str(count), "--data", str(data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BLOCK_LIMIT_S)
    if ended.returncode:
        return Block([f"the process died ({ended.returncode}) in the block from number {first}"])
    return Block(**json.loads(ended.stdout.splitlines()[-1]))


def block(first: int, count: int, data: Path) -> Block:
    """What became of these mutants; their seeds are the small films and, in turn, some of the real ones."""
    import resource

    own = real_films(data)[first // BLOCK :: BLOCKS]
    among = small_seeds() + seeds({f"film {path.stem[:8]}": path.read_bytes() for path in own})
    outcomes = [read_mutant(first + n, among) for n in range(count)]
    return Block(
        wrong=[f"{outcome.mutant}: {outcome.fault}" for outcome in outcomes if outcome.fault],
        slowest_s=max(outcome.seconds for outcome in outcomes),
        peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        tried=len(outcomes),
        read=sum(outcome.read for outcome in outcomes),
    )


def real_films(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*") if path.is_file() and may_be_film(path.relative_to(data).as_posix()))


if __name__ == "__main__":
    main()
