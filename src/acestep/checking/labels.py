"""What can be said of a dataset without opening its audio: size, lengths, tag, captions, metas.

Pure and quick, so that scan, label and preprocess say it too. The numbers are the guide's
recommendations (8 songs and 30 minutes, at least 5 and 15; songs of 2 to 5 minutes).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from acestep.checking.finding import Finding, Level, notices
from acestep.data.labels import METAS, has_words, tag_problems
from acestep.data.lyrics import lyrics_advice
from acestep.data.scripts import letters_by_script
from acestep.data.sidecars import doubts
from acestep.data.song import Dataset, Song
from acestep.data.variants import read_variant
from acestep.events import Notice
from acestep.knobs import counted
from acestep.model.prompt import MAX_CAPTION_TOKENS

FEW_SONGS, GOOD_SONGS = 5, 8
FEW_MINUTES, GOOD_MINUTES = 15, 30
TOO_SHORT, SHORT, LONG, TOO_LONG = 60, 120, 300, 600  # seconds of a song
TEMPI = (30, 300)  # beats per minute that the model knows
FULL_CAPTION = 0.8  # of the tokens that fit; beyond it a longer wording may cost the metas' room
GOOD_TAG = "a good tag is short, lower case and no word of a language: myjazz, xmas24"
# What label fills in: nothing to tell a person who has only scanned so far
FILLED_IN = frozenset(
    {"no-caption", "no-lyrics", "no-language", "no-bpm", "no-keyscale", "no-timesignature"}
)
# What scan says as it reads the labels
READ_IN = frozenset({"odd-language", "odd-keyscale", "odd-timesignature"})
# What preprocess says of each song in its own words
SAID_LATER = frozenset({"no-caption", "long-song"})

Tokens = Callable[[Song], tuple[int, int]]


def findings(dataset: Dataset, tokens: Tokens | None = None) -> list[Finding]:
    """Everything that its labels and lengths show, songs in their order.

    ``tokens`` gives how many tokens a song's two prompts make, caption and lyrics, before anything
    is cut; without it their lengths are not judged.
    """
    found = [*_size(dataset), *_tag(dataset), *_same_captions(dataset)]
    for name, song in zip(song_names(dataset), dataset.songs, strict=True):
        found += _length(name, song)
        found += _caption(name, dataset, song)
        found += _metas(name, song)
        caption, lyrics = tokens(song) if tokens else (0, None)
        found += _caption_tokens(name, caption)
        found += _lyrics(name, song, lyrics)
    return found


def told(
    dataset: Dataset, *, but: frozenset[str], tokens: Tokens | None = None
) -> Iterator[Notice]:
    """The findings as events of another verb, without the codes that it leaves to others."""
    yield from notices(found for found in findings(dataset, tokens) if found.code not in but)


def song_names(dataset: Dataset) -> list[str]:
    """What findings call the songs: file names, or paths where several files have one name."""
    names = Counter(song.filename for song in dataset.songs)
    return [
        song.filename if names[song.filename] == 1 else song.audio_path for song in dataset.songs
    ]


def _size(dataset: Dataset) -> Iterator[Finding]:
    songs, known = len(dataset.songs), all(song.duration > 0 for song in dataset.songs)
    if songs == 0:
        yield Finding("no-songs", "error", None, "the dataset has no songs", "acestep scan SONGS")
        return
    if songs < GOOD_SONGS:
        level: Level = "warning" if songs < FEW_SONGS else "info"
        yield Finding(
            "few-songs", level, None, f"{counted(songs, 'song')} to learn from",
            f"at least {FEW_SONGS} are wanted, {GOOD_SONGS} are good, 20 are best; acestep augment "
            "makes variations", songs,
        )  # fmt: skip
    minutes = sum(song.duration for song in dataset.songs) / 60
    if known and minutes < GOOD_MINUTES:
        level = "warning" if minutes < FEW_MINUTES else "info"
        yield Finding(
            "little-music", level, None, f"{minutes:.1f} minutes of music to learn from",
            f"at least {FEW_MINUTES} are wanted, {GOOD_MINUTES} are good, an hour is best",
            round(minutes, 2),
        )  # fmt: skip


def _tag(dataset: Dataset) -> Iterator[Finding]:
    tags = list(dict.fromkeys([dataset.tag, *map(dataset.tag_of, dataset.songs)]))
    for tag in tags:
        for kind, problem in tag_problems(tag).items():
            yield Finding(f"tag-{kind}", "warning", None, problem, GOOD_TAG, tag)
    named = zip(song_names(dataset), dataset.songs, strict=True)
    without = [name for name, song in named if not dataset.tag_of(song).strip()]
    if not any(tag.strip() for tag in tags):
        yield Finding(
            "no-tag", "warning", None,
            "the dataset has no activation tag: no word will switch the style on",
            f"acestep edit DATASET --tag …; {GOOD_TAG}",
        )  # fmt: skip
    elif without:
        yield from (
            Finding(
                "no-tag", "warning", name, "it has no activation tag, others have one", GOOD_TAG
            )
            for name in without
        )


def _length(name: str, song: Song) -> Iterator[Finding]:
    seconds = song.duration
    value, advice = round(seconds, 2), "songs of 2 to 5 minutes are recommended"
    if 0 < seconds < TOO_SHORT:
        yield Finding(
            "short-song", "warning", name, f"it is short: {seconds:.0f} s, no minute",
            f"{advice}; clips teach no structure", value,
        )  # fmt: skip
    elif 0 < seconds < SHORT:
        yield Finding("short-song", "info", name, f"it is short: {seconds:.0f} s", advice, value)
    elif seconds > LONG:
        level: Level = "warning" if seconds > TOO_LONG else "info"
        yield Finding(
            "long-song", level, name, f"it is long: {seconds / 60:.1f} minutes",
            f"{advice}; preprocess --segment-seconds 120 uses all of it in parts", value,
        )  # fmt: skip


def _caption(name: str, dataset: Dataset, song: Song) -> Iterator[Finding]:
    shown, prompt = _words(dataset, song), dataset.tag_of(song).strip()
    if prompt and dataset.tag_position == "replace":
        return  # the tag is all that its prompt says, on purpose
    if not shown.strip():
        level: Level = "warning" if prompt else "error"
        rest = "the tag is all that its prompt says" if prompt else "it cannot be used"
        yield Finding(
            "no-caption", level, name, f"it has no caption: {rest}",
            "acestep label writes a draft; acestep edit sets one",
        )  # fmt: skip
    elif _one_word(shown) and not dataset.shows_genre(song):
        yield Finding(
            "short-caption", "warning", name, f"it has a caption of one word: {shown.strip()!r}",
            "name style, instruments and mood: not jazz but smooth jazz with saxophone and piano",
            shown.strip(),
        )  # fmt: skip


def _words(dataset: Dataset, song: Song) -> str:
    """What a song's prompt shows beside the tag."""
    return song.genre if dataset.shows_genre(song) else song.caption


