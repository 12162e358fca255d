import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderOobleck
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from acestep.errors import ModelError
from acestep.model import load
from acestep.model.base import (
    find_model,
    load_audio_tokenizer,
    load_condition_encoder,
    load_null_condition,
    load_silence,
    load_text_encoder,
    load_tokenizer,
    load_transformer,
    load_vae,
)
from acestep.model.vae import decode_audio, encode_audio
from tests.model.xl_checkpoint import CLASSES, make_xl

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = "acestep-v15-turbo"
CPU = torch.device("cpu")
FLOAT = torch.float32
# exp() of the time frequencies rounds differently from one processor to another, which alone moves
# a velocity by up to 2.5e-5 (in float64 too, since the original takes it in float32 there)
DIT_TOLERANCE = 5e-5


@pytest.fixture(scope="module", params=[f"upstream_tiny/{CHECKPOINT}", "diffusers_tiny"])
def model(request):
    return find_model(str(GOLDEN / request.param))


@pytest.fixture
def checkpoint(tmp_path):
    shutil.copytree(GOLDEN / "upstream_tiny", tmp_path / "models")
    return tmp_path / "models" / CHECKPOINT


def furthest(ours, golden):
    assert ours.shape == golden.shape
    return (ours - golden).abs().max().item()


@torch.no_grad()
def test_velocities_equal_the_original(model):
    golden = load_file(GOLDEN / "dit.safetensors")
    transformer = load_transformer(model, CPU, FLOAT)
    for case in ("odd", "even", "short"):
        for index in range(5):
            velocity = transformer(
                hidden_states=golden[f"{case}.hidden_states"],
                timestep=golden[f"{case}.{index}.timestep"],
                timestep_r=golden[f"{case}.{index}.timestep_r"],
                encoder_hidden_states=golden[f"{case}.encoder_hidden_states"],
                context_latents=golden[f"{case}.context_latents"],
            ).sample
            assert furthest(velocity, golden[f"{case}.{index}.velocity"]) < DIT_TOLERANCE


@torch.no_grad()
def test_packed_and_padded_conditions_equal_the_original(model):
    golden = load_file(GOLDEN / "condition.safetensors")
    encoder = load_condition_encoder(model, CPU, FLOAT)
    names = ("text_hidden_states", "text_attention_mask", "lyric_hidden_states",
             "lyric_attention_mask", "refer_audio_acoustic_hidden_states_packed",
             "refer_audio_order_mask")  # fmt: skip
    states, mask = encoder(*(golden[f"a.{name}"] for name in names))
    assert furthest(states, golden["a.encoder_hidden_states"]) < 2e-5
    assert mask.equal(golden["a.encoder_attention_mask"])
    assert encoder.null_condition_emb.equal(golden["null_condition_emb"])
    assert load_null_condition(model).equal(golden["null_condition_emb"])


@torch.no_grad()
def test_codes_equal_the_original_exactly(model):
    golden = load_file(GOLDEN / "tokenizer.safetensors")
    tokenizer, detokenizer = load_audio_tokenizer(model, CPU, FLOAT)
    for case in ("pad", "exact"):
        quantized, codes = tokenizer.tokenize(golden[f"{case}.latents"], load_silence(model))
        assert codes.equal(golden[f"{case}.indices"])
        assert furthest(quantized, golden[f"{case}.quantized"]) < 2e-5
        assert furthest(detokenizer(quantized), golden[f"{case}.detokenized_25hz"]) < 2e-5
    codes = golden["from_codes.indices"]
    assert tokenizer.quantizer.get_codes_from_indices(codes).equal(golden["from_codes.fsq_codes"])
    quantized = tokenizer.quantizer.get_output_from_indices(codes)
    assert furthest(quantized, golden["from_codes.quantized"]) < 2e-5
    assert furthest(detokenizer(quantized), golden["from_codes.detokenized_25hz"]) < 2e-5


@torch.no_grad()
def test_autoencoder_equals_the_original(model):
    golden = load_file(GOLDEN / "vae.safetensors")
    vae = load_vae(model, CPU)
    posterior = vae.encode(golden["waveform"]).latent_dist
    assert furthest(posterior.mean, golden["latent_mean"]) < 2e-5
    assert furthest(posterior.std, golden["latent_std"]) < 2e-5
    assert furthest(vae.decode(golden["latents_to_decode"]).sample, golden["decoded"]) < 2e-5


def test_silence_is_the_same_from_both_layouts(model):
    silence = load_silence(model)
    stored = torch.load(
        GOLDEN / "upstream_tiny" / CHECKPOINT / "silence_latent.pt", weights_only=True
    )
    assert silence.dtype == FLOAT and silence.shape == (1, 15000, 8)
    assert silence.equal(stored.float().transpose(1, 2))
    assert silence.equal(load_condition_encoder(model, CPU, FLOAT).silence_latent)


