"""What was typed is on disk before it is saved."""

from acestep.web.drafts import Drafts
from acestep.web.workspace import Workspace


def test_a_draft_outlives_everything_but_being_saved(tmp_path):
    workspace = Workspace.open([tmp_path])
    file = tmp_path / "d.json"
    drafts = Drafts(workspace, file)
    assert drafts.of("a") == {} and not drafts.file.exists()
    drafts.keep("a", {"caption": "half a wo", "lyrics": "라라\n"})
    drafts.keep("b", {"bpm": "9"})
    again = Drafts(Workspace.open([tmp_path]), file)
    assert again.of("a") == {"caption": "half a wo", "lyrics": "라라\n"}
    assert again.all().keys() == {"a", "b"}
    again.forget("a")
    assert drafts.all() == {"b": {"bpm": "9"}}
    assert Drafts(workspace, tmp_path / "other.json").all() == {}


def test_a_damaged_file_of_drafts_is_no_draft_and_can_be_written_again(tmp_path):
    drafts = Drafts(Workspace.open([tmp_path]), tmp_path / "d.json")
    drafts.file.parent.mkdir(parents=True)
    for text in ("", "[]", '{"songs": 3}', '{"songs": {"a": 1}}', "\x00"):
        drafts.file.write_text(text)
        assert drafts.all() == {}
    drafts.keep("a", {"bpm": "90"})
    assert drafts.of("a") == {"bpm": "90"}
