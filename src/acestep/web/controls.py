"""A knob as a control of the page, and a page's values as a command line.

A control's default, range and help are the knob's: nothing is declared a second time. Values go to
the config class as text, so its limits judge them as they judge the command line.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from acestep.config import COMMANDS
from acestep.flags import parse
from acestep.knobs import Knob, knobs, number
from acestep.web.words import t

DECADES = 50  # a wider range is for a field: a slider would have its small values at one end


def knob_of(verb: str, name: str) -> Knob:
    """A verb's knob by name. Raises ``KeyError`` if it has none such."""
    return {knob.name: knob for knob in knobs(COMMANDS[verb])}[name]


def control(verb: str, name: str, **options: Any) -> Any:
    """The component for a knob; ``options`` are Gradio's own (``scale``, ``visible``, ``value`` …).

    A switch is a checkbox, a choice a dropdown, a number with a recommended range a slider over
    that range, the rest are fields. With ``choices`` a text is a dropdown that also takes what is
    typed. An empty field is the default.
    """
    import gradio as gr

    knob = knob_of(verb, name)
    shared: dict[str, Any] = {
        "label": t(f"knob.{verb}.{name}"),
        "info": t(f"help.{verb}.{name}"),
        "elem_id": f"{verb}-{name}".replace("_", "-"),
        **options,
    }
    match knob.kind:
        case "switch":
            return gr.Checkbox(**{"value": bool(knob.default), **shared})
        case "choice":
            choices = [*([""] if knob.default is None else []), *knob.choices]
            default = knob.default or choices[0]
            return gr.Dropdown(**{"choices": choices, "value": default, **shared})
        case "integer" | "number" if is_slider(knob):
            low, high = knob.recommended or (0, 1)
            step = 1 if knob.kind == "integer" else (high - low) / 100
            slider = gr.Slider(
                **{"minimum": low, "maximum": high, "step": step, "value": knob.default, **shared}
            )
            # Gradio refuses what lies beyond the ends; the config does, where it makes no sense
            vars(slider)["preprocess"] = _as_typed
            return slider
        case "integer" | "number" if knob.count == 1 and _is_number(shared, knob):
            precision = 0 if knob.kind == "integer" else None
            return gr.Number(**{"value": knob.default, "precision": precision, **shared})
    if "choices" in options:
        return gr.Dropdown(**{"value": "", "allow_custom_value": True, **shared})
    # Also numbers that are nothing by default, which Gradio's number field would show as 0
    return gr.Textbox(**{"value": knob.default_text(), **shared})


def _as_typed(value: float | None) -> float | int | None:
    return int(value) if value is not None and float(value).is_integer() else value


def _is_number(options: Mapping[str, Any], knob: Knob) -> bool:
    return isinstance(options.get("value", knob.default), int | float)


def is_slider(knob: Knob) -> bool:
    """Whether a knob has a range and a default in it that a slider can show.

    A rate of learning spans decades, for which a field is better.
    """
    if knob.recommended is None or knob.times or knob.default is None or knob.count != 1:
        return False
    low, high = knob.recommended
    return low <= knob.default <= high and (low <= 0 or high / low < DECADES)


def command(verb: str, values: Mapping[str, Any]) -> list[str]:
    """A verb and values by knob as the words of a command line; what is the default is left out.

    Raises ``ConfigError`` that lists everything that is wrong, as the command line would.
    """
    words: list[str] = []
    places: list[str] = []
    for knob in knobs(COMMANDS[verb]):
        value = values.get(knob.name)
        if not knob.flags:
            places += [text for text in [_text(value)] if text]
        elif knob.kind == "switch":
            if value is not None and bool(value) != bool(knob.default):
                words.append(knob.flags[0] if value else f"--no-{knob.flags[0][2:]}")
        else:
            words += _flag_words(knob, value)
    if any(text.startswith("-") for text in places):
        words += ["--", *places]
    else:
        words = places + words  # first: a flag of several values would take them for its own
    parse(verb, words)
    return [verb, *words]


def _flag_words(knob: Knob, value: Any) -> list[str]:
    if knob.count != 1 and not isinstance(value, str | None):
        given = [text for text in map(_text, value) if text]
    elif knob.count is None:
        given = [line.strip() for line in (value or "").splitlines() if line.strip()]
    elif knob.count > 1:
        given = _text(value).split()
    else:
        given = [text for text in [_text(value)] if text and text != _text(knob.default)]
    if not given or given == [_text(each) for each in _as_list(knob.default)]:
        return []
    flag = knob.flags[0]
    if knob.count is None:
        return [word for text in given for word in (flag, text)]
    if knob.count > 1:
        return [flag, *given]
    return [f"{flag}={given[0]}"] if given[0].startswith("-") else [flag, given[0]]


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    """A value as it would be typed; nothing for nothing."""
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case float() if value == int(value) and abs(value) < 1e15:
            return str(int(value))
        case float():
            return number(value)
    return str(value)
