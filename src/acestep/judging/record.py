"""From what the judges found to ``report.json``, a table, and the few numbers others ask for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

from acestep.checking.labels import findings as label_findings
from acestep.config import EvaluateConfig
from acestep.data.files import shown
from acestep.data.song import load_dataset
from acestep.errors import AceStepError, RunError
from acestep.events import Evaluation, Step
from acestep.judging.choice import Choice
from acestep.judging.layout import FORMAT
from acestep.judging.making import Clip, Maker, Voice
from acestep.judging.measuring import Measurement
from acestep.judging.panel import Panel, Take, Verdicts
from acestep.judging.subject import Subject, losses
from acestep.judging.summary import told
from acestep.judging.tag import Tag
from acestep.judging.trials import Trial
from acestep.training.afterwards import look_at_run

MOST_STEPS = 500  # points of the training curve that a report keeps
SURE = 0.05  # of the votes' p
ALIKE = 0.4  # of all pairs of clips: one piece again and again makes a half, two pieces a quarter


@dataclass(frozen=True)
class Judgement:
    """A voice, what was measured of its adapter (None for the base), and what the judges say of its
    clips."""

    voice: Voice
    measured: Measurement | None
    verdicts: Verdicts

    @property
    def held_out(self) -> dict[str, float]:
        """Held-out loss minus the base's by song; empty where nothing was held out."""
        side = None if self.measured is None else self.measured.evidence.held_out
        return {} if side is None else side.differences()

    def out(self, votes: dict[str, Any] | None) -> str:
        """Why it is not to be recommended whatever its style; empty if nothing speaks against."""
        if self.measured is not None and self.measured.out:
            return self.measured.out
        if broken := self.verdicts.take.broken:
            return broken
        diversity = self.verdicts.diversity
        if diversity.grade == "collapsed" and (diversity.near.made or 0) >= ALIKE:
            return "its clips are all alike, whatever the prompt and the seed"
        if votes is not None and self._is_refused(votes):
            return "listeners found the base nearer to the songs"
        return ""

    def _is_refused(self, votes: dict[str, Any]) -> bool:
        about = (votes["checkpoint"], votes["strength"])
        refused = votes["base"] > votes["adapter"] and votes["p"] < SURE
        return refused and about == (self.voice.name, self.voice.strength)

    def as_dict(self, epoch: int | None, step: int | None) -> dict[str, Any]:
        """Plain values for JSON."""
        measured = {"evidence": None, "size": None, "alarm": None}
        if self.measured is not None:
            measured = self.measured.as_dict()
        return {
            "name": self.voice.name,
            "epoch": epoch,
            "step": step,
            "strength": self.voice.strength,
            **measured,
            **self.verdicts.as_dict(),
        }


@dataclass(frozen=True)
class Findings:
    """All that an evaluation found out. ``tags`` is by checkpoint, ``takes`` all that was heard."""

    base: Judgement
    checkpoints: tuple[Judgement, ...]
    strengths: tuple[Judgement, ...]
    choice: Choice
    tags: dict[str, Tag]
    panel: Panel = field(repr=False)
    votes: dict[str, Any] | None
    trials: tuple[Trial, ...]
    takes: tuple[Take, ...] = field(repr=False)

    @property
    def judged(self) -> tuple[Judgement, ...]:
        """Everything that an adapter played with its tag."""
        return self.checkpoints + self.strengths


