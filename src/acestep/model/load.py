"""A base model's parts as modules: each loader reads its own tensors and no others.

Weights come from safetensors files alone, original names are changed on the way, and loading is
strict: a tensor that is missing, unexpected or of another shape is an error that names it. Every
part comes back in eval mode, frozen, on the device and in the dtype asked for.
"""

import inspect
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_oobleck import (
    AutoencoderOobleck,
    OobleckResidualUnit,
    Snake1d,
)
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.utils import remove_weight_norm
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

from acestep.data.files import TORCH_FILE_ERRORS
from acestep.errors import ModelError
from acestep.model.convert import PREFIXES, rename_key
from acestep.model.layout import SILENCE_FILE, BaseModel, read_config
from acestep.speed.attention import install_attention
from acestep.speed.convolutions import fast_convolutions
from acestep.speed.stream import smooth

TIMBRE_FRAMES = 750  # 30 s: what the timbre encoder is given as a reference
_AGAIN = "Download the model again."


def load_transformer(
    model: BaseModel, device: torch.device, dtype: torch.dtype
) -> AceStepTransformer1DModel:
    """The diffusion transformer (the original's ``decoder``); golden data: ``dit``.

    Its attention is that of :mod:`acestep.speed.attention`, its norms those of
    :mod:`acestep.speed.stream`.
    """
    module = _build(AceStepTransformer1DModel, model.config("transformer"))
    transformer = _load(module, model, "transformer", device, dtype)
    install_attention(transformer)
    smooth(transformer)
    return transformer


def empty_transformer(config: dict[str, Any]) -> AceStepTransformer1DModel:
    """A transformer without weights: its modules by name, and their shapes."""
    return _build(AceStepTransformer1DModel, config)


def load_condition_encoder(
    model: BaseModel, device: torch.device, dtype: torch.dtype
) -> AceStepConditionEncoder:
    """Lyric, timbre and text encoders with the null condition and the silence latent.

    Golden data: ``condition``. For XL models pass ``is_xl`` to
    :func:`acestep.model.condition.encode_condition`.
    """
    module = _build(AceStepConditionEncoder, model.config("condition_encoder"))
    silence = load_silence(model)
    module.register_buffer("silence_latent", torch.empty_like(silence))  # of whatever length
    extra = [("silence_latent", silence)] if model.layout == "original" else []
    tensors = chain(_tensors(model, "condition_encoder"), extra)
    return _fill(module, tensors, _where(model, "condition_encoder"), device, dtype)


def load_audio_tokenizer(
    model: BaseModel, device: torch.device, dtype: torch.dtype
) -> tuple[AceStepAudioTokenizer, AceStepAudioTokenDetokenizer]:
    """Latents at 25 Hz to codes at 5 Hz, and back; golden data: ``tokenizer``.

    Raises :class:`ModelError` for a diffusers folder that has none.
    """
    if not model.has_audio_tokenizer:
        raise ModelError(
            f"{model.path} has no audio_tokenizer/, which covers need",
            hint="Use the original checkpoint, or a diffusers folder with an audio tokenizer.",
        )
    tokenizer = _build(AceStepAudioTokenizer, model.config("audio_tokenizer"))
    detokenizer = _build(AceStepAudioTokenDetokenizer, model.config("audio_token_detokenizer"))
    return (
        _load(tokenizer, model, "audio_tokenizer", device, dtype),
        _load(detokenizer, model, "audio_token_detokenizer", device, dtype),
    )


