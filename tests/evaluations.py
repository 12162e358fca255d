"""An evaluation as ``acestep evaluate`` leaves it, without a model: clips that are music of a kind,
and a report of plausible numbers."""

from pathlib import Path
from typing import Any

from check_sounds import RATE, music, write

HOSTILE = "</script><script>alert('1')</script>\"><img src=http://evil.example/x> 🎺 \u202eمرحبا"
CHECKPOINTS = ("epoch_10", "epoch_20")
PROMPTS = ("01", "02", "03", "04", "05", "06", "07")


def evaluation(folder: Path, *, seconds: float = 1.0, text: str = "", prompts: int = 7) -> dict:
    """Write clips and two songs into ``folder``; returns the report that goes with them.

    ``text`` is put into every text that comes from a user.
    """
    report = numbers(text, prompts)
    for number, clip in enumerate(report["clips"]):
        loud = 1.0 if clip["adapter"] == "base" else 0.25
        write(folder / clip["file"], loud * music(seconds, number))
    for number, song in enumerate(report["dataset"]["songs"]):
        song["audio"] = str(write(folder / f"song {number}.flac", music(4 * seconds, 90 + number)))
    return report


def numbers(text: str = "", prompts: int = 7) -> dict[str, Any]:
    """The report alone."""
    clips = [
        clip(adapter, prompt) for adapter in ("base", *CHECKPOINTS) for prompt in PROMPTS[:prompts]
    ]
    clips += [clip(adapter, "01", tag=False) for adapter in ("base", "epoch_20")]
    clips += [clip("epoch_20", "01", strength=strength) for strength in (0.6, 1.2)]
    clips[-1]["copy"] = "strong"
    songs = [
        {"song": f"{n:016x}", "name": f"song {n}.flac{text}", "seconds": 4.0, "audio": None,
         "caption": f"accordion and güira{text}"}
        for n in range(2)
    ]  # fmt: skip
    return {
        "format": 1,
        "version": "0.1.0",
        "made": "2026-11-25T23:00:00+00:00",
        "about": {
            "run": f"cumbia{text}", "model": "mini", "tag": f"zztune{text}", "songs": 8,
            "song_seconds": 96.0, "clip_seconds": 1.0, "clips": 7, "steps": 8, "seed": 42,
            "notes": [f"Only 8 songs.{text}"],
        },
        "verdict": {
            "headline": f"It learned your style: use epoch_20 at strength 1.{text}",
            "sentences": [f"Clips lie nearer to your songs than the base’s.{text}"],
            "questions": [
                {"question": "Did it learn your style?", "answer": "yes", "sentence": "It did."},
                {"question": "Is it copying?", "answer": "no", "sentence": "Nothing was found."},
                {"question": "Does the tag work?", "answer": "partly", "sentence": "It leaks."},
                {"question": "Which checkpoint?", "answer": "cannot be told", "sentence": "?"},
            ],
        },
        "settings": {"rank": 16, "targets": "attention+mlp", "output": f"runs/cumbia{text}"},
        "dataset": {
            "name": f"cumbia{text}",
            "songs": songs,
            "checks": [
                {"code": "few", "level": "warning", "song": None, "message": f"8 songs{text}",
                 "advice": f"record more{text}"}
            ],
        },
        "curves": {
            "steps": [[step, step // 4, 0.9 / (1 + step / 40)] for step in range(1, 81)],
            "held_out": [[step, step // 4, 0.6 - 0.002 * step, 0.63] for step in range(0, 81, 20)],
        },
        "prompts": [
            {"id": prompt, "kind": "training" if int(prompt) % 2 else "new", "song": None,
             "caption": f"zztune, accordion {prompt}{text}", "lyrics": text,
             "caption_without_tag": f"accordion {prompt}{text}", "bpm": 96,
             "keyscale": f"A minor{text}", "seed": 42 + int(prompt)}
            for prompt in PROMPTS
        ],
        "clips": clips,
        "base": judged("base", 0.9),
        "checkpoints": [judged("epoch_10", 0.5), judged("epoch_20", 0.2)],
        "strengths": [judged("epoch_20", 0.4, 0.6), judged("epoch_20", 0.3, 1.2)],
        "tag": [tag(text)],
        "choice": {
            "checkpoint": "epoch_20", "strength": 1.0, "confidence": 0.83,
            "sentence": "epoch_20 at strength 1: nearest, and nothing copied.",
            "reasons": [f"nearest of all{text}"],
            "rule": "Out: what copies. Of the rest the nearest; ties to the earlier.",
            "candidates": [
                {"checkpoint": "epoch_10", "strength": 1.0, "score": 0.5, "low": 0.3, "high": 0.7,
                 "share": 0.17, "out": None},
                {"checkpoint": "epoch_20", "strength": 1.0, "score": 0.8, "low": 0.6, "high": 1.0,
                 "share": 0.83, "out": None},
                {"checkpoint": "epoch_20", "strength": 1.2, "score": 0.9, "low": 0.7, "high": 1.1,
                 "share": 0.0, "out": f"a clip follows a song{text}"},
            ],
        },
        "controls": {
            "rows": [
                {"name": "planted copies", "what": f"of 3 songs{text}", "expected": "all found",
                 "found": "3 of 3", "fine": True},
                {"name": "base against base", "what": "other seeds", "expected": "p > 0.05",
                 "found": "p = 0.03", "fine": False},
            ]
        },
        "advice": {
            "verdict": "overfitting",
            "seen": [f"The held-out loss rises since epoch 40.{text}"],
            "advice": [{"knob": "epochs", "value": 40, "reason": f"it is best there{text}"}],
        },
        "votes": None,
    }  # fmt: skip


def clip(adapter: str, prompt: str, strength: float = 1.0, tag: bool = True) -> dict[str, Any]:
    """A row of the clips' table."""
    name = f"{adapter}-{prompt}-{strength:g}-{'tag' if tag else 'plain'}"
    return {
        "file": f"clips/{name}.flac", "picture": None, "adapter": adapter, "strength": strength,
        "tag": tag, "prompt": prompt, "seed": 42 + int(prompt), "closeness": 0.42,
        "copy": "nothing", "loop": "usual",
    }  # fmt: skip


def tag(text: str = "") -> dict[str, Any]:
    """What the tag does."""
    cell = {"position": 0.5, "low": 0.3, "high": 0.7, "clips": 7}
    estimate = {"value": 0.4, "low": 0.2, "high": 0.6}
    return {
        "checkpoint": "epoch_20",
        "cells": dict.fromkeys(("on_tag", "on_plain", "off_tag", "off_plain"), cell),
        "switch": estimate, "leak": estimate, "gain": estimate, "learned": estimate,
        "share_without_tag": None, "word": "leaks",
        "sentence": f"The style comes without the tag too.{text}",
        "advice": f"Give some songs no tag.{text}",
    }  # fmt: skip


def judged(name: str, distance: float, strength: float = 1.0) -> dict[str, Any]:
    """What detectors say of a checkpoint, as they say it; ``distance`` is that of its style."""
    epoch = None if name == "base" else int(name.removeprefix("epoch_"))
    return {
        "name": name, "epoch": epoch, "step": None if epoch is None else 4 * epoch,
        "strength": strength, "clips": 7, "alarm": None,
        "evidence": None if epoch is None else evidence(name, epoch, distance),
        "size": None if epoch is None else {"relative": 0.004 * epoch, "effective_rank": 9.3},
        "style": style(distance), "style_latents": style(1.1 * distance),
        "copies": copies(name, strength),
        "loops": {"verdict": f"{name}: no clip loops.", "clips": []},
        "diversity": {"verdict": "Clips differ as your songs do.", "ratio": {"made": 0.78}},
        "sound": {"silent": 0.0, "clipped": 0.0},
    }  # fmt: skip


def between(value: float, reach: float = 0.1) -> dict[str, float]:
    """An estimate."""
    return {"value": value, "low": value - reach, "high": value + reach}


def evidence(name: str, epoch: int, distance: float) -> dict[str, Any]:
    """Losses beside the base's."""
    change = distance - 0.9
    bands = {
        band: {"loss": 0.5, "base_loss": 0.6, "difference": between(share * change)}
        for band, share in (("high", 0.6), ("middle", 1.0), ("low", 1.3))
    }
    side = {
        "loss": 0.6 + change / 3, "base_loss": 0.6, "difference": between(change / 3, 0.04),
        "bands": bands,
        "songs": {f"{n:016x}": {"difference": change / 3 + 0.02 * n} for n in range(2)},
    }  # fmt: skip
    training = {**side, "difference": between(change / 2, 0.03)}
    return {
        "checkpoint": name, "epoch": epoch, "held_out": side, "training": training,
        "notes": ["Held out: the last 10% of each song."],
    }  # fmt: skip


def style(distance: float) -> dict[str, Any]:
    """A style distance with all that stands beside it."""
    names = ("timbre", "rhythm", "movement", "harmony", "stereo", "equaliser", "dynamics")
    return {
        "word": "nearer than base", "energy": between(distance), "base": between(0.9),
        "gain": between(0.9 - distance), "floor": {"value": 0.02, "low": -0.1, "high": 0.1},
        "p": 0.012, "position": between(1 - distance), "left": between(distance / 0.9),
        "positions": [0.4, None],
        "aspects": [
            {"name": name, "production": n > 3, "left": between(distance + 0.06 * n, 0.15),
             "word": "there" if n < 3 else "not yet"}
            for n, name in enumerate(names)
        ],
        "wrong": {"sentence": "It moved no nearer to another style."},
        "guard": {"alarm": False, "sentence": "It is not nearer than songs of yours are."},
        "notes": ["7 clips: a verdict needs 16."],
        "sentence": f"The clips are nearer to your songs: {distance:.2f} of 0.90 is left.",
    }  # fmt: skip


def copies(name: str, strength: float) -> dict[str, Any]:
    """One clip of epoch_20 at strength 1.2 follows a song."""
    found = (name, strength) == ("epoch_20", 1.2)
    match = {
        "song": f"{0:016x}", "grade": "strong", "strict": 71.2, "tolerant": 88.0,
        "seconds": 0.8, "start": 0.1, "end": 0.9, "at": 2.0, "semitones": -1.0, "tempo": 1.02,
    }  # fmt: skip
    looked = {
        "clip": f"{name}-01-{strength:g}-tag", "grade": "strong" if found else "nothing",
        "strict": 71.2, "tolerant": 88.0, "matches": [match],
    }  # fmt: skip
    return {
        "verdict": "One clip follows a song." if found else "Nothing was copied.",
        "works": True, "strong": int(found), "doubtful": 0,
        "expected_false_alarms": 0.04, "thresholds": {"strict": 20.0, "tolerant": 35.0},
        "sentences": ["All 3 planted copies were found."], "clips": [looked],
        "folder": {"songs": 8, "pairs": 56, "repeats": [{"one": "a", "other": "b"}]},
        "planted": [{"song": "song 0.flac", "at": 1.0, "found": True}],
    }  # fmt: skip


__all__ = ["CHECKPOINTS", "HOSTILE", "PROMPTS", "RATE", "evaluation", "numbers"]
