"""Whether this computer can run an int8 engine, and a record of one that nobody measured."""

from __future__ import annotations

from typing import Any

import pytest

from cxr.core.errors import CxrError
from cxr.inference.engines.int8 import check_int8_possible
from cxr.registry.int8_record import AucDifference, Int8Agreement, Int8Record


def can_run() -> bool:
    """Whether OpenVINO is installed, and the processor has instructions for int8."""
    try:
        check_int8_possible()
    except CxrError:
        return False
    return True


needs_int8 = pytest.mark.skipif(
    not can_run(), reason="OpenVINO is not installed (requirements-speed.txt), or the processor has no int8"
)


def record(weights_sha256: str, **changes: Any) -> Int8Record:
    """A record of an engine of these weights."""
    found = Int8Agreement(
        films=400,
        largest_change=0.0312,
        change_99=0.0101,
        decisions_changed=1,
        rejections_changed=0,
        auc=0.95,
        auc_difference=AucDifference(value=-0.0004, low=-0.0011, high=0.0003),
    )
    facts: dict[str, Any] = {
        "weights_sha256": weights_sha256,
        "films": {"here": 12},
        "convolutions": 2,
        "unquantized": ("block1_conv1",),
        "reference": "float32",
        "software": {"openvino": "0"},
        "processor": "",
        "agreement": {"val": found},
    }
    return Int8Record(**facts | changes)
