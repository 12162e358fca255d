"""``report.json``: what an evaluation wrote down, as frozen records.

Only what readers rely on is declared; more is kept as it is. The parts that detectors write
(``style``, ``copies`` …) stay plain JSON: whoever made them knows them.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FORMAT = 1
BASE = "base"  # the name of the model without an adapter


def _inside(file: str) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file or not path.name:
        raise ValueError("should be a file inside the report's folder, as a relative path with /")
    return file


Inside = Annotated[str, AfterValidator(_inside)]
Json = dict[str, Any]


class Record(BaseModel):
    """A part of the report: frozen, strict about what it declares, open to more."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class About(Record):
    """What was evaluated, and how."""

    run: str
    model: str = ""
    tag: str = ""
    songs: int = 0
    song_seconds: float = 0.0
    clip_seconds: float = 0.0
    clips: int = 0
    notes: list[str] = []


class Question(Record):
    """A question of the user's, its answer in a word, and in a sentence."""

    question: str
    answer: str
    sentence: str = ""


class Verdict(Record):
    """The whole in words."""

    headline: str
    sentences: list[str] = []
    questions: list[Question] = []


class SongEntry(Record):
    """A song of the dataset; ``audio`` is where it lay."""

    song: str
    name: str = ""
    seconds: float = 0.0
    audio: str | None = None
    caption: str = ""


class Check(Record):
    """A finding of ``acestep check``."""

    code: str = ""
    level: Literal["error", "warning", "info"] = "info"
    song: str | None = None
    message: str
    advice: str = ""


class DatasetEntry(Record):
    """The songs that were learned from."""

    name: str = ""
    songs: list[SongEntry] = []
    checks: list[Check] = []


class Prompt(Record):
    """What clips were asked for."""

    id: str
    kind: str = ""
    caption: str = ""
    caption_without_tag: str = ""
    lyrics: str = ""
    bpm: int | None = None
    keyscale: str | None = None
    seed: int = 0


class Clip(Record):
    """A generated clip; ``closeness`` is 0 for the base and 1 for the user's songs."""

    file: Inside
    adapter: str
    strength: float = 1.0
    tag: bool = True
    prompt: str
    seed: int = 0
    closeness: float | None = None
    copied: str = Field("nothing", alias="copy")
    loop: str = "usual"


class Judged(Record):
    """All that was found out about the base, or about a checkpoint at a strength."""

    name: str
    epoch: int | None = None
    strength: float = 1.0
    clips: int = 0
    alarm: str | None = None
    evidence: Json | None = None
    size: Json | None = None
    style: Json | None = None
    style_latents: Json | None = None
    copies: Json | None = None
    loops: Json | None = None
    diversity: Json | None = None
    sound: Json | None = None


class Estimate(Record):
    """A value with its 90 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Cell(Record):
    """One of the four cells: the mean position of its clips."""

    position: float | None = None
    low: float | None = None
    high: float | None = None
    clips: int = 0


class TagCells(Record):
    """Adapter on or off, tag in or out."""

    on_tag: Cell
    on_plain: Cell
    off_tag: Cell
    off_plain: Cell


class TagEntry(Record):
    """What the tag does with a checkpoint."""

    checkpoint: str
    cells: TagCells
    switch: Estimate | None = None
    leak: Estimate | None = None
    gain: Estimate | None = None
    word: str = ""
    sentence: str = ""
    advice: str = ""


class Candidate(Record):
    """A checkpoint at a strength in the race; ``out`` says why it is not in it."""

    checkpoint: str
    strength: float = 1.0
    style_left: float | None = None
    gain_missing: float | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    share: float | None = None
    out: str | None = None


class Chosen(Record):
    """The recommendation."""

    checkpoint: str | None = None
    strength: float = 1.0
    confidence: float | None = None
    sentence: str = ""
    reasons: list[str] = []
    rule: str = ""
    candidates: list[Candidate] = []


class Control(Record):
    """A measurement whose result was known beforehand, and whether it came."""

    name: str
    what: str = ""
    expected: str = ""
    found: str = ""
    fine: bool | None = None


class Controls(Record):
    """All of them."""

    rows: list[Control] = []


class Votes(Record):
    """What a blind listening test said."""

    pairs: int
    adapter: int
    base: int
    same: int = 0
    p: float
    sentence: str = ""


class Remedy(Record):
    """What to change next time."""

    knob: str = ""
    value: Any = None
    reason: str = ""


class Advised(Record):
    """What a run shows, and what to do about it."""

    verdict: str = ""
    seen: list[str] = []
    advice: list[Remedy] = []


class Report(Record):
    """``report.json`` as a whole."""

    format: int
    version: str = ""
    made: str = ""
    about: About
    verdict: Verdict
    settings: Json = {}
    dataset: DatasetEntry = DatasetEntry()
    curves: Json = {}
    prompts: list[Prompt] = []
    clips: list[Clip] = []
    base: Judged | None = None
    checkpoints: list[Judged] = []
    strengths: list[Judged] = []
    tag: list[TagEntry] = []
    choice: Chosen = Chosen()
    controls: Controls = Controls()
    advice: Advised | None = None
    votes: Votes | None = None