def load_vae(
    model: BaseModel, device: torch.device, dtype: torch.dtype = torch.float32
) -> AutoencoderOobleck:
    """The autoencoder, ready to run: 48 kHz stereo to latents and back; golden data: ``vae``.

    Weight norm is folded into the weights, since it would be computed again on every pass, and
    modules that do nothing become identities; neither changes a bit of the output. Its convolutions
    are those of :mod:`acestep.speed.convolutions`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the class uses the older weight norm
        vae = _build(AutoencoderOobleck, model.config("vae"))
    vae = _load(vae, model, "vae", torch.device("cpu"), torch.float32)
    fold_weight_norm(vae)
    drop_idle_modules(vae)
    fast_convolutions(vae, device)
    return nn.Module.to(vae, device=device, dtype=dtype).requires_grad_(False)


def load_tokenizer(model: BaseModel) -> PreTrainedTokenizerFast:
    """The text tokenizer exactly as its file says, whatever class wrote it."""
    file = model.tokenizer_folder / "tokenizer.json"
    inner = read_config(file).get("model")
    if not isinstance(inner, dict) or inner.get("type") != "BPE":  # the library raises plain
        raise ModelError(f"{file} holds no byte-pair tokenizer", hint=_AGAIN)  # Exceptions
    return PreTrainedTokenizerFast(tokenizer_file=str(file))


def load_text_encoder(
    model: BaseModel, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedTokenizerFast, Qwen3Model]:
    """The tokenizer and the causal text encoder; golden data: ``text``."""
    kind = model.config("text_encoder").get("model_type")
    if kind != "qwen3":
        raise ModelError(f"{model.text_folder}: the text encoder is a {kind!r} model, not qwen3")
    config = Qwen3Config.from_pretrained(str(model.text_folder), local_files_only=True)
    config._attn_implementation = "sdpa"
    with init_empty_weights(include_buffers=False):
        module = Qwen3Model(config)
    return load_tokenizer(model), _load(module, model, "text_encoder", device, dtype)


def load_silence(model: BaseModel) -> Tensor:
    """Ten minutes of encoded silence, ``[1, 15000, C]`` float32 on the CPU.

    The original's ``silence_latent.pt`` is read without unpickling objects. Raises
    :class:`ModelError` where it is not one tensor of the model's latent channels.
    """
    channels = model.config("condition_encoder")["timbre_hidden_dim"]
    file, silence = _stored_silence(model)
    if silence.shape[0] != 1 or silence.shape[1] < TIMBRE_FRAMES or silence.shape[2] != channels:
        raise ModelError(
            f"{file}: the silence latent is {tuple(silence.shape)}, "
            f"needs [1, {TIMBRE_FRAMES} or more, {channels}]",
            hint=_AGAIN,
        )
    return silence.float().contiguous()


def load_null_condition(model: BaseModel) -> Tensor:
    """The learned "no condition" embedding, ``[1, 1, H]`` float32 on the CPU, and nothing else.

    Golden data: ``condition.null_condition_emb``.
    """
    for name, tensor in _tensors(model, "condition_encoder"):
        if name == "null_condition_emb":
            return tensor.float()
    where = _where(model, "condition_encoder")
    raise ModelError(f"{where}: tensor 'null_condition_emb' is missing", hint=_AGAIN)


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normed weight (``weight_g``, ``weight_v``) by its value."""
    for part in list(module.modules()):
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d) and "weight_g" in part._parameters:
            remove_weight_norm(part)


def drop_idle_modules(module: nn.Module) -> int:
    """Replace what returns its input unchanged by ``nn.Identity``; returns how many there were.

    That are residual units whose convolutions are exactly zero, and Snakes whose sine counts
    exactly zero. Leaving them out is bit-identical. Weight norm must be folded before.
    """
    dropped = 0
    for parent in module.modules():  # goes on into what stands there by then
        for name, child in list(parent.named_children()):
            if _is_idle(child):
                setattr(parent, name, nn.Identity())
                dropped += 1
    return dropped


def _is_idle(module: nn.Module) -> bool:
    match module:
        case OobleckResidualUnit():
            parameters = [*module.conv1.parameters(), *module.conv2.parameters()]
            return not any(bool(parameter.any()) for parameter in parameters)
        case Snake1d() if module.logscale:
            share = (module.beta.exp() + 1e-9).reciprocal()
            return not share.any() and bool(module.alpha.exp().isfinite().all())
    return False


