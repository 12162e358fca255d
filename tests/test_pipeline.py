"""AceStepPipeline: the guide's code, adapters on and off, audio in every form."""

import gc
import json
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from acestep import AceStepPipeline
from acestep.data.audio import read_audio, write_audio
from acestep.errors import AceStepWarning, AdapterError, AudioError, ConfigError, ModelError
from acestep.model.base import find_model

GOLDEN = Path(__file__).parent / "golden"
TINY = str(GOLDEN / "upstream_tiny/acestep-v15-turbo")
ADAPTERS = GOLDEN / "adapters"
RATE = 48000
GUIDE = """
from acestep import AceStepPipeline

pipeline = AceStepPipeline(model_path="acestep-v15-turbo", lora_path="/path/to/my_lora/")
result = pipeline.generate(caption="myjazz, late night jazz cafe atmosphere", lyrics="[Instrumental]")

pipeline.enable_lora()      # on
pipeline.disable_lora()     # off: the original model
pipeline.unload_lora()

pipeline.load_lora("/path/to/jazz_lora/")
jazz_song = pipeline.generate(caption="myjazz, piano trio")
pipeline.unload_lora()
pipeline.load_lora("/path/to/lofi_lora/")
lofi_song = pipeline.generate(caption="mylofi, chill beats")
"""  # noqa: E501
GUIDE_PATHS = {
    "/path/to/my_lora/": "upstream_peft_attn_r4_a8",
    "/path/to/jazz_lora/": "upstream_peft_dora_r4_a8",
    "/path/to/lofi_lora/": "upstream_peft_vo_rslora",
}


@pytest.fixture(scope="module")
def tiny() -> AceStepPipeline:
    return AceStepPipeline(TINY, device="cpu")


@pytest.fixture(scope="module")
def base(tiny) -> np.ndarray:
    return audio_of(tiny)


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "tiny" in request.fixturenames:
        request.getfixturevalue("tiny").unload_lora()


def audio_of(pipeline, **knobs) -> np.ndarray:
    return pipeline.generate(**{"caption": "myjazz, piano", "duration": 1, **knobs}).audio


