"""What a card repeats of a report, whatever the report holds."""

from acestep.adapters.adapter import Adapter
from acestep.adapters.card import check_card, page
from acestep.adapters.measured import measured

REPORT = {
    "about": {"clips": 16},
    "verdict": {
        "headline": "It learned your style.",
        "questions": [{"question": "Copies?", "answer": "no", "sentence": "Nothing | found."}],
    },
    "prompts": [
        {"kind": "training", "caption": "zz, a secret song"},
        {"kind": "new", "caption": "zz, late at night"},
    ],
    "checkpoints": [{"name": "epoch_10"}, {"name": "epoch_20"}],
    "choice": {"checkpoint": "epoch_10", "strength": 0.8},
    "controls": {"rows": [{"name": "floor", "expected": "0", "found": "0.1", "fine": True}]},
}


def card_page(card: dict) -> str:
    return page(Adapter(weights={}, alphas={}, card=card))


def test_a_card_shows_what_was_measured_with_its_controls():
    found = measured(REPORT, "epoch_10")
    text = card_page({"measured": found, "dataset": {"tag": "zz", "songs": 8, "seconds": 95.4}})
    assert "Recommended strength: 0.8." in text
    assert "zz, late at night" in text and "secret" not in text
    assert "- Copies? **no**. Nothing \\| found." in text
    assert "| floor | 0 | 0.1 |" in text and "on 16 clips" in text
    assert "| Minutes | 1.6 |" in text
    assert "Licence: not stated." in text


def test_another_checkpoint_has_no_recommended_strength():
    assert measured(REPORT, "epoch_20")["strength"] is None
    assert measured(REPORT, "epoch_30") == {}
    assert "What it learned" not in card_page({"measured": {}})


def test_a_report_that_is_damaged_gives_an_empty_card_not_an_error():
    broken = {"checkpoints": [None, 3, {"name": "a"}], "controls": {"rows": "x"}, "verdict": []}
    found = measured(broken, "a")
    assert found["answers"] == found["controls"] == [] and found["headline"] == ""
    assert card_page({"measured": found})


def test_a_card_of_an_unknown_hand_keeps_only_what_has_the_form():
    whole = {"measured": measured(REPORT, "epoch_10"), "license": "mit"}
    assert check_card(whole) == whole
    for wrong in ([1], {"answers": "x"}, {"controls": [{"name": "floor"}]}, {"answers": [3]}):
        assert check_card({"measured": wrong}) == {}
    assert check_card({"license": {"a": 1}, "consent": 3}) == {}


def test_the_front_matter_is_what_the_hub_reads():
    text = card_page({"license": "My Own: words\n---", "base_model": "ACE-Step/Ace-Step1.5"})
    front = text.split("---\n")[1]
    assert 'license: other\nlicense_name: "My Own: words ---"\n' in front
    assert "base_model: ACE-Step/Ace-Step1.5\n" in front
    assert "pipeline_tag: text-to-audio\n" in front
