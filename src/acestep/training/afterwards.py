"""After a run: what it shows, and what to change next time, by the guide's troubleshooting tables.

What was learned is said by :mod:`acestep.training.verdict`; here are the symptoms that a curve
shows besides (NaN, swinging, no fall) and the cure for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from acestep.config import TrainConfig
from acestep.data.tensors import read_manifest
from acestep.errors import ModelError, RunError, TensorError
from acestep.events import Evaluation, Event, Step
from acestep.model.shape import REFERENCE, find_base
from acestep.training.advice import RATE
from acestep.training.advised import PLAIN, Advice
from acestep.training.curve import Curve, read_curve, swings
from acestep.training.run import RunFolder
from acestep.training.verdict import Verdict, verdict_of_log

Word = Literal[
    "diverged", "oscillates", "does not fall", "overfitting", "no effect", "too early", "healthy"
]
LEAST_EPOCHS = 300  # before which the guide expects no style
HIGHEST_RATE = 1e-3  # of the guide's range, for a width of 2048
GOOD_SONGS = 8


@dataclass(frozen=True)
class About:
    """What a run's log does not say of it: ``scale`` is the base's width over 2048."""

    scale: float = 1.0
    songs: int | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Afterwards:
    """The gravest symptom as a word, what was ``seen`` as sentences, and what to change."""

    verdict: Word
    seen: tuple[str, ...]
    advice: tuple[Advice, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; each advice with its sentence."""
        told = [{**asdict(one), "message": one.flag} for one in self.advice]
        return {"verdict": self.verdict, "seen": list(self.seen), "advice": told}


def look_at_run(folder: Path) -> Afterwards:
    """What a run folder shows. Raises ``RunError`` if it holds no run that can be read."""
    run = RunFolder(folder)
    settings = run.read_settings()
    config = settings.get("config")
    if not isinstance(config, dict) or not isinstance(settings.get("model"), dict):
        raise RunError(
            f"{run.settings_file} lacks the run's knobs", hint="bring it back from a copy"
        )
    usual = TrainConfig(tensors=Path("-")).model_dump(mode="json")
    return advice_after({**usual, **config}, run.read_events(), _about(settings))


def advice_after(
    config: Mapping[str, Any],
    events: Sequence[Event],
    about: About | None = None,
    verdict: Verdict | None = None,
) -> Afterwards:
    """What a run's events show, and what to change in its ``config`` (knobs by name).

    ``verdict`` is what better evidence than the log says, if there is some.
    """
    about = about or About()
    curve = read_curve([event.loss for event in events if isinstance(event, Step)])
    held_out = [event.loss for event in events if isinstance(event, Evaluation)]
    if curve is not None and not curve.finite:
        return _diverged(config, curve, about)
    verdict = verdict or verdict_of_log(events)
    if (curve is not None and curve.oscillates) or swings(held_out):
        return _oscillates(config, verdict, about)
    stuck = curve is not None and not curve.falls
    match verdict.word:
        case "overfitting":
            return _overfitting(config, verdict, about)
        case "nothing learned":
            judge = _does_not_fall if stuck else _no_effect
            return judge(config, verdict, about)
        case "too early to say":
            return _too_early(config, verdict, stuck, about)
        case "learning":
            return _healthy(config, verdict)


# Symptom by symptom


def _diverged(config: Mapping[str, Any], curve: Curve, about: About) -> Afterwards:
    seen = f"the loss became NaN or infinite after step {curve.steps}"
    slower = _slower(config, about, "NaN means that it is too high")
    return Afterwards("diverged", (seen,), (slower,))


def _oscillates(config: Mapping[str, Any], verdict: Verdict, about: About) -> Afterwards:
    warmup = config.get("warmup_steps")
    advice = [
        _slower(config, about, "the loss swings: steps are too large"),
        Advice("warmup_steps", 100 if not warmup else 2 * warmup, "start more gently"),
    ]
    seen = "the loss goes up and down by more than chance, instead of falling"
    return Afterwards("oscillates", (seen, verdict.sentence), tuple(advice))