def write_adapter(folder: Path, width: int, heads: int, **card) -> Path:
    """A PEFT folder for the first query projection, from ``width`` to ``heads`` wide."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(3)
    name = "base_model.model.layers.0.self_attn.to_q"
    weights = {
        f"{name}.lora_A.weight": torch.randn(2, width, generator=generator),
        f"{name}.lora_B.weight": torch.randn(heads, 2, generator=generator),
    }
    header = {"acestep_card": json.dumps(card)} if card else None
    save_file(weights, folder / "adapter_model.safetensors", header)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["to_q"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_the_guides_code_word_for_word(monkeypatch):
    monkeypatch.setenv("ACESTEP_MODELS", str(GOLDEN / "upstream_tiny"))
    code = GUIDE
    for written, real in GUIDE_PATHS.items():
        code = code.replace(written, str(ADAPTERS / real) + "/")
    names: dict = {}
    exec(code, names)
    for song in (names["result"], names["jazz_song"], names["lofi_song"]):
        assert song.sample_rate == RATE and song.seed == 42
        assert song.audio.shape == (2, 30 * RATE) and song.audio.dtype == np.float32
        assert np.isfinite(song.audio).all() and song.audio.any()
    assert names["pipeline"].loras == {"upstream_peft_vo_rslora": 1}
    variation = names["pipeline"].generate(
        caption="slight variation in style", task_type="repaint", src_audio=names["jazz_song"],
        repainting_start=10, repainting_end=20,
    )  # fmt: skip
    kept = slice(0, 10 * RATE)
    assert np.array_equal(variation.audio[:, kept], names["jazz_song"].audio[:, kept])
    assert np.array_equal(variation.audio[:, 20 * RATE :], names["jazz_song"].audio[:, 20 * RATE :])


@pytest.mark.parametrize("name", list(GUIDE_PATHS.values()) + ["upstream_peft_attn_mlp_patterns"])
def test_off_is_the_base_bit_for_bit(name, tiny, base):
    loaded = tiny.load_lora(ADAPTERS / name)
    assert loaded == name
    adapted = audio_of(tiny)
    assert not np.array_equal(adapted, base)
    tiny.disable_lora()
    assert np.array_equal(audio_of(tiny), base)
    assert tiny.loras == {name: 0}
    tiny.enable_lora()
    assert np.array_equal(audio_of(tiny), adapted)
    tiny.set_lora_scale(0)
    assert np.array_equal(audio_of(tiny), base)
    tiny.set_lora_scale(0.5)
    half = audio_of(tiny)
    assert not np.array_equal(half, base) and not np.array_equal(half, adapted)
    tiny.set_lora_scale(1)
    assert np.array_equal(audio_of(tiny), adapted)
    tiny.unload_lora()
    assert np.array_equal(audio_of(tiny), base)
    assert tiny.loras == {}


def test_several_at_once_each_with_its_strength(tiny, base):
    first, second = ADAPTERS / "upstream_peft_attn_r4_a8", ADAPTERS / "upstream_peft_dora_r4_a8"
    tiny.load_lora(first, name="jazz", scale=0.8)
    jazz = audio_of(tiny)
    tiny.load_lora(second, name="lofi")
    assert tiny.loras == {"jazz": 0.8, "lofi": 1}
    both = audio_of(tiny)
    assert not np.array_equal(both, jazz)
    tiny.set_lora_scale(0, "lofi")
    assert np.array_equal(audio_of(tiny), jazz)
    tiny.set_lora_scale({"lofi": 1, "jazz": 0.8})
    assert np.array_equal(audio_of(tiny), both)
    tiny.unload_lora("jazz")
    lofi = audio_of(tiny)
    tiny.unload_lora()
    tiny.load_lora(second, scale=1)
    assert np.array_equal(audio_of(tiny), lofi)


def test_loading_one_after_disabling_plays_it(tiny, base):
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8")
    adapted = audio_of(tiny)
    tiny.disable_lora()
    tiny.unload_lora()
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8")
    assert np.array_equal(audio_of(tiny), adapted)


def test_names(tiny):
    path = ADAPTERS / "upstream_peft_attn_r4_a8"
    assert tiny.load_lora(path) == "upstream_peft_attn_r4_a8"
    assert tiny.load_lora(path) == "upstream_peft_attn_r4_a8_2"
    with pytest.raises(AdapterError, match="loaded already"):
        tiny.load_lora(path, name="upstream_peft_attn_r4_a8")
    for act in (tiny.unload_lora, lambda name: tiny.set_lora_scale(1, name)):
        with pytest.raises(AdapterError, match="jazz") as caught:
            act("jazz")
        assert "upstream_peft_attn_r4_a8_2" in caught.value.hint
    with pytest.raises(AdapterError, match="nan"):
        tiny.set_lora_scale(float("nan"))
    assert set(tiny.loras.values()) == {1}


def test_unloading_gives_the_memory_back(tiny):
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8", name="jazz")
    adapter = weakref.ref(tiny._parts._slots["jazz"].adapter)
    modules = [weakref.ref(m) for m in tiny._parts.transformer().modules()]
    tiny.unload_lora()
    gc.collect()
    assert adapter() is None
    left = {id(module()) for module in modules if module() is not None}
    assert left == {id(module) for module in tiny._parts.transformer().modules()}


def test_an_adapter_that_does_not_fit_changes_nothing(tiny, base, tmp_path):
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8", name="jazz")
    adapted = audio_of(tiny)
    with pytest.raises(AdapterError):
        tiny.load_lora(write_adapter(tmp_path / "wide", 128, 64))
    with pytest.raises(AdapterError):
        tiny.load_lora(tmp_path / "missing")
    with pytest.raises(AdapterError):
        tiny.load_lora(ADAPTERS / "upstream_peft_dora_r4_a8", scale="loud")
    assert tiny.loras == {"jazz": 1}
    assert np.array_equal(audio_of(tiny), adapted)


def test_an_adapter_of_other_sizes_names_both_bases(tiny, tmp_path):
    path = write_adapter(tmp_path / "wide", 128, 64, base_model="mini")
    with pytest.raises(AdapterError) as caught:
        tiny.load_lora(path)
    assert "mini" in caught.value.hint and "acestep-v15-turbo" in caught.value.hint


def test_a_strength_is_set_in_either_order(tiny):
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8", name="jazz")
    tiny.load_lora(ADAPTERS / "upstream_peft_dora_r4_a8", name="lofi")
    tiny.set_lora_scale("jazz", 0.5)
    tiny.set_lora_scale(0.25, "lofi")
    assert tiny.loras == {"jazz": 0.5, "lofi": 0.25}
    for wrong in ((0.5, "funk"), ("funk", 0.5), ("0.5",), ("jazz", "loud"), (None, "jazz")):
        with pytest.raises(AdapterError):
            tiny.set_lora_scale(*wrong)
    assert tiny.loras == {"jazz": 0.5, "lofi": 0.25}


def test_offload_with_adapters_changes_nothing(tiny):
    offloaded = AceStepPipeline(TINY, ADAPTERS / "upstream_peft_attn_r4_a8", "cpu", offload=True)
    tiny.load_lora(ADAPTERS / "upstream_peft_attn_r4_a8")
    adapted = audio_of(tiny)
    for _ in range(2):
        assert np.array_equal(audio_of(offloaded), adapted)
    offloaded.set_lora_scale(0)
    tiny.set_lora_scale(0)
    assert np.array_equal(audio_of(offloaded), audio_of(tiny))
    offloaded.unload_lora()
    assert np.array_equal(audio_of(offloaded), audio_of(tiny))


def test_another_base_is_named(tiny, base, tmp_path):
    card = {"base_model": "acestep-v15-xl-base", "base_fingerprint": "0" * 64}
    path = write_adapter(tmp_path / "jazz", 32, 64, **card)
    with pytest.warns(AceStepWarning, match=r"acestep-v15-xl-base.*acestep-v15-turbo"):
        tiny.load_lora(path)
    assert tiny.loras == {"jazz": 1}
    assert not np.array_equal(audio_of(tiny), base)


def test_its_own_base_is_taken_and_not_warned_about(tmp_path):
    model = find_model(TINY)
    card = {
        "base_model": model.name, "base_path": TINY, "base_fingerprint": model.fingerprint,
        "dataset": {"tag": "zztune"},
    }  # fmt: skip
    path = write_adapter(tmp_path / "jazz", 32, 64, **card)
    pipeline = AceStepPipeline(lora_path=path)
    assert pipeline.model_name == "acestep-v15-turbo"
    with pytest.warns(AceStepWarning, match="zztune"):
        pipeline.generate(caption="piano", duration=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.generate(caption="ZZtune, piano", duration=0.5)
        pipeline.disable_lora()
        pipeline.generate(caption="piano", duration=0.5)


def test_a_base_that_is_not_here_falls_back_to_the_small_one(tmp_path):
    path = write_adapter(tmp_path / "jazz", 192, 192, base_model="nobody/no-such-model")
    with pytest.warns(AceStepWarning, match=r"nobody/no-such-model.*mini"):
        assert AceStepPipeline(lora_path=path).model_name == "mini"


def test_a_file_without_a_strength_is_told(tiny, tmp_path):
    folder = write_adapter(tmp_path / "jazz", 32, 64)
    (folder / "adapter_config.json").unlink()
    with pytest.warns(AceStepWarning, match="alpha = rank"):
        tiny.load_lora(folder / "adapter_model.safetensors")
    assert tiny.loras == {"adapter_model": 1}


def test_enabling_nothing_warns(tiny):
    with pytest.warns(AceStepWarning, match="no adapter"):
        tiny.enable_lora()


def test_the_small_model_is_the_default():
    pipeline = AceStepPipeline()
    assert pipeline.model_name == "mini"
    song = pipeline.generate(caption="techno, 125 bpm", bpm=125, keyscale="Am", duration=1, steps=2)
    assert song.audio.shape == (2, RATE)
    assert "- bpm: 125" in song.prompt.caption_text and "A minor" in song.prompt.caption_text


def test_models_that_are_not_there(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="no-such-model"):
        AceStepPipeline("no-such-model")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)


def test_a_source_in_every_form_is_the_same(tiny, sound, tmp_path):
    write_audio(tmp_path / "in.wav", sound, RATE)
    sound = read_audio(tmp_path / "in.wav")
    knobs = {"task_type": "cover", "steps": 1}
    expected = audio_of(tiny, src_audio=tmp_path / "in.wav", **knobs)
    for form in (
        {"src_audio": str(tmp_path / "in.wav")},
        {"src_audio": sound, "src_rate": RATE},
        {"src_audio": (sound, RATE)},
        {"src_audio": sound.T, "src_rate": RATE},
        {"src_audio": torch.from_numpy(sound), "src_rate": RATE},
        {"src_audio": (torch.from_numpy(sound)[None], RATE)},
    ):
        assert np.array_equal(audio_of(tiny, **form, **knobs), expected)


def test_mono_and_other_rates(tiny, sound):
    mono = audio_of(tiny, task_type="complete", src_audio=sound[0, :22050], src_rate=22050)
    assert mono.shape == (2, RATE)
    with_reference = audio_of(tiny, reference_audio=(sound[0], 8000))
    assert not np.array_equal(with_reference, audio_of(tiny))


def test_a_result_is_a_source(tiny, base):
    song = tiny.generate(caption="myjazz, piano", duration=1)
    assert np.array_equal(song.audio, base)
    again = tiny.generate(
        task_type="repaint", src_audio=song, repainting_start=0.25, repainting_end=0.75
    )
    assert np.array_equal(again.audio[:, : RATE // 4], song.audio[:, : RATE // 4])
    assert np.array_equal(again.audio[:, 3 * RATE // 4 :], song.audio[:, 3 * RATE // 4 :])


def test_seeds(tiny):
    drawn = tiny.generate(duration=0.5, seed=None)
    again = tiny.generate(duration=0.5, seed=drawn.seed)
    other = tiny.generate(duration=0.5, seed=None)
    assert drawn.seed != other.seed
    assert np.array_equal(drawn.audio, again.audio)
    assert not np.array_equal(drawn.audio, other.audio)


def test_several_seeds_are_what_each_is_alone(tiny):
    knobs = {"caption": "x", "duration": 1, "steps": 2}
    several = tiny.generate_all([5, 3], **knobs)
    assert [piece.seed for piece in several] == [5, 3]
    for piece in several:
        assert np.array_equal(piece.audio, tiny.generate(seed=piece.seed, **knobs).audio)
    assert tiny.generate_all([], **knobs) == []
    with pytest.raises(ConfigError, match="--seed -1"):
        tiny.generate_all([1, -1])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus"])
def test_saving(suffix, tiny, tmp_path):
    song = tiny.generate(caption="x", duration=1)
    path = song.save(tmp_path / "new" / f"song{suffix}")
    read = read_audio(path)
    assert abs(read.shape[1] - RATE) < RATE / 20
    if suffix in (".wav", ".flac"):
        np.testing.assert_allclose(read, song.audio, rtol=0, atol=2**-22)


def test_saving_as_something_unknown(tiny, tmp_path):
    with pytest.raises(AudioError, match="xyz"):
        tiny.generate(duration=0.5).save(tmp_path / "song.xyz")


@pytest.mark.parametrize(
    ("knobs", "count", "said"),
    [
        ({"bpm": -1, "steps": 0, "shift": 0}, 3, "--bpm"),
        ({"durations": 3}, 1, "durations"),
        ({"device": "cpu", "output": "x.wav"}, 2, "device"),
        ({"task_type": "cover", "guidance_interval": (1, 0)}, 2, "--task cover"),
        ({"task_type": "cover", "src_audio": np.ones(RATE)}, 1, "src_rate"),
        ({"src_rate": 44100}, 1, "src_rate"),
        ({"task_type": "dance"}, 1, "--task"),
        ({"seed": -1}, 1, "--seed"),
        ({"task_type": "cover", "src_audio": (np.ones(RATE), None)}, 1, "None"),
        ({"task_type": "cover", "src_audio": (np.ones(RATE), "48k")}, 1, "'48k'"),
        ({"task_type": "cover", "src_audio": (RATE, np.ones(RATE))}, 1, "src_audio"),
        ({"reference_audio": 5, "bpm": 0}, 2, "reference_audio: int"),
        ({"reference_audio": np.ones(RATE), "reference_rate": "x"}, 1, "'x'"),
    ],
)
def test_wrong_knobs_are_all_named(knobs, count, said, tiny):
    with pytest.raises(ConfigError) as caught:
        tiny.generate(**knobs)
    assert len(caught.value.problems) == count
    assert said in str(caught.value)


def test_audio_that_is_not_usable(tiny):
    for array in (np.full(RATE, np.nan), np.zeros((0,)), np.ones((3, 3, 3))):
        with pytest.raises(AudioError):
            audio_of(tiny, task_type="cover", src_audio=array, src_rate=RATE)


def test_one_track_and_a_metre_need_no_quotes_or_lists(tiny, sound):
    knobs = {"task_type": "extract", "src_audio": sound, "src_rate": RATE, "steps": 1}
    by_word = audio_of(tiny, track="vocals", timesignature=4, **knobs)
    assert np.array_equal(by_word, audio_of(tiny, track=["vocals"], timesignature="4/4", **knobs))


def test_notices_are_warnings(tiny):
    with pytest.warns(AceStepWarning, match="guidance"):
        audio_of(tiny, guidance=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audio_of(tiny)