def _build(kind: Any, config: dict[str, Any]) -> Any:
    """A module without weights; config entries that its class does not know are left out."""
    known = inspect.signature(kind.__init__).parameters
    with init_empty_weights(include_buffers=False):
        return kind(**{name: value for name, value in config.items() if name in known})


def _fill(
    module: Any,
    tensors: Iterable[tuple[str, Tensor]],
    where: str,
    device: torch.device,
    dtype: torch.dtype,
) -> Any:
    """Move tensors into their module, one at a time, and check that they are all there."""
    expected = {key: value.shape for key, value in module.state_dict().items()}
    found: dict[str, Tensor] = {}
    try:
        for key, tensor in tensors:
            if key not in expected:
                raise ModelError(f"{where}: unexpected tensor {key!r}", hint=_AGAIN)
            if tensor.shape != expected[key]:
                raise ModelError(
                    f"{where}: tensor {key!r} is {tuple(tensor.shape)}, "
                    f"its config says {tuple(expected[key])}",
                    hint=_AGAIN,
                )
            found[key] = tensor.to(device=device, dtype=dtype, copy=True)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{where} does not fit into the memory of {device}",
            hint="Use --offload, --precision bfloat16, or --device cpu.",
        ) from error
    missing = sorted(expected.keys() - found.keys())
    if missing:
        raise ModelError(
            f"{where}: tensor {missing[0]!r} is missing ({len(missing)} in all)", hint=_AGAIN
        )
    module.load_state_dict(found, strict=True, assign=True)
    return module.to(device).eval().requires_grad_(False)


def _tensors(model: BaseModel, component: str) -> Iterator[tuple[str, Tensor]]:
    """A component's tensors under the names of its class, read one by one from its files."""
    shared = model.layout == "original" and component in PREFIXES  # one file for several parts
    for file in model.weights(component):
        with _opened(file) as stored:
            for key in stored.keys():  # noqa: SIM118 (not a mapping)
                owner, name = rename_key(key) if shared else (component, key)
                if component == "text_encoder":
                    name = key.removeprefix("model.")  # as saved with a head on it
                if owner == component and name != "lm_head.weight":
                    yield name, stored.get_tensor(key)


def _load(
    module: Any, model: BaseModel, component: str, device: torch.device, dtype: torch.dtype
) -> Any:
    return _fill(module, _tensors(model, component), _where(model, component), device, dtype)


def _where(model: BaseModel, component: str) -> str:
    return f"{component} of {model.name} ({model.folder(component)})"


def _stored_silence(model: BaseModel) -> tuple[Path, Tensor]:
    """The silence latent as ``[1, frames, channels]`` and the file it is in."""
    if model.layout == "original":
        file = model.path / SILENCE_FILE
        try:
            value = torch.load(file, map_location="cpu", weights_only=True)
        except TORCH_FILE_ERRORS as error:
            raise ModelError(
                f"{file} is not a plain tensor file; nothing in it was executed",
                hint="Download it again from where the model was published.",
            ) from error
        if not isinstance(value, Tensor) or value.ndim != 3:
            raise ModelError(f"{file} holds no tensor of three dimensions", hint=_AGAIN)
        return file, value.transpose(1, 2)  # stored channels first
    for file in model.weights("condition_encoder"):
        with _opened(file) as stored:
            if "silence_latent" in stored.keys():  # noqa: SIM118 (not a mapping)
                return file, stored.get_tensor("silence_latent")
    folder = model.folder("condition_encoder")
    raise ModelError(f"{folder}: tensor 'silence_latent' is missing", hint=_AGAIN)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A safetensors file; the library's errors become ours here."""
    try:
        with safe_open(file, framework="pt") as stored:
            yield stored
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read: {error}", hint=_AGAIN) from error
