"""The types of the fixtures that call the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Cxr = Callable[..., tuple[int, str, str]]  # exit code, standard output and standard error of a command
Answer = Callable[..., Any]  # the JSON that a command prints
