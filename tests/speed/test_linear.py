"""Products by oneDNN: float32's numbers, in training alone, on the processors that gain by it."""

import pytest
import torch
from torch import nn

import acestep.speed.linear as linear_module
from acestep.adapters.attach import attach, attached
from acestep.config import TrainConfig
from acestep.model.base import find_model, load_transformer
from acestep.speed.linear import QuickLinear, maker, onednn_is_faster, quicken
from acestep.speed.pace import Choice
from acestep.speed.precision import block_linears

CPU = torch.device("cpu")
FLOAT32 = Choice("float32", "a test")


def pair(bias=False):
    torch.manual_seed(0)
    plain = nn.Linear(48, 80, bias=bias).requires_grad_(False)
    quick = nn.Linear(48, 80, bias=bias).requires_grad_(False)
    quick.load_state_dict(plain.state_dict())
    quick.__class__ = QuickLinear
    return plain, quick


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("shape", [(1, 33, 48), (3, 7, 48), (5, 48), (1, 1, 48)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_layer_is_what_it_was(shape, bias, turned):
    given = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    if turned:  # a view whose memory lies across
        given = given.transpose(-1, -2).contiguous().transpose(-1, -2)
    results = []
    for layer in pair(bias):
        x = given.clone().requires_grad_()
        result = layer(x)
        result.square().sum().backward()
        results.append((result.detach(), x.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_what_is_not_training_keeps_torchs_own_numbers():
    plain, quick = pair()
    x = torch.randn(40, 48)
    quick.eval()
    assert torch.equal(quick(x), plain(x))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_adapters_go_around_it(monkeypatch):
    monkeypatch.setattr(linear_module, "onednn_is_faster", lambda: True)
    transformer = load_transformer(find_model("mini"), CPU, torch.float32)
    choice = quicken(transformer, FLOAT32)
    assert choice == Choice("float32", "a test; products by oneDNN")
    assert all(type(layer) is QuickLinear for layer in block_linears(transformer).values())
    attach(transformer, TrainConfig(tensors="-", rank=2))
    bases = [layer.get_base_layer() for layer in attached(transformer).values()]
    assert bases and all(type(base) is QuickLinear for base in bases)


@pytest.mark.parametrize(("faster", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_it_is_left_alone_where_nothing_is_gained(monkeypatch, faster, dtype):
    monkeypatch.setattr(linear_module, "onednn_is_faster", lambda: faster)
    transformer = load_transformer(find_model("mini"), CPU, dtype)
    assert quicken(transformer, FLOAT32) == FLOAT32
    assert not any(isinstance(part, QuickLinear) for part in transformer.modules())


@pytest.mark.parametrize(
    ("text", "capability", "faster"),
    [
        ("vendor_id\t: AuthenticAMD\n", "AVX512", True),
        ("vendor_id\t: GenuineIntel\n", "AVX512", False),
        ("vendor_id\t: AuthenticAMD\n", "AVX2", False),
    ],
)
def test_whose_processor_it_is_decides(tmp_path, monkeypatch, text, capability, faster):
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{text}flags\t: fpu\n")
    monkeypatch.setattr(linear_module, "_CPUINFO", info)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for library in (torch.backends.mkldnn, torch.backends.mkl):
        monkeypatch.setattr(library, "is_available", lambda: True)
    assert maker() in text
    assert onednn_is_faster() is faster


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("AMD64 Family 26 Model 2 Stepping 1, AuthenticAMD", "AuthenticAMD"),
        ("x86_64", ""),
        ("", ""),
    ],
)
def test_without_linux_the_system_is_asked(tmp_path, monkeypatch, name, known):
    monkeypatch.setattr(linear_module, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(linear_module.platform, "processor", lambda: name)
    assert maker() == known