@torch.no_grad()
def test_text_encoder_equals_that_of_transformers_bit_for_bit(model):
    tokenizer, encoder = load_text_encoder(model, CPU, FLOAT)
    assert encoder.config._attn_implementation == "sdpa"
    theirs = AutoModel.from_pretrained(model.text_folder, dtype=FLOAT, attn_implementation="sdpa")
    ids = torch.tensor([tokenizer("# Caption\nsoft piano")["input_ids"]])
    assert encoder(ids).last_hidden_state.equal(theirs(ids).last_hidden_state)


def test_tokenizer_appends_what_its_file_says(model):
    assert load_tokenizer(model)("a")["input_ids"][-1] == 0
    assert load_tokenizer(find_model())("a")["input_ids"] == [67]


@pytest.mark.parametrize("content", ["", "{}", '{"model": 1}', '{"model": {"type": "Unigram"}}'])
def test_a_damaged_tokenizer_is_refused(checkpoint, content):
    file = checkpoint.parent / "Qwen3-Embedding-0.6B" / "tokenizer.json"
    file.write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        load_tokenizer(find_model(str(checkpoint)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_part_comes_frozen_in_eval_mode_and_in_the_dtype_asked_for(model, dtype):
    tokenizer, detokenizer = load_audio_tokenizer(model, CPU, dtype)
    text_encoder = load_text_encoder(model, CPU, dtype)[1]
    for part in (
        load_transformer(model, CPU, dtype),
        load_condition_encoder(model, CPU, dtype),
        load_vae(model, CPU, dtype),
        tokenizer,
        detokenizer,
        text_encoder,
    ):
        assert not part.training
        assert not any(weight.requires_grad for weight in part.parameters())
        assert {weight.dtype for weight in part.parameters()} == {dtype}
        assert {tensor.device for tensor in part.buffers()} <= {CPU}
    assert text_encoder.rotary_emb.inv_freq.dtype == FLOAT  # positions stay exact


def test_bfloat16_files_load_as_float32():
    model = find_model()  # its weights are stored in bfloat16
    assert load_transformer(model, CPU, FLOAT).dtype == FLOAT
    assert load_text_encoder(model, CPU, FLOAT)[1].dtype == FLOAT


def test_each_loader_reads_its_own_tensors_alone(monkeypatch):
    read = []

    class Recorder:
        def __init__(self, file, framework):
            self.file = original(file, framework=framework)

        def __enter__(self):
            self.open = self.file.__enter__()
            return self

        def __exit__(self, *error):
            return self.file.__exit__(*error)

        def keys(self):
            return self.open.keys()

        def get_tensor(self, key):
            read.append(key)
            return self.open.get_tensor(key)

    original = load.safe_open
    monkeypatch.setattr(load, "safe_open", Recorder)
    model = find_model(str(GOLDEN / "upstream_tiny" / CHECKPOINT))
    for loader, prefixes, count in (
        (load_transformer, ("decoder.",), 96),
        (load_condition_encoder, ("encoder.", "null_condition_emb"), 64),
        (load_audio_tokenizer, ("tokenizer.", "detokenizer."), 60),
    ):
        read.clear()
        loader(model, CPU, FLOAT)
        assert len(read) == count and all(key.startswith(prefixes) for key in read)


def rewrite(file: Path, change) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def test_loading_is_strict_and_names_the_tensor(checkpoint):
    file = checkpoint / "model.safetensors"
    whole = file.read_bytes()
    for change, said in (
        (lambda t: t.pop("decoder.norm_out.weight"), "'norm_out.weight' is missing"),
        (lambda t: t.update({"decoder.extra": torch.zeros(1)}), "unexpected tensor 'extra'"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(1)}), "unexpected tensor 'lm_head"),
        (lambda t: t.update({"decoder.norm_out.weight": torch.zeros(3)}), r"is \(3,\), its config"),
    ):
        rewrite(file, change)
        with pytest.raises(ModelError, match=said):
            load_transformer(find_model(str(checkpoint)), CPU, FLOAT)
        file.write_bytes(whole)


def test_text_encoders_saved_with_a_head_load_too(checkpoint):
    file = checkpoint.parent / "Qwen3-Embedding-0.6B" / "model.safetensors"
    plain = load_text_encoder(find_model(str(checkpoint)), CPU, FLOAT)[1].state_dict()
    tensors = {f"model.{key}": value for key, value in load_file(file).items()}
    save_file(tensors | {"lm_head.weight": torch.zeros(387, 24)}, file, {"format": "pt"})
    again = load_text_encoder(find_model(str(checkpoint)), CPU, FLOAT)[1].state_dict()
    assert all(again[key].equal(value) for key, value in plain.items())


