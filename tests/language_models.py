"""Tiny random models with the vocabularies of the real ones, in folders as users download them."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    WhisperFeatureExtractor,
)

from acestep.model.find import packaged_folder

CHAT = ["<|im_start|>", "<|im_end|>"]


def add_tokens(folder: Path, names: list[str], special: bool) -> PreTrainedTokenizerFast:
    """The small model's byte-level BPE with further tokens, saved as a folder's tokenizer."""
    file = packaged_folder() / "tokenizer" / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["post_processor"] = {  # it would add <|endoftext|>
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False
    }  # fmt: skip
    first = 1 + max(content["model"]["vocab"].values())
    content["added_tokens"] += [
        {"id": first + index, "content": name, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False, "special": special or name in CHAT}
        for index, name in enumerate(names)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)


def music_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """With the chat marks, the think tags, and 65535 audio codes, as the published one has."""
    codes = [f"<|audio_code_{code}|>" for code in range(65535)]
    return add_tokens(folder, [*CHAT, "<think>", "</think>", *codes], special=False)


def music_network(tokenizer: PreTrainedTokenizerFast, seed: int, std: float) -> Qwen3ForCausalLM:
    """A random Qwen3 over that vocabulary and a few rows that nobody uses, as real ones have."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer) + 17,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        tie_word_embeddings=True,
        max_position_embeddings=32768,
        initializer_range=std,
    )
    return Qwen3ForCausalLM(config).eval()


def save_music_lm(folder: Path, seed: int = 0, std: float = 1.0) -> Path:
    """A folder as ``acestep-5Hz-lm-*`` has it."""
    network = music_network(music_tokenizer(folder), seed, std)
    network.save_pretrained(folder)
    return folder


def save_omni(folder: Path) -> Path:
    """A folder as a Qwen2.5-Omni has it, of a tiny random one: the thinker among other weights."""
    names = [*CHAT, "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"]
    tokenizer = add_tokens(folder, names, special=True)
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
    text = {"hidden_size": 16, "intermediate_size": 16, "vocab_size": len(tokenizer), **heads}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6}
    config = Qwen2_5OmniThinkerConfig(
        audio_config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2,
                      "encoder_ffn_dim": 16, "output_dim": 16, "num_mel_bins": 128},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
                       "out_hidden_size": 16},
        text_config={**text, "rope_parameters": rope, "bos_token_id": 0, "eos_token_id": 0},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
        audio_start_token_id=tokenizer.convert_tokens_to_ids("<|audio_bos|>"),
        audio_end_token_id=tokenizer.convert_tokens_to_ids("<|audio_eos|>"),
        vision_start_token_id=151652,
    )  # fmt: skip
    Qwen2_5OmniThinkerForConditionalGeneration(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights = {f"thinker.{name}": tensor for name, tensor in weights.items()}
    weights["talker.model.norm.weight"] = torch.ones(4)  # what speaks, and is not loaded
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    thinker = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    whole = {"model_type": "qwen2_5_omni", "thinker_config": thinker}
    (folder / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    WhisperFeatureExtractor(feature_size=128, chunk_length=300).save_pretrained(folder)
    return folder
