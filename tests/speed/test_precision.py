"""A base in 8 or 4 bits: what its bits stand for, what it keeps, and a whole run on it."""

import json
import sys

import pytest
import torch
from torch import nn
from training_data import TINY, tiny_tensors

from acestep.adapters.attach import attach, attached, trainable_parameters
from acestep.adapters.files import read_adapter
from acestep.adapters.merge import merge
from acestep.adapters.mount import mount
from acestep.config import ExportConfig, GenerateConfig, TrainConfig
from acestep.data.audio import read_audio
from acestep.errors import ConfigError, RunError
from acestep.events import Evaluation, Sample
from acestep.export import export
from acestep.generate import generate
from acestep.model.base import find_model, load_transformer
from acestep.speed.precision import (
    BLOCK,
    STORED,
    StoredLinear,
    block_linears,
    count_weights,
    load_base,
    stored_bytes,
)
from acestep.train import train
from acestep.training.run import RunFolder

CPU = torch.device("cpu")
# The sixteen values of 4-bit NormalFloat: QLoRA (arXiv 2305.14314), appendix E
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
]  # fmt: skip
KNOBS = {"rank": 4, "epochs": 4, "save_every": 2, "device": "cpu", "learning_rate": 5e-3}
KNOBS |= {"dropout": 0.2, "schedule": "constant", "warmup_steps": 0}
LABELS = [{"caption": "warm jazz, piano", "bpm": 90}, {"caption": "bright funk", "bpm": 120}]


def base(kept="auto", dtype=torch.float32, model="mini"):
    return load_base(find_model(str(model)), CPU, dtype, kept)


def one_layer(kept, dtype=torch.float32):
    name = "layers.0.mlp.up_proj"
    return base(dtype=dtype).get_submodule(name), base(kept, dtype).get_submodule(name)


def inputs(dtype=torch.float32, seed=0):
    values = torch.randn(2, 7, 192, generator=torch.Generator().manual_seed(seed))
    return values.to(dtype).requires_grad_()


# What the bits stand for


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_is_off_by_half_a_step_of_its_row_at_most(dtype):
    plain, stored = one_layer("int8", dtype)
    assert stored.weight.dtype == dtype and stored.bits.codes.dtype == torch.int8
    step = plain.weight.float().abs().amax(1, keepdim=True) / 127
    rounding = plain.weight.float().abs() * (2**-8 if dtype == torch.bfloat16 else 2**-20)
    assert ((stored.weight.float() - plain.weight.float()).abs() <= step * 0.505 + rounding).all()


def test_nf4_takes_the_nearest_of_sixteen_values():
    plain, stored = one_layer("nf4")
    blocks = plain.weight.flatten().unflatten(0, (-1, BLOCK))
    scale = blocks.abs().amax(1, keepdim=True)
    table = torch.tensor(NF4)
    nearest = table[(blocks / scale)[..., None].sub(table).abs().argmin(-1)] * scale
    found = stored.weight.flatten().unflatten(0, (-1, BLOCK))
    # the scales lie in 8 bits themselves
    assert (found - nearest).norm() < 0.02 * nearest.norm()
    assert stored.bits.packed.dtype == torch.uint8
    assert stored.bits.packed.numel() == plain.weight.numel() // 2


