"""What a run says about how it goes through the model."""

from acestep.speed.pace import Choice, Pace


def test_a_line_a_switch_and_a_warning_for_what_only_costs_speed():
    pace = Pace(
        Choice("float32", "a narrow model"),
        Choice("int8", "as asked for"),
        Choice("flex", "an old card", slower=True),
        Choice("none", "it fits"),
        Choice(0, "a CPU"),
        Choice(True, "a long run"),
        Choice(False, "not asked for"),
    )
    lines = {notice.message: notice.level for notice in pace.notices()}
    assert lines == {
        "precision: float32 (a narrow model)": "info",
        "base precision: int8 (as asked for)": "info",
        "attention: flex (an old card)": "warning",
        "checkpointing: none (it fits)": "info",
        "patches at once: 0 (a CPU)": "info",
        "compiled: on (a long run)": "info",
        "graphs: off (not asked for)": "info",
    }
    assert list(pace.values().values()) == ["float32", "int8", "flex", "none", 0, True, False]
    assert pace.record()["attention"] == {"value": "flex", "why": "an old card", "slower": True}
