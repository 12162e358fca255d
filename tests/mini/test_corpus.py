"""Songs of the corpus: the same for the same seed, true to their labels, playable part by part."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from acestep.mini.corpus import (
    HELD_OUT,
    PEAK,
    RATE,
    SCALES,
    STYLES,
    TESTS,
    TONICS,
    VALIDATION,
    VOICES,
    WORDS,
    Song,
    compose,
    describe,
    render,
    render_parts,
)
from acestep.mini.statistics import pulse
from acestep.mini.styles import DRUMS
from acestep.mini.voices import TICK
from acestep.model.tasks import TRACKS

ALL = {**STYLES, **HELD_OUT}
KEYS = [f"{tonic} {mode}" for tonic, mode in product(TONICS, SCALES)]


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    """Five songs of each style, some with all sections."""
    return [
        compose(TESTS + 10 * number + seed, 24.0, style=style)
        for number, style in enumerate(ALL)
        for seed in range(5)
    ]


def sixteenth(song: Song) -> float:
    """Seconds; in 6/8 the beat is the dotted quarter."""
    return 60 / song.bpm / (6 if song.timesignature == "6" else 4)


def bar(song: Song) -> float:
    return sixteenth(song) * (16 if song.timesignature == "4" else 12)


@pytest.mark.parametrize("style", ALL)
def test_a_song_is_the_same_each_time(style):
    song = compose(TESTS + 1, 6.02, style=style)
    audio = render(song)
    assert compose(TESTS + 1, 6.02, style=style) == song
    assert np.array_equal(render(song), audio)
    assert audio.shape == (2, round(6.02 * RATE)) and audio.dtype == np.float32
    assert np.abs(audio).max() == pytest.approx(PEAK, abs=1e-5) and PEAK <= 0.9
    assert np.isfinite(audio).all() and not np.array_equal(audio[0], audio[1])


def test_no_two_seeds_are_alike():
    seeds = [*range(60), *range(VALIDATION, VALIDATION + 60), *range(TESTS, TESTS + 60)]
    written = [compose(seed, 10.0) for seed in seeds]
    assert len({song.notes for song in written}) == len(seeds)
    assert {song.style for song in written} == set(STYLES)
    assert len({song.keyscale for song in written}) == len(KEYS)
    assert len({song.bpm for song in written}) > 60
    assert {song.timesignature for song in written} == {"3", "4", "6"}


def test_what_is_asked_for_is_what_one_gets():
    for number, key in enumerate(KEYS):
        assert compose(number, 3.0, keyscale=key).keyscale == key
    for bpm, style in product((60, 61, 97, 133, 180), ("folk", "rock", "cumbia")):
        song = compose(TESTS, 3.0, bpm=bpm, style=style)
        assert (song.bpm, song.style) == (bpm, style)


@pytest.mark.parametrize(
    "wrong", [{"bpm": 59}, {"bpm": 181}, {"bpm": 0}, {"keyscale": "H major"},
              {"keyscale": "C dorian"}, {"keyscale": "C"}]
)  # fmt: skip
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(ValueError):
        compose(1, 3.0, **wrong)


def test_a_style_that_is_not_there_is_refused():
    with pytest.raises(KeyError):
        compose(1, 3.0, style="polka")


def test_every_pitch_is_in_the_key(songs):
    for song in songs:
        tonic, mode = song.keyscale.split()
        scale = {(TONICS.index(tonic) + step) % 12 for step in SCALES[mode]}
        pitched = [note for note in song.notes if note.player in VOICES]
        assert {note.pitch % 12 for note in pitched} <= scale
        assert all(20 < note.pitch < 100 for note in pitched)
        assert all(note.pitch == 0 for note in song.notes if note.player in DRUMS)
        roots = [note.pitch % 12 for note in pitched if note.part == "bass" and note.start == 0]
        assert all(root == TONICS.index(tonic) for root in roots)  # the first chord is the tonic's


def test_onsets_lie_on_the_sixteenths_of_the_tempo_to_ten_milliseconds(songs):
    for song in songs:
        for note in song.notes:
            ticks = note.start / TICK
            assert ticks == pytest.approx(round(ticks), abs=1e-6)
            assert note.length / TICK == pytest.approx(round(note.length / TICK), abs=1e-6)
            place = note.start / sixteenth(song)
            assert abs(place - round(place)) * sixteenth(song) <= TICK / 2 + 1e-9
        assert min(note.start for note in song.notes) < bar(song)


def test_the_bar_is_that_of_the_time_signature(songs):
    """Drums and bass repeat by the bar and by no shorter time of whole beats."""
    for song in songs:
        starts = defaultdict(set)
        for note in song.notes:
            if note.part == "bass":
                starts[int((note.start + TICK) / bar(song))].add(
                    round(note.start / sixteenth(song)) % round(bar(song) / sixteenth(song))
                )
        assert len({frozenset(places) for places in starts.values()}) == 1


@pytest.mark.parametrize("bpm", [67, 101, 138, 180])
def test_the_tempo_is_heard(bpm):
    audio = render(compose(TESTS, 10.0, style="techno", bpm=bpm))
    assert pulse(audio, bpm) > 0.4
    assert pulse(audio, 1.13 * bpm) < 0.5 * pulse(audio, bpm)


@pytest.mark.parametrize("style", ["rock", "ambient", "ballad", "jig", "march"])
def test_parts_are_tracks_of_the_model_and_add_up(style):
    for song in (compose(TESTS + seed, 6.0, style=style) for seed in range(2)):
        parts = render_parts(song)
        assert set(parts) == {note.part for note in song.notes} <= set(TRACKS)
        assert {"bass"} < set(parts)
        assert np.abs(sum(parts.values()) - render(song)).max() < 1e-5
        assert all(part.dtype == np.float32 and np.abs(part).max() > 0 for part in parts.values())


def test_sections_follow_each_other_and_only_verses_and_choruses_have_a_melody(songs):
    names = set()
    for song in songs:
        titles, starts = zip(*song.sections, strict=True)
        names |= set(titles)
        assert starts[0] == 0 and list(starts) == sorted(starts) and starts[-1] < song.seconds
        assert "Intro" not in titles[1:]
        assert all(one != other for one, other in zip(titles, titles[1:], strict=False))
        bars = [start / bar(song) for start in starts]
        assert bars == pytest.approx([round(count) for count in bars], abs=0.01)
    assert names == {"Intro", "Verse", "Chorus"}


def sung(song: Song) -> list[list[str]]:
    """The vowels that are sung in each section."""
    edges = [start for _, start in song.sections[1:]]
    words: list[list[str]] = [[] for _ in song.sections]
    for note in sorted(song.notes, key=lambda note: note.start):
        if note.part == "vocals":
            section = sum(note.start > edge - TICK for edge in edges)
            words[section].append(note.player.removeprefix("voice-"))
    return words


def test_lyrics_have_a_word_for_each_sung_note_with_its_vowel():
    found = 0
    for seed in range(TESTS, TESTS + 12):
        song = compose(seed, 24.0, style="ballad" if seed % 2 else "folk")
        if song.language != "en":
            assert not any(sung(song))
            continue
        found += 1
        blocks = song.lyrics.split("\n\n")
        titles, texts = zip(*(block.partition("\n")[::2] for block in blocks), strict=True)
        assert [f"[{name}]" for name, _ in song.sections] == list(titles)
        vowels = [[next(v for v in WORDS if w in WORDS[v]) for w in text.split()] for text in texts]
        assert vowels == sung(song)
    assert found > 2


def test_what_is_not_sung_is_instrumental(songs):
    for song in songs:
        sings = any(note.part == "vocals" for note in song.notes)
        assert (song.lyrics == "[Instrumental]") == (not sings)
        assert song.language == ("en" if sings else "unknown")
        assert ("vocals" in song.tags) == sings


def test_motifs_return():
    """The first and the third bar of a verse have one rhythm, and so has the next verse."""
    song = compose(TESTS + 3, 40.0, style="waltz")
    verses = [start for name, start in song.sections if name == "Verse"]
    lead = [note for note in song.notes if note.pan == 0.1]

    def melody(start: float, number: int) -> list[tuple[int, int]]:
        first = start + number * bar(song)
        inside = [n for n in lead if first - TICK < n.start < first + bar(song) - TICK]
        return [(round((n.start - first) / sixteenth(song)), n.pitch) for n in inside]

    assert melody(verses[0], 0) and melody(verses[0], 0) == melody(verses[1], 0)
    rhythms = [[start for start, _ in melody(verses[0], number)] for number in (0, 1, 2)]
    assert rhythms[0] == rhythms[1] == rhythms[2]


def test_tags_are_true(songs):
    for song in songs:
        style, speed, mood, lead, chords, drums, mode, meter = song.tags
        assert (style, mood) == (song.style, ALL[song.style].mood)
        assert speed == ("slow" if song.bpm < 88 else "mid-tempo" if song.bpm < 122 else "fast")
        assert song.keyscale.endswith(f" {mode}")
        assert {"3": "three-four", "4": "four-four", "6": "six-eight"}[song.timesignature] == meter
        nouns = {VOICES[note.player].noun for note in song.notes if note.player in VOICES}
        assert {chords, "voice" if lead == "vocals" else lead} <= nouns
        assert (drums == "no drums") == (not any(note.part == "drums" for note in song.notes))


def test_no_wording_says_what_the_tags_do_not(songs):
    filler = {"a song:", "music with", "track", "with"}
    rng = np.random.default_rng(5)
    wordings = defaultdict(set)
    for song in songs:
        for _ in range(20):
            text = describe(song, rng)
            wordings[song.style].add(text)
            left = text
            for known in sorted({*song.tags, *filler}, key=len, reverse=True):
                left = left.replace(known, "")
            assert left.strip(" ,.") == "", text
    assert all(len(texts) > 30 for texts in wordings.values())
    assert describe(songs[0], np.random.default_rng(1)) == describe(
        songs[0], np.random.default_rng(1)
    )


def test_a_caption_consists_of_the_tags(songs):
    for song in songs:
        assert all(tag in song.caption for tag in song.tags[:6])