@pytest.mark.parametrize("kept", STORED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_is_a_product_with_them_forward_and_backward(kept, dtype):
    _, stored = one_layer(kept, dtype)
    reference = nn.Linear(192, 384, bias=False, dtype=dtype)
    reference.weight = nn.Parameter(stored.weight, requires_grad=False)
    ways = []
    for layer in (stored, reference):
        x = inputs(dtype)
        layer(x).square().sum().backward()
        ways.append((layer(x).detach(), x.grad))
    for one, other in zip(*ways, strict=True):
        torch.testing.assert_close(one, other)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        assert stored(inputs(torch.float32)).dtype == dtype


def test_a_bias_is_kept():
    from acestep.speed.precision import _to_int8

    plain = nn.Linear(64, 3).requires_grad_(False)
    stored = StoredLinear(plain, _to_int8(plain.weight))
    x = torch.randn(5, 64)
    torch.testing.assert_close(stored(x), plain(x), atol=0.02, rtol=0.02)
    assert torch.equal(stored(x * 0), plain.bias.expand(5, 3))


@pytest.mark.parametrize("kept", STORED)
def test_no_weight_is_kept_for_the_backward_pass(kept):
    _, stored = one_layer(kept, torch.bfloat16)
    kept_numbers = []

    def see(tensor):
        kept_numbers.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        stored(inputs(torch.bfloat16)).sum()
    assert max(kept_numbers, default=0) < stored.in_features * stored.out_features // 10


# What is stored


@pytest.mark.parametrize("kept", STORED)
def test_the_linear_layers_of_the_blocks_are_stored_and_nothing_else(kept):
    plain, small = base(), base(kept)
    names = block_linears(plain)
    assert len(names) == 6 * (4 + 4 + 3)
    found = {n for n, part in small.named_modules() if isinstance(part, StoredLinear)}
    assert found == set(names) == set(block_linears(small))
    rest = dict(small.named_parameters())
    for name, parameter in plain.named_parameters():
        if name.removesuffix(".weight") not in names:
            assert torch.equal(rest.pop(name), parameter)
    assert rest == {}
    assert (
        count_weights(small) == count_weights(plain) == sum(p.numel() for p in plain.parameters())
    )


def test_bytes_are_those_of_the_tensors():
    _, int8 = one_layer("int8")
    assert stored_bytes(384, 192, "int8") == int8.bits.codes.nbytes + int8.bits.scale.nbytes
    _, nf4 = one_layer("nf4")
    state = nf4.bits.state
    scales = state.absmax.nbytes + state.state2.absmax.nbytes
    assert abs(stored_bytes(384, 192, "nf4") - nf4.bits.packed.nbytes - scales) < 8
    assert stored_bytes(384, 192, "bf16") == 2 * 384 * 192


@pytest.mark.parametrize(("kept", "library"), [("int8", "torchao"), ("nf4", "bitsandbytes")])
def test_a_missing_library_is_named_with_the_command(kept, library, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=f"--base-precision {kept} needs {library}") as caught:
        base(kept)
    assert "pip install 'acestep-studio[quant]'" in caught.value.hint


@pytest.mark.parametrize("kept", STORED)
@pytest.mark.parametrize("adapter", ["lora", "dora", "rslora"])
def test_every_kind_of_adapter_learns_on_it(kept, adapter):
    transformer = base(kept, model=TINY)
    config = TrainConfig(tensors="-", rank=2, dropout=0, adapter=adapter, targets="attention+mlp")
    modules = attach(transformer, config)
    assert set(modules) == set(block_linears(base(model=TINY)))
    parameters = trainable_parameters(transformer)
    for name, layer in attached(transformer).items():
        inner = layer.get_base_layer()
        assert isinstance(inner, StoredLinear), name
        if adapter == "dora":
            magnitude = layer.lora_magnitude_vector["default"].weight
            torch.testing.assert_close(magnitude, torch.linalg.norm(inner.weight, dim=1))
    velocity(transformer).square().mean().backward()
    ups = [p.grad for name, p in parameters.items() if "lora_B" in name]
    assert all(gradient.abs().sum() > 0 for gradient in ups)


def velocity(transformer):
    generator = torch.Generator().manual_seed(1)
    time = torch.tensor([0.7])
    return transformer(
        hidden_states=torch.randn(1, 20, 8, generator=generator),
        timestep=time,
        timestep_r=time,
        encoder_hidden_states=torch.randn(1, 5, 32, generator=generator),
        context_latents=torch.randn(1, 20, 16, generator=generator),
        return_dict=False,
    )[0]


# A run on it


@pytest.fixture(scope="module")
def tensors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "tensors"
    return tiny_tensors(folder, (24, 30, 17), labels=LABELS)


@pytest.fixture(scope="module", params=STORED)
def run(request, tensors, tmp_path_factory):
    output = tmp_path_factory.mktemp(request.param) / "run"
    heard = {"preview_every": 4, "preview_seconds": 0.4}
    return train_to(output, tensors, base_precision=request.param, **heard, **KNOBS)


def train_to(output, tensors, **knobs):
    list(train(TrainConfig(tensors=tensors, output=output, **knobs)))
    return RunFolder(output)


def of(kind, run):
    return [event for event in run.read_events() if isinstance(event, kind)]


def test_a_run_remembers_it_and_its_base_is_the_same(run, tensors):
    settings = run.read_settings()
    kept = settings["config"]["base_precision"]
    assert kept in STORED and settings["pace"]["base_precision"]["value"] == kept
    assert settings["model"]["fingerprint"] == find_model(str(TINY)).fingerprint
    first, *_, last = of(Evaluation, run)
    assert last.loss < first.loss == first.base_loss  # the base as it lies in memory
    assert len(of(Sample, run)) > 0


def test_resuming_gives_the_numbers_of_a_run_that_never_stopped(run, tensors, tmp_path):
    kept = run.read_settings()["config"]["base_precision"]
    half = train_to(tmp_path / "run", tensors, **{**KNOBS, "base_precision": kept, "epochs": 2})
    with pytest.raises(RunError, match=f"--base-precision bf16: the run has {kept}"):
        train_to(half.path, tensors, resume=True, base_precision="bf16")
    train_to(half.path, tensors, resume=True, epochs=4)
    name = "checkpoints/epoch_4/adapter_model.safetensors"
    assert (half.path / name).read_bytes() == (run.path / name).read_bytes()


def test_the_adapter_loads_on_the_base_as_it_is(run, tmp_path):
    list(export(ExportConfig(run=run.path, output=tmp_path / "lora")))
    adapter = read_adapter(tmp_path / "lora")
    for dtype in (torch.float32, torch.bfloat16):
        mounted = load_transformer(find_model(str(TINY)), CPU, dtype)
        mount(mounted, adapter, "x")
        assert mounted.layers[0].self_attn.to_q.weight.dtype == dtype
    list(export(ExportConfig(run=run.path, output=tmp_path / "merged", format="merged")))
    merged = load_transformer(find_model(str(TINY)), CPU, torch.float32)
    merge(merged, adapter)
    mounted = load_transformer(find_model(str(TINY)), CPU, torch.float32)
    plain = velocity(mounted)
    mount(mounted, adapter, "x")
    torch.testing.assert_close(velocity(mounted), velocity(merged), atol=1e-5, rtol=1e-4)
    assert (velocity(mounted) - plain).abs().max() > 1e-3
    song = tmp_path / "song.flac"
    ordered = {"model": str(TINY), "caption": "jazz", "duration": 0.5, "device": "cpu"}
    list(generate(GenerateConfig(lora=[tmp_path / "lora"], output=song, **ordered)))
    assert read_audio(song).shape[1] > 0


def test_bf16_is_one_way_to_say_it():
    config = TrainConfig(tensors="-", base_precision="bf16", precision="bfloat16")
    assert config.base_precision == "bf16"
    for other in ("float32", "float16"):
        with pytest.raises(ConfigError, match=f"bf16 --precision {other}"):
            TrainConfig(tensors="-", base_precision="bf16", precision=other)


def test_bf16_computes_in_bfloat16(tensors, tmp_path):
    run = train_to(tmp_path / "run", tensors, **{**KNOBS, "epochs": 1, "base_precision": "bf16"})
    pace = run.read_settings()["pace"]
    assert pace["precision"]["value"] == pace["base_precision"]["value"] == "bfloat16"
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["machine"]["precision"] == "bfloat16"