def as_report(
    found: Findings, subject: Subject, maker: Maker, config: EvaluateConfig
) -> dict[str, Any]:
    """The report as :class:`acestep.judging.layout.Report` lays it out."""
    known = {c.name: (c.epoch, c.step) for c in subject.checkpoints}
    return {
        "format": FORMAT,
        "version": version("acestep-studio"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": _about(found, subject, maker, config),
        "verdict": told(found.checkpoints, found.strengths, found.choice, found.tags, found.votes),
        "settings": subject.settings.get("config", {}),
        "dataset": _dataset(subject),
        "curves": _curves(subject),
        "prompts": [_prompt(trial) for trial in found.trials],
        "clips": [clip for take in found.takes for clip in _clips(take, found)],
        "base": found.base.as_dict(0, 0),
        "checkpoints": [one.as_dict(*known[one.voice.name]) for one in found.checkpoints],
        "strengths": [one.as_dict(*known[one.voice.name]) for one in found.strengths],
        "tag": [{"checkpoint": name, **tag.as_dict()} for name, tag in found.tags.items()],
        "choice": found.choice.as_dict(),
        "controls": {"rows": _controls(found)},
        "votes": found.votes,
        "advice": _advice(subject),
    }


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """What a log keeps."""
    choice = report["choice"]
    return {
        "verdict": report["verdict"]["headline"],
        "checkpoint": choice["checkpoint"] or "none",
        "strength": choice["strength"],
        "confidence": choice["confidence"],
    }


def table(report: dict[str, Any]) -> str:
    """The verdict, and a line a candidate, for a terminal."""
    lines = [report["verdict"]["headline"], ""]
    lines += [f"{row['question']} {row['sentence']}" for row in report["verdict"]["questions"]]
    lines += ["", f"{'':20}{'style left':>11}{'gain missing':>14}{'score':>8}  {'90 %':>12}"
              f"{'chosen':>9}{'copies':>8}"]  # fmt: skip
    copies = {
        (one["name"], one["strength"]): one["copies"]["strong"]
        for one in (*report["checkpoints"], *report["strengths"])
    }
    for row in report["choice"]["candidates"]:
        key = (row["checkpoint"], row["strength"])
        name = key[0] if key[1] == 1 else f"{key[0]} at {key[1]:g}"
        left, missing, share = (
            _percent(row[part]) for part in ("style_left", "gain_missing", "share")
        )
        score, low, high = (_decimals(row[part]) for part in ("score", "low", "high"))
        line = f"{name:20}{left:>11}{missing:>14}{score:>8}  {f'{low} to {high}':>12}"
        lines.append(f"{line}{share:>9}{copies[key]:>8}  {row['out'] or ''}".rstrip())
    return "\n".join(lines)


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _about(
    found: Findings, subject: Subject, maker: Maker, config: EvaluateConfig
) -> dict[str, Any]:
    recipe = maker.recipe(found.base.verdicts.take.clips[0].order)
    steps, shift, guidance = recipe["sampling"]
    gone = [song.name for song in subject.songs if song.path is None]
    notes = list(subject.notes)
    if gone:
        notes.append(
            f"The files of {len(gone)} of {len(subject.songs)} songs are not where they were: "
            "what their tensors decode to is taken for them."
        )
    return {
        "run": subject.name,
        "path": shown(subject.path.absolute()),
        "kind": "run" if subject.is_run else "adapter",
        "model": subject.model.name,
        "variant": subject.model.variant,
        "device": str(maker.parts.device),
        "precision": recipe["precision"].removeprefix("torch."),
        "tag": subject.tag,
        "tag_position": subject.tag_position,
        "songs": len(subject.songs),
        "song_seconds": round(sum(song.seconds for song in subject.songs), 1),
        "clip_seconds": maker.seconds,
        "clips": len(found.trials),
        "steps": steps,
        "shift": shift,
        "guidance": guidance,
        "seed": config.seed,
        "reference": "tensors" if len(gone) == len(subject.songs) else "songs",
        "other": found.panel.other,
        "notes": notes,
    }


def _dataset(subject: Subject) -> dict[str, Any]:
    songs = [
        {
            "song": song.id,
            "name": song.name,
            "seconds": song.seconds,
            "audio": None if song.path is None else shown(song.path),
            "caption": str(song.labels.get("caption") or ""),
            "bpm": song.labels.get("bpm"),
            "keyscale": song.labels.get("keyscale"),
        }
        for song in (*subject.songs, *subject.others)
    ]
    name = str(subject.manifest.dataset.get("name") or "")
    return {"name": name, "songs": songs, "checks": list(_checks(subject))}


def _checks(subject: Subject) -> Iterator[dict[str, Any]]:
    """What ``acestep check`` says of the labels, if the dataset is still there."""
    place = subject.manifest.dataset.get("path")
    if not isinstance(place, str) or not Path(place).is_file():
        return
    try:
        dataset = load_dataset(place)
    except AceStepError:
        return
    for finding in label_findings(dataset):
        yield {
            "code": finding.code,
            "level": finding.level,
            "song": finding.song,
            "message": finding.message,
            "advice": finding.advice,
        }


def _advice(subject: Subject) -> dict[str, Any] | None:
    """What the run's log shows, and what to change next time; None where there is no run."""
    if not subject.is_run:
        return None
    try:
        return look_at_run(subject.path).as_dict()
    except RunError:
        return None  # its settings lack the knobs


def _curves(subject: Subject) -> dict[str, Any]:
    steps, evaluations = losses(subject.log)
    return {
        "steps": [[s.step, s.epoch, s.loss] for s in _thinned(steps)],
        "held_out": [_curve_point(e) for e in evaluations if isfinite(e.loss)],
    }


def _thinned(steps: Sequence[Step]) -> Sequence[Step]:
    every = -(-len(steps) // MOST_STEPS) or 1
    return [step for step in steps[::every] if isfinite(step.loss)]


def _curve_point(evaluation: Evaluation) -> list[float | None]:
    base = evaluation.base_loss
    return [
        evaluation.step,
        evaluation.epoch,
        evaluation.loss,
        base if isfinite(base) else None,
    ]


def _prompt(trial: Trial) -> dict[str, Any]:
    values = trial.as_dict()
    return {**values, "caption_without_tag": values.pop("plain")}


def _clips(take: Take, found: Findings) -> Iterator[dict[str, Any]]:
    """A take's clips; what the judges said of each where they looked at it."""
    judged = (found.base, *found.judged)
    verdicts = next((one.verdicts for one in judged if one.verdicts.take is take), None)
    copies = {} if verdicts is None else {c.clip: c.grade for c in verdicts.copying.looked}
    loops = {} if verdicts is None else {c.clip: c.grade for c in verdicts.loops.clips}
    positions = found.panel.style.positions(take.rows("sound"))
    for clip, label, position in zip(take.clips, take.labels, positions, strict=True):
        yield {
            "file": _inside(clip),
            "picture": None,
            "adapter": clip.order.voice.name,
            "strength": clip.order.voice.strength,
            "tag": clip.order.tagged,
            "prompt": clip.order.trial.id.removesuffix("b"),
            "seed": clip.order.trial.seed,
            "closeness": round(float(position), 3) if isfinite(position) else None,
            "copy": copies.get(label, "nothing"),
            "loop": loops.get(label, "usual"),
        }


def _inside(clip: Clip) -> str:
    return f"{clip.audio_file.parent.name}/{clip.audio_file.name}"


def _controls(found: Findings) -> list[dict[str, Any]]:
    """The style judges' controls, the other style, and the planted copies."""
    rows = list(found.panel.style.controls.rows())
    judged = {(one.voice.name, one.voice.strength): one for one in found.judged}
    picked = found.choice.picked
    about = judged[picked.checkpoint, picked.strength] if picked else found.checkpoints[-1]
    if (wrong := about.verdicts.style.wrong) is not None:
        rows.append(
            {
                "name": f"another style: {found.panel.other}",
                "what": f"{about.voice.label}, held against songs that it was not taught",
                "expected": "it comes nearer to your songs than to these",
                "found": wrong.sentence,
                "fine": wrong.specific,
            }
        )
    planted = found.panel.planted
    hits = sum(one.found for one in planted)
    rows.append(
        {
            "name": "planted copies",
            "what": "An excerpt of a song, a semitone lower, 2 % faster, through an MP3.",
            "expected": "each is found in its song at its place",
            "found": f"{hits} of {len(planted)}",
            "fine": bool(planted) and hits == len(planted),
        }
    )
    return rows
