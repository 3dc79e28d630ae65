import subprocess
import sys

import pytest

from cxr.learning.device import Device, device_without_tensorflow, find_device, gpu_peak_bytes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_named_precision_is_taken_at_its_word(precision):
    device = find_device(precision)
    assert (device.precision, device.why) == (precision, "as was asked for")


def test_auto_chooses_one_of_the_two_and_says_why():
    device = find_device()
    assert (device.precision, device.why) in {
        ("float32", "as it multiplies no bfloat16"),
        ("bfloat16", "which it multiplies natively"),
    }
    assert device.name


def test_a_quick_look_says_what_tensorflow_says_or_nothing():
    seen = device_without_tensorflow()
    assert seen is None or seen == find_device()


def test_a_machine_without_a_gpu_has_used_none_of_its_memory():
    device = find_device()
    assert (gpu_peak_bytes() > 0) <= ("CPU" not in device.name)


def test_keras_comes_without_scikit_learn_which_only_its_wrappers_want():
    code = (
        "import sys; from cxr.learning.device import import_tensorflow; import_tensorflow(); import keras; "
        "assert 'sklearn' not in sys.modules; keras.Sequential([keras.layers.Dense(2)]); import sklearn.linear_model"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_a_strategy_the_scope_does_nothing():
    with Device("CPU", "float32").scope() as nothing:
        assert nothing is None


def test_the_scope_is_that_of_the_strategy():
    class Strategy:
        def scope(self):
            from contextlib import nullcontext

            return nullcontext("the strategy's scope")

    with Device("2 GPUs", "float32", Strategy()).scope() as scope:
        assert scope == "the strategy's scope"
