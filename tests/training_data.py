"""Small tensor folders for the golden tiny model, made without any encoder."""

from pathlib import Path

import torch

from acestep.data.tensors import Manifest, save_record, write_manifest
from acestep.model.base import find_model

TINY = Path(__file__).parent / "golden" / "diffusers_tiny"
CHANNELS, WIDTH = 8, 32


def tiny_tensors(
    folder: Path,
    lengths=(24, 30, 17, 24),
    seed: int = 0,
    model: Path | str = TINY,
    labels=(),
    shape=(CHANNELS, WIDTH),
) -> Path:
    """A folder as preprocess writes it, with one random song per length (in frames).

    ``labels`` are those of the first songs; ``shape`` the widths of latents and conditions.
    """
    channels, width = shape
    generator = torch.Generator().manual_seed(seed)
    base = find_model(str(model))
    entries = []
    for number, frames in enumerate(lengths):
        name = f"sample_{number}.pt"
        prints = {"audio": f"a{seed}{number}", "text": "t"}
        save_record(
            folder / name,
            {
                "target_latents": torch.randn(frames, channels, generator=generator),
                "encoder_hidden_states": torch.randn(5 + number, width, generator=generator),
                "context_latents": torch.randn(frames, 2 * channels, generator=generator),
                "metadata": {
                    "song": f"song{number}",
                    "filename": f"{number}.wav",
                    **dict(*labels[number : number + 1]),
                },
                "fingerprints": prints,
            },
        )
        entries.append({"file": name, "song": f"song{number}", "fingerprints": prints})
    write_manifest(
        folder,
        Manifest(
            model={
                "name": base.name,
                "source": base.source,
                "variant": base.variant,
                "fingerprint": base.fingerprint,
            },
            dataset={"name": "tiny", "tag": "mytag", "tag_position": "prepend"},
            samples=entries,
            fingerprint=f"folder{seed}{list(lengths)}",
        ),
    )
    return folder
