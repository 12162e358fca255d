from acestep.checking.finding import Finding, few, gravest_first, notices
from acestep.events import Notice

FOUND = [
    Finding("no-bpm", "info", "a.wav", "it has no tempo", "find it"),
    Finding("clipped", "warning", "a.wav", "it is clipped: 2%"),
    *[Finding("no-bpm", "info", f"{name}.wav", "it has no tempo", "find it") for name in "bcdef"],
    Finding("clipped", "warning", "b.wav", "it is clipped: 3%"),
    Finding("no-tag", "warning", None, "there is no tag", "give one"),
    Finding("no-songs", "error", None, "there is nothing"),
]


def test_the_gravest_come_first_and_the_rest_stays_in_order():
    levels = [(finding.level, finding.song) for finding in gravest_first(FOUND)]
    assert levels[0] == ("error", None)
    assert levels[1:4] == [("warning", "a.wav"), ("warning", "b.wav"), ("warning", None)]
    assert [song for _, song in levels[4:]] == [f"{name}.wav" for name in "abcdef"]


def test_what_is_true_of_many_songs_is_said_once():
    assert list(notices(FOUND)) == [
        Notice("there is nothing", "warning"),
        Notice("it is clipped: 2%", "warning", "a.wav"),
        Notice("it is clipped: 3%", "warning", "b.wav"),
        Notice("there is no tag (give one)", "warning"),
        Notice("it has no tempo (find it)", "info", "a.wav, b.wav, c.wav and 3 more"),
    ]


def test_few_names():
    assert few(["a"]) == "a" and few(["a", "b", "c"]) == "a, b, c"
