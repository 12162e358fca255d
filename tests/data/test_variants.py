"""What a variant says of the song it comes from."""

import pytest

from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.data.variants import (
    VARIANT,
    Variant,
    labels_digest,
    read_variant,
    songs_of_origin,
    transposed,
    variant_marks,
)


def song(name, of=None, **more):
    extra = {} if of is None else {VARIANT: Variant(of, **more).as_dict()}
    return Song(f"{name}.wav", name, caption="piano", extra=extra)


def test_a_variant_is_kept_in_every_layout(tmp_path):
    variant = Variant("a", "a.wav", "signal", 2, 1.03, "+3.00 % tempo", "d1", "d2")
    for layout in ("guide", "original", "list"):
        made = Song("b.wav", "b", extra={VARIANT: variant.as_dict()})
        save_dataset(Dataset(songs=[song("a"), made]), tmp_path / f"{layout}.json", layout)
        first, second = load_dataset(tmp_path / f"{layout}.json").songs
        assert read_variant(first) is None and read_variant(second) == variant


@pytest.mark.parametrize("value", [None, "a", 3, [], {}, {"of": 3}, {"speed": 1.0}])
def test_what_names_no_song_is_no_variant(value):
    assert read_variant(Song("a.wav", "a", extra={VARIANT: value})) is None


@pytest.mark.parametrize("speed", ["fast", None, True, float("nan"), 0, -1, 1e9, [1]])
def test_spoilt_values_do_not_let_a_variant_go(speed):
    made = Song("b.wav", "b", extra={VARIANT: {"of": "a", "speed": speed, "number": "two"}})
    assert read_variant(made) == Variant("a")


def test_origins_are_found_by_id_then_by_path_and_kept_when_gone():
    songs = [
        song("a"),
        song("b", "a", of_path="x.wav"),
        song("c", "an id it had once", of_path="a.wav"),
        song("d", "gone", of_path="gone.wav"),
        song("e", "gone"),
        song("f", "b"),
        song("g", "h"),
        song("h", "g"),
    ]
    origins = songs_of_origin(songs)
    assert origins["b"] == origins["c"] == origins["f"] == "a"
    assert origins["d"] == origins["e"] == "gone"
    assert "a" not in origins and "g" not in origins and origins["h"] == "g"


def test_marks_say_root_and_tempo():
    marks = variant_marks([song("a"), song("b", "a", speed=0.97), song("c", "b")])
    assert marks == {
        "b": {"variant": {"of": "a", "speed": 0.97}},
        "c": {"variant": {"of": "a", "speed": 1.0}},
    }


def test_the_digest_of_labels_changes_with_each_of_them():
    plain = song("a")
    digests = {labels_digest(plain)}
    for label, value in (("caption", "x"), ("bpm", 90), ("lyrics", "la"), ("instrumental", True)):
        other = song("a")
        setattr(other, label, value)
        digests.add(labels_digest(other))
    assert len(digests) == 5 and labels_digest(song("b")) == labels_digest(plain)


@pytest.mark.parametrize(
    ("key", "cents", "moved"),
    [
        ("A minor", 30, "A minor"),
        ("A minor", -49, "A minor"),
        ("A minor", 100, "Bb minor"),
        ("C major", -100, "B major"),
        ("Cb major", 90, "C major"),
        ("F# minor", -300, "Eb minor"),
        ("B major", 1200, "B major"),
        ("Bb Major", 10, "Bb Major"),
        (None, 100, None),
        ("odd", 100, "odd"),
    ],
)
def test_keys_move_by_whole_semitones(key, cents, moved):
    assert transposed(key, cents) == moved
