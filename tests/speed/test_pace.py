"""What a run says about how it goes through the model."""

from acestep.speed.pace import Choice, Pace


def test_a_line_a_switch_and_a_warning_for_what_only_costs_speed():
    pace = Pace(
        Choice("flex", "an old card", slower=True), Choice("none", "it fits"), Choice(0, "a CPU")
    )
    lines = {notice.message: notice.level for notice in pace.notices()}
    assert lines == {
        "attention: flex (an old card)": "warning",
        "checkpointing: none (it fits)": "info",
        "patches at once: 0 (a CPU)": "info",
    }
    assert pace.values() == {"attention": "flex", "checkpointing": "none", "patches_at_once": 0}
    assert pace.record()["attention"] == {"value": "flex", "why": "an old card", "slower": True}