def _overfitting(config: Mapping[str, Any], verdict: Verdict, about: About) -> Afterwards:
    best = verdict.best_epoch
    epochs = best or max(1, round(0.6 * config["epochs"]))
    advice = []
    if best:
        why = "its held-out loss is the lowest: try it first, nothing needs to be trained"
        advice.append(Advice("checkpoint", f"take a checkpoint near epoch {best}", why, PLAIN))
    advice += [_more_songs(about), Advice("epochs", epochs, "stop before it turns")]
    dropout = min(0.5, max(0.2, 2 * config["dropout"]))
    if dropout > config["dropout"]:
        advice.append(Advice("dropout", dropout, "more of it against overfitting"))
    if config["rank"] > 8:
        advice.append(Advice("rank", config["rank"] // 2, "less capacity to learn songs by heart"))
    return Afterwards("overfitting", (verdict.sentence,), tuple(advice))


def _does_not_fall(config: Mapping[str, Any], verdict: Verdict, about: About) -> Afterwards:
    seen = ("the training loss did not fall", verdict.sentence)
    advice = [*_faster(config, about), *_longer(config, about)]
    return Afterwards("does not fall", seen, tuple(advice or _heard(about)))


def _no_effect(config: Mapping[str, Any], verdict: Verdict, about: About) -> Afterwards:
    advice = [*_heard(about), *_longer(config, about), *_faster(config, about)]
    return Afterwards("no effect", (verdict.sentence,), tuple(advice))


def _too_early(
    config: Mapping[str, Any], verdict: Verdict, stuck: bool, about: About
) -> Afterwards:
    advice = _longer(config, about)
    if not advice and not config.get("validation", 0):
        why = "without songs held out, nobody can tell learning from knowing by heart"
        advice = [Advice("validation", 0.1, why)]
    if stuck:
        advice += _faster(config, about)
    if not advice:
        why = "too little of it is done to tell what it learns"
        advice = [Advice("resume", "let it go on, with --resume", why, PLAIN)]
    return Afterwards("too early", (verdict.sentence,), tuple(advice))


def _healthy(config: Mapping[str, Any], verdict: Verdict) -> Afterwards:
    best, epochs = verdict.best_epoch, config["epochs"]
    advice = []
    if best and best <= 0.5 * epochs:
        why = f"held-out loss has been no better since epoch {best}"
        advice.append(Advice("epochs", max(1, round(1.2 * best)), why))
    elif best and best >= epochs and config.get("schedule") == "constant":
        advice.append(Advice("epochs", round(1.5 * epochs), "held-out loss was still falling"))
    return Afterwards("healthy", (verdict.sentence,), tuple(advice))


# Cures


def _slower(config: Mapping[str, Any], about: About, reason: str) -> Advice:
    """Half the rate, or the guide's highest where that is still less."""
    rate = _two_digits(min(config["learning_rate"] / 2, HIGHEST_RATE / about.scale))
    return Advice("learning_rate", rate, f"less than {config['learning_rate']:g}: {reason}")


def _faster(config: Mapping[str, Any], about: About) -> list[Advice]:
    """Three times the rate, at least the guide's default and at most its highest; nothing where it
    is that high already."""
    if config.get("optimizer") == "prodigy":
        return []
    rate = config["learning_rate"]
    wanted = max(3 * rate, RATE / about.scale)
    wanted = _two_digits(min(wanted, HIGHEST_RATE / about.scale))
    if wanted <= rate:
        return []
    return [Advice("learning_rate", wanted, f"more than {rate:g}: steps were too small to matter")]


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _longer(config: Mapping[str, Any], about: About) -> list[Advice]:
    least = round(LEAST_EPOCHS * min(1.0, about.scale))
    if config["epochs"] >= least:
        return []
    why = f"{config['epochs']} are few: before about {least} no style is heard"
    return [Advice("epochs", max(least, 2 * config["epochs"]), why)]


def _heard(about: About) -> list[Advice]:
    """The guide's questions where the style is not heard."""
    advice = []
    if about.tag == "":
        why = "the dataset has no activation tag, so nothing calls the style by name"
        advice.append(Advice("tag", "give the dataset a tag of its own", why, PLAIN))
    else:
        name = f" {about.tag!r}" if about.tag else ""
        why = "without it the model is not asked for the style"
        advice.append(Advice("tag", f"put the tag{name} into the caption", why, PLAIN))
    why = "an adapter at a strength of 0, or not loaded, changes nothing"
    advice.append(Advice("strength", "generate with the adapter on, at 1.0 to 1.4", why, PLAIN))
    why = "a caption that does not say what is heard teaches something else"
    advice.append(Advice("caption", "make the captions describe the songs", why, PLAIN))
    return advice


def _more_songs(about: About) -> Advice:
    few = about.songs is None or about.songs < 2 * GOOD_SONGS
    text = "more songs: 8 become 15, or acestep augment" if few else "more varied songs"
    known = "" if about.songs is None else f"{about.songs} songs are soon known by heart"
    return Advice("songs", text, known or "few songs are soon known by heart", PLAIN)


def _about(settings: Mapping[str, Any]) -> About:
    """The base's width, the number of songs and the tag, where they can still be found."""
    scale, songs, tag = 1.0, None, None
    try:
        source = settings["model"].get("source") or settings["config"].get("model")
        scale = find_base(source).shape.width / REFERENCE.width
    except ModelError:
        pass
    try:
        dataset = read_manifest(Path(settings["config"].get("tensors", ""))).dataset
        songs, tag = dataset.get("songs"), dataset.get("tag")
    except TensorError:
        pass
    return About(scale, songs, tag)