class Bomb:
    """Unpickling this creates a file: what a hostile checkpoint would do."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["pickle", "torch", "torch-legacy"])
def test_a_pickle_posing_as_silence_is_refused_and_never_executed(checkpoint, tmp_path, form):
    mark = tmp_path / "executed"
    file = checkpoint / "silence_latent.pt"
    if form == "pickle":
        file.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        zipped = form == "torch"
        torch.save({"silence": Bomb(mark)}, file, _use_new_zipfile_serialization=zipped)
    model = find_model(str(checkpoint))
    for loader in (load_silence, lambda model: load_condition_encoder(model, CPU, FLOAT)):
        with pytest.raises(ModelError, match=r"silence_latent\.pt"):
            loader(model)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb works


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(8, 15000),
        torch.zeros(1, 64, 15000),
        torch.zeros(2, 8, 15000),
        torch.zeros(1, 8, 100),
        [1],
    ],
    ids=["flat", "channels", "batch", "short", "list"],
)
def test_silence_of_another_shape_is_refused(checkpoint, value):
    torch.save(value, checkpoint / "silence_latent.pt")
    with pytest.raises(ModelError, match=r"silence_latent\.pt"):
        load_silence(find_model(str(checkpoint)))


def test_damaged_silence_is_refused(checkpoint):
    file = checkpoint / "silence_latent.pt"
    for content in (b"", b"not a tensor", file.read_bytes()[:1000]):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"silence_latent\.pt"):
            load_silence(find_model(str(checkpoint)))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_silence_with_flipped_bytes_is_read_or_refused(checkpoint, zipped):
    file = checkpoint / "silence_latent.pt"
    silence = torch.load(file, weights_only=True)[:, :, :800].clone()
    torch.save(silence, file, _use_new_zipfile_serialization=zipped)
    model, whole = find_model(str(checkpoint)), file.read_bytes()
    draw = np.random.default_rng(7)
    for _ in range(400):
        broken = bytearray(whole)
        for at in draw.integers(0, 700, size=3):
            broken[at] = draw.integers(256)
        file.write_bytes(broken)
        try:
            load_silence(model)
        except ModelError as error:
            assert "silence_latent.pt" in str(error)


def test_silence_of_another_length_is_kept_whole(checkpoint):
    torch.save(torch.ones(1, 8, 2000), checkpoint / "silence_latent.pt")
    encoder = load_condition_encoder(find_model(str(checkpoint)), CPU, FLOAT)
    assert encoder.silence_latent.shape == (1, 2000, 8)


def test_code_that_comes_with_a_model_is_not_run(checkpoint, tmp_path):
    mark = tmp_path / "executed"
    code = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n"
    for name in ("modeling_acestep_v15_turbo.py", "configuration_acestep_v15.py", "tok.py"):
        (checkpoint / name).write_text(code)
        (checkpoint.parent / "Qwen3-Embedding-0.6B" / name).write_text(code)
    text = checkpoint.parent / "Qwen3-Embedding-0.6B" / "config.json"
    hostile = {"auto_map": {"AutoModel": "tok.Model", "AutoTokenizer": "tok.Tokenizer"}}
    text.write_text(json.dumps(json.loads(text.read_text()) | hostile))
    model = find_model(str(checkpoint))
    load_transformer(model, CPU, FLOAT)
    load_text_encoder(model, CPU, FLOAT)
    assert not mark.exists()


def test_a_pipeline_without_audio_tokenizer_still_loads_the_rest(tmp_path):
    shutil.copytree(GOLDEN / "diffusers_tiny", tmp_path / "model")
    for part in ("audio_tokenizer", "audio_token_detokenizer"):
        shutil.rmtree(tmp_path / "model" / part)
    model = find_model(str(tmp_path / "model"))
    load_transformer(model, CPU, FLOAT)
    with pytest.raises(ModelError, match="audio_tokenizer"):
        load_audio_tokenizer(model, CPU, FLOAT)


@torch.no_grad()
def test_other_rope_and_norm_values_reach_the_modules(checkpoint):
    file = checkpoint / "config.json"
    config = json.loads(file.read_text()) | {"rope_theta": 100.0, "rms_norm_eps": 1e-2}
    file.write_text(json.dumps(config))
    changed = load_transformer(find_model(str(checkpoint)), CPU, FLOAT)
    golden = load_file(GOLDEN / "dit.safetensors")
    names = ("hidden_states", "encoder_hidden_states", "context_latents")
    inputs = {name: golden[f"even.{name}"] for name in names}
    times = {name: golden[f"even.0.{name}"] for name in ("timestep", "timestep_r")}
    velocity = changed(**inputs, **times).sample
    assert furthest(velocity, golden["even.0.velocity"]) > 1e-2
    assert changed.layers[0].self_attn_norm.eps == 1e-2 and changed.rope_theta == 100.0


def as_it_comes(model):
    return AutoencoderOobleck.from_pretrained(model.vae_folder, torch_dtype=FLOAT).eval()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@torch.no_grad()
def test_zeroed_residual_units_are_left_out_without_changing_a_bit():
    vae, whole = as_it_comes(find_model()), as_it_comes(find_model())
    load.fold_weight_norm(vae)
    load.drop_idle_modules(vae)
    kept = [sum(isinstance(part, load.OobleckResidualUnit) for part in one.modules())
            for one in (vae, whole)]  # fmt: skip
    assert kept == [18, 24]
    audio = torch.randn(1, 2, 1920 * 12, generator=torch.Generator().manual_seed(1)) * 0.1
    ours, theirs = vae.encode(audio).latent_dist, whole.encode(audio).latent_dist
    assert ours.mean.equal(theirs.mean) and ours.std.equal(theirs.std)
    assert vae.decode(ours.mean).sample.equal(whole.decode(ours.mean).sample)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_units_that_are_zero_only_in_part_stay():
    vae = as_it_comes(find_model(str(GOLDEN / "diffusers_tiny")))
    load.fold_weight_norm(vae)
    unit = vae.encoder.block[0].res_unit1
    for parameter in unit.conv2.parameters():
        torch.nn.init.zeros_(parameter)
    assert load.drop_idle_modules(vae) == 0
    torch.nn.init.zeros_(unit.conv1.weight)
    assert load.drop_idle_modules(vae) == 0  # its bias is left
    torch.nn.init.zeros_(unit.conv1.bias)
    assert load.drop_idle_modules(vae) == 1


@pytest.mark.filterwarnings("ignore::FutureWarning")
@torch.no_grad()
def test_snakes_without_a_sine_are_left_out_bit_by_bit():
    vae = as_it_comes(find_model(str(GOLDEN / "diffusers_tiny")))
    load.fold_weight_norm(vae)
    audio = torch.randn(1, 2, 1920 * 2, generator=torch.Generator().manual_seed(0))
    snake = vae.encoder.block[0].snake1
    snake.beta.fill_(100.0)  # 1 / exp(100) is 0 in float32
    whole = vae.encoder(audio)
    snake.beta[0, 0] = 80.0
    assert load.drop_idle_modules(vae) == 0  # small is not nothing
    snake.beta[0, 0] = 100.0
    assert load.drop_idle_modules(vae) == 1
    assert torch.equal(vae.encoder(audio), whole)


@torch.no_grad()
def test_the_small_model_hears_and_plays():
    model = find_model()
    vae = load_vae(model, CPU)
    time = np.arange(48000 * 2) / 48000
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (110.0, 138.6, 164.8))
    audio = np.stack([chord, chord]).astype(np.float32) * 0.1
    latents = encode_audio(vae, audio, seed=1)
    again = decode_audio(vae, latents)
    assert latents.shape == (1, 50, 64) and again.shape == audio.shape
    assert np.corrcoef(again[0], audio[0])[0, 1] > 0.8
    for loader in (load_transformer, load_condition_encoder, load_audio_tokenizer):
        loader(model, CPU, FLOAT)


@torch.no_grad()
def test_xl_checkpoints_load_from_shards(tmp_path):
    model, tensors = make_xl(tmp_path / "models")
    assert model.is_xl and len(model.weights("transformer")) == 3
    transformer = load_transformer(model, CPU, FLOAT)
    assert transformer.config.hidden_size == 48
    assert transformer.condition_embedder.weight.shape == (48, 32)
    tokenizer, _ = load_audio_tokenizer(model, CPU, torch.bfloat16)
    assert tokenizer.config.hidden_size == 32 and tokenizer.dtype == torch.bfloat16
    assert transformer.layers[4].mlp.up_proj.weight.equal(
        tensors["decoder.layers.4.mlp.up_proj.weight"].float()
    )
    reference = CLASSES["transformer"](**model.config("transformer"))
    reference.load_state_dict(transformer.state_dict())
    generator = torch.Generator().manual_seed(3)
    inputs = {
        "hidden_states": torch.randn(1, 21, 8, generator=generator),
        "context_latents": torch.randn(1, 21, 16, generator=generator),
        "encoder_hidden_states": torch.randn(1, 9, 32, generator=generator),
        "timestep": torch.tensor([0.5]),
        "timestep_r": torch.tensor([0.5]),
    }
    velocity = transformer(**inputs).sample
    assert velocity.isfinite().all()
    torch.testing.assert_close(velocity, reference(**inputs).sample, rtol=1e-5, atol=1e-5)
