"""Conditions and assignments: what they mean, and what is said of those that mean nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep.data.expressions import SETTABLE, assignment, condition
from acestep.data.song import Song
from acestep.errors import ConfigError

SONGS = [
    Song("songs/a.wav", id="a", caption="Warm  Jazz, piano", bpm=55, keyscale="A minor",
         timesignature="4", language="ko", lyrics="la", duration=184.2, title="Rock and Roll",
         sources={"bpm": "analysis"}, evidence={"bpm": {"confidence": 0.3}}),
    Song("songs/b.wav", id="b", caption="fast (rock) = loud", bpm=180, genre="rock",
         instrumental=True, sources={"bpm": "person", "caption": "draft"}),
    Song("c.flac", id="c"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bpm<60", "a"),
        ("bpm <= 55", "a"),
        ("bpm>60", "b"),
        ("bpm>=180.0", "b"),
        ("bpm==55", "a"),
        ("bpm = 55", "a"),
        ("bpm!=55", "bc"),
        ('bpm==""', "c"),
        ("bpm!=none", "ab"),
        ("duration>3", "a"),
        ("caption~jazz", "a"),
        ("caption~WARM JAZZ", "a"),
        ("caption!~jazz", "bc"),
        ("caption==''", "c"),
        ('caption=="warm jazz, piano"', "a"),
        ('caption~"= loud"', "b"),
        ("caption~'(rock)'", "b"),
        ('title=="rock and roll"', "a"),
        ("language==unknown", "bc"),
        ("lang!=unknown", "a"),
        ("key==Am", "a"),
        ("keyscale=='a min'", "a"),
        ("keyscale~minor", "a"),
        ("timesignature=='4/4'", "a"),
        ("instrumental==true", "b"),
        ("instrumental != yes", "ac"),
        ("source.bpm==analysis", "a"),
        ("source.caption~dra", "b"),
        ("source.key==''", "abc"),
        ("confidence.bpm<0.5", "a"),
        ("confidence.bpm<50%", "a"),
        ("confidence.bpm==none", "bc"),
        ("filename==b.wav", "b"),
        ("path~songs", "ab"),
        ("id==c", "c"),
        ("bpm<60 or genre==rock", "ab"),
        ("bpm<60 and genre==rock", ""),
        ("bpm>1 and genre==rock or id==c", "bc"),
        ("bpm>1 and (genre==rock or id==c)", "b"),
        ("not bpm>1", "c"),
        ("NOT (id==a OR id==b)", "c"),
        ("not not id==a", "a"),
    ],
)
def test_conditions_find_songs(text, found):
    test = condition(text)
    assert "".join(song.id for song in SONGS if test(song)) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a field is missing"),
        ("bpm", "an operator is missing"),
        ("bpm<", "a value for bpm is missing"),
        ("bpm<fast", "'fast' is not a number"),
        ("bpm<1e400", "is not a number"),
        ("bpm<nan", "is not a number"),
        ("bpm~6", "belongs to a number"),
        ("bmp<60", "no field 'bmp'"),
        ("caption<b", "caption is text"),
        ("caption jazz", "no operator"),
        ("caption~jazz)", r"'\)' is not expected"),
        ("(caption~jazz", "a bracket is not closed"),
        ("bpm<60 and", "a field is missing"),
        ("bpm<60 bpm>3", "'<' is not|'>' is not expected|is not a number"),
        ("caption~a=b", "'=' is not expected"),
        ("caption~=b", "'=' is no value"),
        ("'bpm'<60", "is no field"),
        ("caption~'open", "is not understood"),
        ("instrumental<true", "is true or false"),
        ("instrumental==maybe", "neither true nor false"),
        ("source==person", "say of which label"),
        ("source.x==person", "say of which label"),
        ("bpm.x<3", "no field"),
        ("__class__==x", "no field"),
        ("(" * 60 + "bpm<3" + ")" * 60, "more than 50 brackets"),
        ("not " * 100 + "bpm<3", "more than 50 brackets"),
        ("bpm<3 or " * 1000 + "bpm<3", "longer than 2000"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(text, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        condition(text)
    assert "fields: caption" in caught.value.hint and len(str(caught.value)) < 2200


@given(st.text(alphabet="bpmcation~<>=!()\"' andor.0123456789\n你", max_size=40))
def test_any_text_is_a_condition_or_is_refused(text):
    try:
        test = condition(text)
    except ConfigError:
        return
    assert all(test(song) in (True, False) for song in SONGS)


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("bpm*=2", "bpm", 110),
        ("bpm /= 2", "bpm", 28),
        ("bpm+=3", "bpm", 58),
        ("bpm-=0.4", "bpm", 55),
        ("bpm=90", "bpm", 90),
        ("bpm=", "bpm", None),
        ("language=KO", "language", "ko"),
        ("language=", "language", "unknown"),
        ("key = Bb Major", "keyscale", "Bb major"),
        ("timesignature=6/8", "timesignature", "6"),
        ("caption+=, lo-fi", "caption", "Warm  Jazz, piano, lo-fi"),
        ('caption+=" live"', "caption", "Warm  Jazz, piano live"),
        ("genre+=jazz", "genre", "jazz"),
        ("caption='a = b'", "caption", "a = b"),
        ("lyrics=line\nline", "lyrics", "line\nline"),
        ("instrumental=yes", "instrumental", True),
    ],
)
def test_assignments_give_values(text, label, value):
    found = assignment(text)
    assert (found.label, found.of(SONGS[0])) == (label, value)


def test_what_is_not_there_cannot_be_multiplied():
    assert assignment("bpm*=2").of(SONGS[2]) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no assignment"),
        ("bpm", "no assignment"),
        ("bpm<60", "no assignment"),
        ("bmp=3", "no label 'bmp'"),
        ("duration=3", "no label 'duration'"),
        ("sources=x", "no label"),
        ("bpm==3", "== compares"),
        ("caption*=2", "is for numbers"),
        ("caption-=jazz", "is for numbers"),
        ("instrumental+=1", "is for numbers"),
        ("bpm*=two", "'two' is not a number"),
        ("bpm*=", "'' is not a number"),
    ],
)
def test_assignments_that_mean_nothing_are_refused(text, problem):
    with pytest.raises(ConfigError, match=problem):
        assignment(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("bpm*=100", "a.wav: 55 would become 5500"),
        ("bpm-=55", "would become 0,"),
        ("bpm/=0", "divided by 0"),
        ("bpm=fast", "a.wav: is not a number"),
        ("instrumental=maybe", "neither true nor false"),
    ],
)
def test_results_that_cannot_be_are_refused_with_the_song(text, problem):
    with pytest.raises(ConfigError, match=problem):
        assignment(text).of(SONGS[0])


def test_what_can_be_set_are_fields_of_a_song():
    assert set(SETTABLE) <= vars(Song("a")).keys()
