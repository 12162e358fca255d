"""The object to hold when making music from Python: a base model, its adapters, ``generate``."""

import secrets
import warnings
from collections.abc import Iterable
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acestep.adapters.files import read_adapter
from acestep.adapters.stack import AdaptedParts, choose_model, free_name
from acestep.config import GenerateConfig
from acestep.data.audio import conform
from acestep.errors import AceStepWarning, ConfigError
from acestep.events import Event, Notice
from acestep.model.device import choose_device, choose_dtype
from acestep.playing import Rendition
from acestep.render import Sounds, read_sound, render_all, request_problems

Array = np.ndarray | torch.Tensor
Sound = str | PathLike[str] | Array | tuple[Array, int] | Rendition
SEED = 42
OWN_KNOBS = ("model", "lora", "lora_scale", "device", "precision", "offload", "output", "count")


class AceStepPipeline:
    """Generate music with a base model, with or without adapters.

    ::

        pipeline = AceStepPipeline(model_path="acestep-v15-turbo", lora_path="my_lora/")
        song = pipeline.generate(caption="myjazz, piano trio", duration=30)
        song.save("song.flac")

    ``model_path`` is a name, a folder (diffusers or original layout) or a Hub id; without one it is
    the model the adapter was trained on, if that is here, else the small one in the package. With
    ``offload`` one part of the model is on the device at a time. Parts are loaded when first used.
    What the user should know but need not stop for is warned about (``AceStepWarning``).

    Raises ``ModelError``, ``AdapterError`` or ``ConfigError`` if something is missing or unfit.
    """

    def __init__(
        self,
        model_path: str | PathLike[str] | None = None,
        lora_path: str | PathLike[str] | None = None,
        device: str | None = None,
        precision: str = "auto",
        offload: bool = False,
        lora_scale: float = 1.0,
    ) -> None:
        paths = [] if lora_path is None else [Path(lora_path)]
        adapters, model = choose_model(None if model_path is None else str(model_path), paths)
        chosen = choose_device(device)
        dtype = choose_dtype(chosen, precision)
        self._parts = AdaptedParts(model, chosen, dtype, offload=offload)
        for name, adapter in adapters.items():
            self._warn(self._parts.add(adapter, name, lora_scale))

    @property
    def model_name(self) -> str:
        """The base model's name."""
        return self._parts.model.name

    @property
    def loras(self) -> dict[str, float]:
        """The adapters that are loaded, and the strength each acts with (0 while disabled)."""
        return self._parts.scales()

    def generate(
        self,
        caption: str = "",
        lyrics: str = "[Instrumental]",
        *,
        seed: int | None = SEED,
        src_audio: Sound | None = None,
        src_rate: int | None = None,
        reference_audio: Sound | None = None,
        reference_rate: int | None = None,
        **knobs: Any,
    ) -> Rendition:
        """Make one piece; the result has ``.audio``, ``.sample_rate``, ``.seed`` and ``.save``.

        ``src_audio`` and ``reference_audio`` are files, earlier results, or arrays (numpy or torch:
        ``(samples,)``, ``(channels, samples)`` or ``(samples, channels)``) with their rate, as
        ``(array, rate)`` or in ``src_rate`` and ``reference_rate``. A ``seed`` of None draws one.
        ``knobs`` are those of :class:`acestep.GenerateConfig`: ``duration``, ``bpm``, ``keyscale``,
        ``timesignature``, ``language``, ``steps``, ``shift``, ``guidance``, ``guidance_interval``,
        ``guidance_method``, ``task_type``, ``repainting_start``, ``repainting_end``,
        ``cover_strength``, ``cover_noise_strength``, ``track``, ``chunk_mask``.

        Raises ``ConfigError`` naming every knob that is wrong, ``AudioError`` for audio that cannot
        be read, ``ModelError`` when memory runs out.
        """
        (piece,) = self.generate_all(
            [secrets.randbelow(2**31) if seed is None else seed],
            caption,
            lyrics,
            src_audio=src_audio,
            src_rate=src_rate,
            reference_audio=reference_audio,
            reference_rate=reference_rate,
            **knobs,
        )
        return piece

    def generate_all(
        self,
        seeds: Iterable[int],
        caption: str = "",
        lyrics: str = "[Instrumental]",
        *,
        src_audio: Sound | None = None,
        src_rate: int | None = None,
        reference_audio: Sound | None = None,
        reference_rate: int | None = None,
        **knobs: Any,
    ) -> list[Rendition]:
        """Make a piece for each seed, as :meth:`generate` makes one: on a CPU the same to the bit.

        The text is encoded once, and on a GPU the pieces go through the model together, as many as
        fill it. Raises what ``generate`` raises.
        """
        problems = _sound_problems("src", src_audio, src_rate)
        problems += _sound_problems("reference", reference_audio, reference_rate)
        try:
            configs = [self._config(caption, lyrics, seed, knobs) for seed in seeds]
        except ConfigError as error:
            raise ConfigError([*error.problems, *problems], hint=error.hint) from error
        if not configs:
            return []
        problems += request_problems(configs[0], has_source=src_audio is not None)
        if problems:
            raise ConfigError(problems)
        sounds = Sounds(
            _hear(src_audio, src_rate, configs[0].duration), _hear(reference_audio, reference_rate)
        )
        pieces = []
        for item in render_all(self._parts, configs, sounds):
            if isinstance(item, Rendition):
                pieces.append(item)
            else:
                self._tell(item)
        return pieces

    def load_lora(
        self, path: str | PathLike[str], name: str | None = None, scale: float = 1.0
    ) -> str:
        """Put an adapter on top of those loaded and return its name (default: its file's).

        Reads every form that ``acestep export`` writes. Raises ``AdapterError`` if it does not fit
        or the name is taken; the pipeline is then as it was. Warns if it was trained on another
        base model.
        """
        adapter = read_adapter(Path(path))
        name = name if name is not None else free_name(Path(path), self.loras)
        self._warn(self._parts.add(adapter, name, scale))
        return name

    def set_lora_scale(
        self, scale: float | str | dict[str, float], name: str | float | None = None
    ) -> None:
        """Set the strength of one adapter, of all, or of several by name (``{"jazz": 0.8}``).

        ``(0.8, "jazz")`` and, as the original program has it, ``("jazz", 0.8)`` are the same.
        0 gives the base model bit for bit. Raises ``AdapterError`` for a name that is not loaded
        or a strength that is no number; nothing has changed then.
        """
        if isinstance(scale, dict):
            self._parts.rescale(scale)
            return
        strength: Any = scale
        if isinstance(scale, str) and name is not None:
            strength, name = name, scale
        names: list[Any] = list(self.loras) if name is None else [name]
        self._parts.rescale(dict.fromkeys(names, strength))

    def enable_lora(self) -> None:
        """Let the adapters act again, each with its strength."""
        if not self.loras:
            self._warn(["no adapter is loaded: load_lora loads one"])
        self._parts.enabled = True

    def disable_lora(self) -> None:
        """Generate with the base model alone, bit for bit; the adapters stay loaded."""
        self._parts.enabled = False

    def unload_lora(self, name: str | None = None) -> None:
        """Take one adapter off, or all of them, and give their memory back.

        Raises ``AdapterError`` for a name that is not loaded.
        """
        self._parts.remove(name)

    def free(self) -> None:
        """Give all memory back; the next call loads what it needs again, adapters included."""
        self._parts.free()

    def _config(
        self, caption: str, lyrics: str, seed: int, knobs: dict[str, Any]
    ) -> GenerateConfig:
        foreign = sorted(knobs.keys() & {*OWN_KNOBS, "src_audio", "lyrics_file"})
        if foreign:
            raise ConfigError(
                [f"{name}: not a knob of generate" for name in foreign],
                hint="model, adapters, device, precision and offload are the pipeline's own",
            )
        return GenerateConfig(**{**knobs, "caption": caption, "lyrics": lyrics, "seed": seed})

    def _tell(self, event: Event) -> None:
        if isinstance(event, Notice) and event.level == "warning":
            self._warn([event.message])

    def _warn(self, sentences: list[str]) -> None:
        for sentence in sentences:
            warnings.warn(sentence, AceStepWarning, stacklevel=3)


