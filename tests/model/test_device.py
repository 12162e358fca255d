import weakref

import pytest
import torch

from acestep.errors import ConfigError
from acestep.model.device import available_devices, choose_device, choose_dtype, free_memory


def test_the_best_device_is_chosen_and_the_cpu_is_always_there():
    assert choose_device() == torch.device(available_devices()[0])
    assert choose_device("cpu") == torch.device("cpu")
    assert available_devices()[-1] == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    if name in available_devices():
        assert choose_device(name).type == name
    else:
        with pytest.raises(ConfigError, match=f"--device {name}: this machine has"):
            choose_device(name)


@pytest.mark.parametrize("name", ["tpu", "cpu:7", "cpu:x"])
def test_nonsense_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        choose_device(name)


def test_precision_by_device_and_by_name():
    assert choose_dtype(torch.device("cuda")) == torch.bfloat16
    assert choose_dtype(torch.device("mps")) == torch.float16
    assert choose_dtype(torch.device("cpu")) == torch.float32
    assert choose_dtype(torch.device("cpu"), "bfloat16") == torch.bfloat16
    with pytest.raises(ConfigError, match="int8"):
        choose_dtype(torch.device("cpu"), "int8")


@pytest.mark.parametrize(("name", "asked"), [("cpu", []), ("cuda", ["cuda"]), ("mps", ["mps"])])
def test_freeing_memory_works_on_any_device(name, asked, monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("cuda"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: emptied.append("mps"))
    knot = torch.nn.Linear(2, 2)
    knot.itself = [knot]  # only a search for such knots finds that nobody holds it
    kept = weakref.ref(knot.weight)
    del knot
    free_memory(torch.device(name))
    assert kept() is None and emptied == asked
