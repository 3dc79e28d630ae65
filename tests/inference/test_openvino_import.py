"""OpenVINO is imported without telling its makers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.outgoing_connections import hosts_in, recorded_in

IMPORT = """
import sys, threading
from cxr.inference.engines.openvino_graph import import_openvino
import_openvino().Core()
assert "openvino.tools.ovc" in sys.modules, "nothing is imported any more that sends statistics"
for thread in threading.enumerate():
    thread is threading.current_thread() or thread.join(20)
"""


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_nothing_is_sent_when_openvino_is_imported(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path)} | recorded_in(tmp_path)
    subprocess.run([sys.executable, "-c", IMPORT], env=environment, check=True, timeout=120)
    assert hosts_in(tmp_path) == []
