"""What the demo's page says: what each clip is, what the numbers mean, what was typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acestep.mini.compare import Row
from acestep.mini.corpus import Song
from acestep.mini.page import Clip, Page, Shelf, Table
from acestep.mini.teach import TAG, Lesson, Places, typed
from acestep.terminal import duration

# The sets of clips; the first four come in pairs that differ in nothing but the adapter, the fifth
# differs from the fourth by the tag alone
BASE, ADAPTER = "base", "adapter"
BASE_LABELLED, ADAPTER_LABELLED = "base, all labels", "adapter, all labels"
UNTAGGED = "adapter, no tag"
FOLDER = "folder"


@dataclass(frozen=True)
class Findings:
    """What a demo made and measured; ``files`` are the clips of each set."""

    places: Places
    lesson: Lesson
    songs: Sequence[tuple[Path, Song]]
    rows: Mapping[str, Row]
    files: Mapping[str, Sequence[Path]]
    commands: Sequence[Sequence[str]]
    seconds: float


def make_page(found: Findings) -> Page:
    """The page about a demo."""
    lesson, rows = found.lesson, found.rows
    before, after = rows[BASE].distance, rows[ADAPTER].distance
    lead = (
        f"{lesson.songs} songs of {lesson.style}, a style the small model was never trained on, "
        f"{lesson.seconds:g} seconds each, taught it the word “{TAG}”. With the same prompt and "
        f"the same seeds, its clips lie {before:.2f} from the songs without the adapter and "
        f"{after:.2f} with it: {share(rows):.0%} of the distance is left.",
        f"Everything here was made by this machine in {duration(found.seconds)}. The songs are "
        "composed by rule and played by a synthesiser; nobody performed them. The small model is "
        "for trying things out: it plays simply, and noise remains in what it plays.",
    )
    return Page(
        title=f"What {lesson.songs} songs of {lesson.style} taught",
        lead=lead,
        table=number_table(rows),
        explanation=(
            "Distance: how far the clips lie from the folder on average, over 14 statistics of "
            "the sound, in standard deviations of songs at large; 0 is the folder itself. It says "
            "that clips sound alike, not that they are good.",
            "Pulse: how strongly clips beat, from 0 to 1, at the tempo they have or were asked "
            "for. Scale: share of what is pitched on the notes of one scale; noise has about 0.6, "
            "the songs nearly 1.",
        ),
        shelves=(
            _tag(found),
            _all_labels(found),
            _untagged(found),
            _heard(found),
            _songs(found),
        ),
        losses=found.places.run / "loss.png",
        losses_text="The loss on the parts of songs that are trained on, and on the last tenth of "
        "each, which is held out. The dashed line is the base’s, without the adapter.",
        commands=[f"$ {typed(command)}" for command in found.commands],
    )


def share(rows: Mapping[str, Row]) -> float:
    """The adapter's distance from the folder as a share of the base's, for the same prompt."""
    return rows[ADAPTER].distance / rows[BASE].distance


def number_table(rows: Mapping[str, Row]) -> Table:
    """The rows as a table, for the page and the terminal."""
    return Table(
        "Sets of clips beside the folder (its songs as the small model’s own VAE gives them back)",
        ("clips", "distance", "pulse", "scale"),
        [
            (name, f"{row.distance:.2f}", f"{row.pulse:.2f}", f"{row.scale:.2f}")
            for name, row in rows.items()
        ],
        strong=list(rows).index(ADAPTER),
    )


def _tag(found: Findings) -> Shelf:
    return Shelf(
        "Without and with the adapter",
        f"The prompt is the tag “{TAG}” and the tempo, key and time signature of one of the songs: "
        "nothing says what the folder sounds like. Clips beside each other have the same seed.",
        _pairs(found, BASE, ADAPTER),
    )


def _all_labels(found: Findings) -> Shelf:
    return Shelf(
        "Told everything",
        f"The prompt is the tag, a song’s caption (“{found.songs[0][1].caption}”), and the song’s "
        "tempo, key and time signature. The base knows these words but for the style’s name.",
        _pairs(found, BASE_LABELLED, ADAPTER_LABELLED),
    )


def _untagged(found: Findings) -> Shelf:
    return Shelf(
        "The tag is a switch",
        "The prompts that tell everything, with the tag and without it; the adapter is on in both. "
        "It was taught to leave a prompt without the tag as the base plays it: it can stay on.",
        _pairs(found, ADAPTER_LABELLED, UNTAGGED, ("with the tag", "without the tag")),
    )


def _pairs(
    found: Findings, one: str, other: str, names: tuple[str, str] = ("without", "with")
) -> list[list[Clip]]:
    rows = []
    for number, pair in enumerate(zip(found.files[one], found.files[other], strict=True)):
        asked = _labels(found.songs[number][1])
        rows.append([
            Clip(f"{number + 1}, {name}", f"Generated by {_who(set_)}, asked for {asked}.", file,
                 _picture(file))
            for name, set_, file in zip(names, (one, other), pair, strict=True)
        ])  # fmt: skip
    return rows


def _who(name: str) -> str:
    return "the base" if name in (BASE, BASE_LABELLED) else "the base and the adapter"


def _heard(found: Findings) -> Shelf:
    files = found.files[FOLDER]
    clips = [
        Clip(f"Song {number}", "Encoded and decoded by the VAE.", file, _picture(file))
        for number, file in enumerate(files, 1)
    ]
    return Shelf(
        "What the distance is measured to",
        "The beginnings of the songs as the model’s VAE gives them back. No clip can be better: "
        "what is lost here, every generated clip lacks too.",
        [clips],
    )


def _songs(found: Findings) -> Shelf:
    clips = []
    for file, song in found.songs:
        known = "with all labels" if file.with_suffix(".json").exists() else "without labels"
        text = f"{_labels(song)}. {file.suffix[1:].upper()}, {known}."
        clips.append(Clip(file.name, text, file))
    return Shelf(
        "The songs that were learned from",
        "Composed and rendered for this demo, the same each time. Half of them came with caption, "
        "tempo, key and time signature, half with nothing: of those, the tag is the whole prompt.",
        [clips],
    )


def _labels(song: Song) -> str:
    return f"{song.bpm} bpm, {song.keyscale}, {song.timesignature}/{_unit(song)}"


def _unit(song: Song) -> int:
    return 8 if song.timesignature == "6" else 4


def _picture(clip: Path) -> Path:
    return clip.with_suffix(".png")
