"""How long commands take that should answer at once."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from bench.speed.turns import Timing, in_turns

COMMANDS = ("--help", "runs list", "models list")


def commands(rounds: int) -> dict[str, Timing]:
    return in_turns({words: partial(_run, words) for words in COMMANDS}, rounds)


def _run(words: str) -> None:
    subprocess.run([sys.executable, "-m", "cxr", *words.split()], check=True, capture_output=True)