def _sound_problems(knob: str, sound: Any, rate: Any) -> list[str]:
    """What is wrong with the form of a sound and its rate; the samples are looked at later."""
    match sound:
        case None | str() | PathLike() | Rendition():
            if rate is None:
                return []
            return [f"{knob}_rate {rate}: only for a {knob}_audio that is an array"]
        case np.ndarray() | torch.Tensor() if rate is None:
            return [f"{knob}_audio: an array needs its rate, as (array, rate) or {knob}_rate=…"]
        case np.ndarray() | torch.Tensor():
            pass
        case (np.ndarray() | torch.Tensor() | list(), own_rate) if rate is None:
            rate = own_rate
        case _:
            return [
                f"{knob}_audio: {type(sound).__name__} is no form of audio; give a path, an "
                "earlier result, or (array, rate)"
            ]
    if isinstance(rate, Real):
        return []
    return [f"{knob}_audio: its rate {rate!r} is no number; give it in Hz, such as 48000"]


def _hear(sound: Sound | None, rate: int | None, seconds: float | None = None) -> np.ndarray | None:
    """Any form of audio as float32 ``(2, samples)`` at 48 kHz."""
    match sound:
        case None:
            return None
        case str() | PathLike():
            return read_sound(Path(sound), seconds)
        case Rendition():
            return conform(sound.audio, sound.sample_rate)
        case (array, own_rate):
            return _conformed(array, own_rate)
    assert rate is not None  # _sound_problems has seen to it
    return _conformed(sound, rate)


def _conformed(array: Array, rate: int) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        array = array.detach().to("cpu", torch.float32).numpy()
    return conform(array, rate)