def _same_captions(dataset: Dataset) -> Iterator[Finding]:
    """Captions that several songs share: what differs between them is then told by nothing."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name, song in zip(song_names(dataset), dataset.songs, strict=True):
        replaced = dataset.tag_of(song).strip() and dataset.tag_position == "replace"
        if not (replaced or dataset.shows_genre(song) or read_variant(song)):
            alike[" ".join(song.caption.lower().split())].append(name)
    for caption, names in alike.items():
        if caption and len(names) > 1:
            yield Finding(
                "same-caption", "warning", None,
                f"{len(names)} songs have the same caption: {', '.join(names)}",
                "say what sets each apart, or all of it becomes one with the tag", caption,
            )  # fmt: skip


def _metas(name: str, song: Song) -> Iterator[Finding]:
    for label, meta in METAS.items():
        if not vars(song)[label]:
            yield Finding(
                f"no-{label}", "info", name, f"it has no {meta}: its prompt says N/A",
                "acestep label finds it",
            )  # fmt: skip
    if song.bpm and not TEMPI[0] <= song.bpm <= TEMPI[1]:
        yield Finding(
            "odd-bpm", "warning", name, f"it has an implausible tempo: {song.bpm} bpm",
            f"music lies between {TEMPI[0]} and {TEMPI[1]}", song.bpm,
        )  # fmt: skip
    for label in ("keyscale", "timesignature", "language"):
        value = vars(song)[label]
        for doubt in doubts(name, {label: (value, "")} if value else {}):
            yield Finding(f"odd-{label}", "warning", name, doubt.message, "correct it", value)


def _lyrics(name: str, song: Song, tokens: int | None) -> Iterator[Finding]:
    words = has_words(song.lyrics)
    if song.instrumental and words:
        yield Finding(
            "sung-instrumental", "warning", name,
            "it is marked instrumental and has lyrics: they are not used",
            "remove them, or acestep edit … --no-instrumental",
        )  # fmt: skip
    elif not words and not song.instrumental:
        yield Finding(
            "no-lyrics", "warning", name,
            "it has no lyrics and is not marked instrumental: its prompt says [Instrumental]",
            "add its lyrics, or acestep edit … --instrumental",
        )  # fmt: skip
    if not words or song.instrumental:
        return
    for sentence in lyrics_advice(song.lyrics, song.language, tokens):
        yield Finding("lyrics", "warning", name, sentence, "correct them", tokens)
    if song.language == "unknown":
        yield Finding(
            "no-language", "info", name, "it has lyrics of no language",
            "acestep label finds it; acestep edit … --language en sets it",
        )  # fmt: skip


def _caption_tokens(name: str, tokens: int) -> Iterator[Finding]:
    if tokens <= FULL_CAPTION * MAX_CAPTION_TOKENS:
        return
    over = tokens > MAX_CAPTION_TOKENS
    ends = "its end is cut" if over else "there is little room left"
    yield Finding(
        "long-caption", "warning" if over else "info", name,
        f"it has a long caption: its prompt makes {tokens} tokens of {MAX_CAPTION_TOKENS}, {ends}",
        "say it in fewer words", tokens,
    )  # fmt: skip


def _one_word(caption: str) -> bool:
    """Whether a caption is a single word, of a script that sets words apart by spaces."""
    unspaced = letters_by_script(caption).keys() & {"CJK", "KANA", "THAI"}
    return len(caption.split()) == 1 and not unspaced
