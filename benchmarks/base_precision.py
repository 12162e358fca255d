"""What a base in fewer bits costs: held-out loss of the small model, before and after training.

    python benchmarks/base_precision.py
    python benchmarks/base_precision.py --tensors tensors/ --epochs 50 --seeds 3

The same adapters (the lesson of ``make demo``) are trained on the base in float32, bfloat16, 8 and
4 bits. For each: the error of the base's own velocity against float32's, the loss of the base as it
lies in memory, the adapter's held-out loss on the base that it was trained on, and on the float32
base, onto which it goes when it is used. Without ``--tensors``, eight songs of a style that the
model never heard are written and encoded first. All losses are at the same draws, so that the
difference to float32 is that of the weights; ± is the standard error of that difference over songs.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from machine import hardware

from acestep.adapters.files import read_adapter
from acestep.adapters.mount import mount
from acestep.config import TrainConfig
from acestep.flags import parse
from acestep.mini.folder import write_songs
from acestep.mini.teach import Lesson, Places, commands, perform
from acestep.model.base import find_model
from acestep.speed.precision import block_linears, load_base, stored_bytes
from acestep.train import train
from acestep.training.evaluate import losses_by_song, measure
from acestep.training.material import Material, open_material

WAYS = {
    "float32": ("auto", "float32"),
    "bf16": ("bf16", "bfloat16"),
    "int8": ("int8", "float32"),
    "nf4": ("nf4", "float32"),
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Found:
    """Held-out losses by song of one seed: base as stored, adapter there, adapter on float32."""

    base: dict[str, float]
    there: dict[str, float]
    plain: dict[str, float]


def encoded_songs(root: Path) -> Path:
    """The lesson's songs, encoded."""
    places, lesson = Places.below(root, "cumbia"), Lesson()
    for _ in write_songs(places.songs, lesson.style, lesson.songs, lesson.seconds):
        pass
    for arguments in commands(places, lesson)[:3]:
        for _ in perform(arguments):
            pass
    return places.tensors


def lesson_config(tensors: Path, output: Path, **knobs: object) -> TrainConfig:
    """The lesson's settings as they stand there, with some of our own."""
    places = Places(tensors.parent, output)
    words = commands(places, Lesson())[3]
    config = parse("train", [str(tensors), *words[2:]]).config
    given = {name: vars(config)[name] for name in config.model_fields_set}
    return TrainConfig(**{**given, "device": "cpu", **knobs})


def train_on(tensors: Path, root: Path, way: str, epochs: int, seed: int) -> Path:
    """Train in one way; the last checkpoint's folder."""
    kept, precision = WAYS[way]
    knobs = {"epochs": epochs, "save_every": epochs, "validate_every": epochs, "seed": seed}
    run = root / f"{way}-{seed}"
    config = lesson_config(tensors, run, base_precision=kept, precision=precision, **knobs)
    for _ in train(config):
        pass
    return run / "checkpoints" / f"epoch_{epochs}"


def held_out(material: Material) -> dict[str, float]:
    """The loss that was trained, of what the run held out, by song."""
    dtype = next(material.transformer.parameters()).dtype
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = measure(material.learner(), material.split, material.law, material.seed, CPU)
    return losses_by_song(found.held_out)


def losses(tensors: Path, way: str, checkpoint: Path) -> Found:
    """Losses of a checkpoint and of its base, on the base as stored and in float32."""
    run, found = checkpoint.parents[1], []
    for name in (way, "float32"):
        material = open_material(run, tensors=tensors, transformer=base_of(name))
        found.append(held_out(material))
        mount(material.transformer, read_adapter(checkpoint), "trained")
        found.append(held_out(material))
    base, there, _, plain = found
    return Found(base, there, plain)


def base_of(way: str) -> torch.nn.Module:
    kept, precision = WAYS[way]
    return load_base(find_model("mini"), CPU, vars(torch)[precision], kept)


@torch.no_grad()
def velocity_errors(run: Path, tensors: Path) -> dict[str, float]:
    """RMS of each base's velocity less float32's, as a share of that, over songs and times."""
    material = open_material(run, tensors=tensors)
    exact = list(velocities(material, material.transformer))
    errors = {}
    for way in WAYS:
        pairs = zip(velocities(material, base_of(way)), exact, strict=True)
        shares = [((one - other).norm() / other.norm()).item() for one, other in pairs]
        errors[way] = sum(shares) / len(shares)
    return errors


def velocities(material: Material, transformer: torch.nn.Module) -> Iterator[torch.Tensor]:
    dtype = next(transformer.parameters()).dtype
    for number, clip in enumerate(material.split.train):
        noise = torch.randn(clip.latents.shape, generator=torch.Generator().manual_seed(number))
        for time_ in material.law.fixed()[::3]:
            at = torch.tensor([time_], dtype=dtype)
            mixed = time_ * noise + (1 - time_) * clip.latents
            yield transformer(
                hidden_states=mixed.to(dtype),
                timestep=at,
                timestep_r=at,
                encoder_hidden_states=clip.condition.to(dtype),
                context_latents=clip.context.to(dtype),
                return_dict=False,
            )[0].float()


def against(values: list[dict[str, float]], plain: list[dict[str, float]]) -> str:
    """Mean, and how it differs from float32's, ± the standard error over songs and seeds."""
    mine, theirs = (torch.tensor([list(one.values()) for one in side]) for side in (values, plain))
    apart = (mine - theirs).flatten()
    error = apart.std() / len(apart) ** 0.5
    return f"{mine.mean():.4f} ({apart.mean():+.4f} ± {error:.4f})"


def bytes_a_weight(way: str) -> float:
    """Of the linear layers of the blocks."""
    kept, precision = WAYS[way]
    width = {"bfloat16": 2, "float32": 4}[precision]
    shapes = [tuple(layer.weight.shape) for layer in block_linears(base_of("float32")).values()]
    taken = sum(stored_bytes(*shape, kept, width) for shape in shapes)
    return taken / sum(rows * columns for rows, columns in shapes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensors", type=Path, help="what preprocess made of songs with mini")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tensors = args.tensors or encoded_songs(root)
        found: dict[str, list[Found]] = {way: [] for way in WAYS}
        for seed in range(args.seeds):
            for way in WAYS:
                checkpoint = train_on(tensors, root, way, args.epochs, seed)
                found[way].append(losses(tensors, way, checkpoint))
        errors = velocity_errors(checkpoint.parents[1], tensors)
    print(f"{hardware(CPU)}; mini, {args.epochs} epochs, {args.seeds} seed(s)")
    print(
        "base | bytes a weight | its velocity is off by | loss of the base | of the adapter on it"
        " | of the adapter on float32"
    )
    for way, seeds in found.items():
        columns = [[vars(each)[side] for each in seeds] for side in ("base", "there", "plain")]
        plain = [[vars(each)[side] for each in found["float32"]] for side in ("base", "there")]
        told = (
            against(mine, theirs) for mine, theirs in zip(columns, [*plain, plain[1]], strict=True)
        )
        print(way, f"{bytes_a_weight(way):.2f}", f"{errors[way]:.2%}", *told, sep=" | ")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
