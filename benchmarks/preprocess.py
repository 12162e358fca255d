"""Time preprocessing against a plain loop, in one run and interleaved.

    python benchmarks/preprocess.py --songs 4 --seconds 30

First the audio encoder alone against ``AutoencoderOobleck.encode`` as it comes, in the shape of the
published autoencoder and the small model's, and reading of files (``encoder.py``); ``--encoder``
stops there, ``--skip-encoder`` leaves it out. Then all of it, with ``--model``: *ours* is
``acestep.preprocess`` on real FLAC files, both passes and all writing included. *plain* is the loop
one would write first on the same files: read whole, ``vae.encode`` in one piece with the model as
diffusers loads it, text through ``AceStepPipeline.encode_prompt`` with all parts in memory,
``torch.save``. Reported: seconds of audio a second, and peak memory (each side in its own process).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AceStepPipeline
from encoder import encoder_rates, reading_rates, table
from machine import forget_peak, hardware, peak_gib

from acestep.config import PreprocessConfig
from acestep.data.audio import RATE, read_audio, write_audio
from acestep.model.base import find_model
from acestep.model.device import choose_device
from acestep.preprocess import preprocess


def make_songs(folder: Path, count: int, seconds: float) -> Path:
    """FLAC files of filtered noise with a beat, and their dataset file."""
    samples = []
    for number in range(count):
        chance = np.random.default_rng(number)
        noise = np.cumsum(chance.standard_normal((2, round(seconds * RATE))), axis=1)
        noise -= np.linspace(0, 1, noise.shape[1]) * noise[:, -1:]
        beat = 0.2 + 0.8 * np.exp(-8 * ((np.arange(noise.shape[1]) / RATE * 2) % 1))
        audio = (0.5 * noise / np.abs(noise).max() * beat).astype(np.float32)
        write_audio(folder / f"song{number}.flac", audio, RATE)
        samples.append(
            {
                "audio_path": f"song{number}.flac",
                "caption": "noise with a beat",
                "bpm": 120,
                "lyrics": "[Instrumental]",
                "instrumental": True,
            }
        )
    dataset = folder / "dataset.json"
    dataset.write_text(
        json.dumps(
            {
                "dataset_name": "bench",
                "activation_tag": "bench",
                "tag_position": "prepend",
                "samples": samples,
            }
        )
    )
    return dataset


def ours(dataset: Path, output: Path, args: argparse.Namespace) -> None:
    config = PreprocessConfig(
        dataset=dataset,
        output=output,
        model=args.model,
        device=args.device,
        max_seconds=args.seconds + 1,
    )
    for _ in preprocess(config):
        pass


def plain(dataset: Path, output: Path, args: argparse.Namespace) -> None:
    device = choose_device(args.device)
    pipeline = AceStepPipeline.from_pretrained(
        find_model(args.model).path, torch_dtype=torch.float32
    ).to(device)
    output.mkdir()
    for file in sorted(dataset.parent.glob("*.flac")):
        audio = torch.from_numpy(read_audio(file))[None].to(device)
        with torch.no_grad():
            latents = pipeline.vae.encode(audio).latent_dist.sample().transpose(1, 2)
            text, text_mask, lyrics, lyric_mask = pipeline.encode_prompt(
                "bench, noise with a beat",
                "[Instrumental]",
                device,
                audio_duration=args.seconds,
                bpm=120,
            )
            encoder = pipeline.condition_encoder
            condition, _ = encoder(
                text_hidden_states=text,
                text_attention_mask=text_mask,
                lyric_hidden_states=lyrics,
                lyric_attention_mask=lyric_mask,
                refer_audio_acoustic_hidden_states_packed=encoder.silence_latent[:, :750],
                refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=device),
            )
        torch.save(
            {"target_latents": latents.cpu(), "encoder_hidden_states": condition.cpu()},
            output / f"{file.stem}.pt",
        )


SIDES = {"ours": ours, "plain": plain}


def peak_memory(side: str, args: argparse.Namespace) -> float:
    flags = [
        "--songs",
        str(args.songs),
        "--seconds",
        str(args.seconds),
        "--model",
        args.model,
        "--only",
        side,
    ]
    flags += ["--device", args.device] if args.device else []
    done = subprocess.run(
        [sys.executable, __file__, *flags], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def parts(args: argparse.Namespace, folder: Path) -> None:
    """Print the rates of the encoder and of reading."""
    device = choose_device(args.device)
    seconds = args.encoder_seconds or (120.0 if device.type == "cuda" else 4.0)
    print(f"{hardware(device)}, torch {torch.__version__}, {seconds:g} s of audio")
    print(table(encoder_rates(device, seconds, args.rounds)))
    rates = reading_rates(sorted(folder.glob("*.flac")), args.rounds)
    print("reading FLAC, × real time:", ", ".join(f"{v} {name}" for name, v in rates.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--model", default="mini", help="a diffusers folder or mini")
    parser.add_argument("--device", choices=["cuda", "mps", "cpu"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoder-seconds", type=float, help="audio for the encoder alone")
    parser.add_argument("--encoder", action="store_true", help="the encoder and reading alone")
    parser.add_argument("--skip-encoder", action="store_true", help="the whole way alone")
    parser.add_argument("--skip-memory", action="store_true", help="time only")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = make_songs(folder, args.songs, args.seconds)
        if args.only:
            forget_peak()
            SIDES[args.only](dataset, folder / "out", args)
            print(peak_gib(choose_device(args.device)))
            return
        if not args.skip_encoder:
            parts(args, folder)
        if args.encoder:
            return
        for number in range(args.rounds):
            for side in sorted(SIDES, reverse=number % 2 == 1):
                start = time.perf_counter()
                SIDES[side](dataset, folder / f"{side}{number}", args)
                times[side].append(time.perf_counter() - start)
    total = args.songs * args.seconds
    report: dict[str, Any] = {
        "hardware": hardware(choose_device(args.device)),
        "torch": torch.__version__,
        "model": args.model,
        "songs": args.songs,
        "seconds": args.seconds,
    }
    for side in SIDES:
        rate = round(total / statistics.median(times[side]), 1)
        report[side] = {"audio_seconds_per_second": rate}
        if not args.skip_memory:
            report[side]["peak_gib"] = round(peak_memory(side, args), 3)
    ratios = [p / o for p, o in zip(times["plain"], times["ours"], strict=True)]
    report["plain_over_ours"] = round(statistics.median(ratios), 3)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
