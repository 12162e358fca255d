import torch
from torch import nn

from acestep.mini.corpus import Note, compose
from acestep.mini.styles import DRUMS, STYLES
from acestep.mini.train.scores import SIZES, Score, lesson, rhythm_of, score_again, score_of
from acestep.mini.train.shards import labels_only


def test_a_score_says_who_plays_when():
    song = compose(3, 2.0, style="house", bpm=120, keyscale="C major")
    notes = (
        Note(0.0, 0.4, 64, 1.0, "synth", "saw", 0.0),
        Note(0.0, 0.4, 60, 1.0, "keyboard", "organ", 0.0),
        Note(0.2, 0.2, 38, 1.0, "bass", "sawbass", 0.0),
        Note(0.5, 0.1, 0, 1.0, "drums", "kick", 0.0),
    )
    score = score_of(type(song)(**{**vars(song), "notes": notes}), 20)
    assert score.melody.tolist() == [4] * 10 + [12] * 10
    assert score.bass.tolist() == [12] * 5 + [2] * 5 + [12] * 10
    assert score.chord.sum(1).tolist() == [2.0] * 10 + [0.0] * 10
    assert score.drums.nonzero().tolist() == [[12, 0]]


def test_a_song_without_its_notes_is_composed_again():
    song = compose(14, 4.0, style=list(STYLES)[2], bpm=100)
    for one, other in zip(score_of(song, 100), score_again(labels_only(song), 100), strict=True):
        assert torch.equal(one, other)


def test_rhythm_is_the_beat_and_its_drums():
    song = compose(14, 4.0, style="house", bpm=125)  # a beat has twelve frames, a bar 48
    beat, struck = rhythm_of(labels_only(song))
    assert beat.shape == (100, 4) and struck.shape == (100, len(DRUMS))
    torch.testing.assert_close(beat[12], torch.tensor([1.0, 0.0, 0.0, 1.0]), rtol=0, atol=1e-5)
    kicks = struck[:, list(DRUMS).index("kick")].nonzero().flatten().tolist()
    assert kicks and all(frame % 12 == 0 for frame in kicks)


def test_heads_learn_what_hints_tell():
    torch.manual_seed(0)
    heads = nn.ModuleDict({name: nn.Linear(5 * 64, size) for name, size in SIZES.items()})
    hints, melody = torch.randn(32, 5, 64), torch.randint(13, (32,))
    score = Score(
        melody[:, None].expand(-1, 5), melody[:, None].expand(-1, 5),
        torch.zeros(32, 5, 12), torch.zeros(32, 5, 2),
    )  # fmt: skip
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.05)
    for _ in range(60):
        loss, right = lesson(heads, hints, score)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert right["melody"] == right["bass"] == 1.0
