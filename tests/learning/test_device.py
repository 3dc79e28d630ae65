"""The device and its precision."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from cxr.learning.device import Device, device_without_tensorflow, find_device, gpu_peak_bytes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_requested_precision_is_used(precision: str) -> None:
    assert find_device(precision).precision == precision


def test_auto_chooses_one_of_the_two_and_gives_a_reason() -> None:
    device = find_device()
    assert device.precision in ("float32", "bfloat16")
    assert device.name
    assert device.why


def test_without_tensorflow_the_device_is_the_same_or_unknown() -> None:
    device = device_without_tensorflow()
    assert device is None or device == find_device()


def test_a_machine_without_a_gpu_has_used_none_of_its_memory() -> None:
    device = find_device()
    assert (gpu_peak_bytes() > 0) <= ("CPU" not in device.name)


def test_without_a_strategy_the_scope_does_nothing() -> None:
    with Device("CPU", "float32").scope() as nothing:
        assert nothing is None


def test_the_scope_is_that_of_the_strategy() -> None:
    class Strategy:
        def scope(self) -> nullcontext[str]:
            return nullcontext("the strategy's scope")

    with Device("2 GPUs", "float32", Strategy()).scope() as scope:
        assert scope == "the strategy's scope"
