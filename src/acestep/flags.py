"""A config class as command-line flags, and everything that is wrong with a command line at once.

pydantic-settings turns the fields into an :mod:`argparse` parser. Its own reading of the values is
left out: it splits them at commas, takes "None" for nothing, and stops at the first mistake. The
strings go to the config class as they were typed, and its limits judge them together.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acestep.config import COMMANDS, Config
from acestep.errors import ConfigError
from acestep.knobs import Kind, Knob, build, knobs, nearest, unknown

HELP = ("-h", "--help")
SHOW = {
    "--json": "Print one event a line, as JSON.",
    "--quiet": "Print only warnings, what was left out, and the result.",
}
_METAVARS: dict[Kind, str] = {"integer": "N", "number": "X", "text": "TEXT", "path": "PATH"}
_NUMBER = re.compile(r"-\d*\.?\d+")
_NO_VALUE = "\0"  # cannot come from a command line


@dataclass(frozen=True)
class Command:
    """A command line that was understood: what to run, and how to show it."""

    name: str
    config: Config
    json: bool
    quiet: bool


def parse(name: str, arguments: list[str]) -> Command:
    """Read one command's arguments.

    Raises ``ConfigError`` that lists every mistake: unknown flags, missing arguments and values,
    values out of range, knobs that disagree.
    """
    config_class = COMMANDS[name]
    tokens, positions, wrong = _sort_out(arguments, config_class)
    namespace, extras = _make_parser(name, reading=True).parse_known_args(tokens)
    given = vars(namespace)
    json, quiet = given.pop("json"), given.pop("quiet")
    values: dict[str, Any] = {}
    for knob in knobs(config_class):
        value = given.get(knob.name)
        if value == _NO_VALUE and knob.bare is not None:
            values[knob.name] = knob.bare
        elif value == _NO_VALUE or (isinstance(value, list) and _NO_VALUE in value):
            wrong.append(f"{knob.label}: needs a value: {knob.allowed()}")
        elif value is not None:
            values[knob.name] = value
    positions = extras + positions
    places = [knob for knob in knobs(config_class) if not knob.flags]
    values |= {knob.name: text for knob, text in zip(places, positions, strict=False)}
    wrong += [f"{text}: unexpected" for text in positions[len(places) :]]
    try:
        config = build(config_class, values)
    except ConfigError as error:
        wrong += error.problems
    if wrong:
        raise ConfigError(wrong, hint=f"acestep {name} --help lists every flag")
    return Command(name, config, json, quiet)


def help_text(name: str) -> str:
    """What ``acestep NAME --help`` shows."""
    return _make_parser(name, reading=False).format_help()


def asks_for_help(arguments: list[str]) -> bool:
    """Whether ``--help`` is among the flags."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return any(flag in arguments[:end] for flag in HELP)


def _make_parser(name: str, *, reading: bool) -> argparse.ArgumentParser:
    """A command's parser: for its help, or for ``reading`` flags (positions are what is left)."""
    from pydantic_settings import BaseSettings, CliSettingsSource  # a third of the start-up time

    config_class = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"acestep {name}",
        usage=f"acestep {name}{''.join(map(_place, knobs(config_class)))} [flags]",
        description=config_class.__doc__,
        formatter_class=_Help,
        add_help=False,
        allow_abbrev=False,
    )
    CliSettingsSource(
        type(config_class.__name__, (BaseSettings, config_class), {}),
        root_parser=parser,
        add_argument_method=_adder(config_class, reading=reading),
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        formatter_class=_Help,
    )
    group = parser.add_argument_group("how it is shown")
    for flag, text in SHOW.items():
        group.add_argument(flag, action="store_true", help=text)
    group.add_argument(*HELP, action="store_true", help="Show this.")
    return parser


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """``--output, -o PATH``: what it takes is said once, not after each spelling."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        takes = self._format_args(action, str(action.metavar))
        return f"{', '.join(action.option_strings)} {takes}"


def _adder(config_class: type[Config], *, reading: bool) -> Callable[..., Any]:
    """How the library adds an argument: with our help, and so that argparse refuses no value.

    What is given by its place is only in the parser for help; reading, it is what is left over.
    """
    named = {knob.name: knob for knob in knobs(config_class)}

    def add(parser: argparse.ArgumentParser, *names: str, **settings: Any) -> Any:
        knob = named[settings["dest"]]
        settings["help"] = _sentence(knob).replace("%", "%%")
        if not knob.flags:
            return None if reading else parser.add_argument(knob.label, help=settings["help"])
        if knob.kind != "switch":
            settings["metavar"] = _metavar(knob)
            if knob.count not in (1, None):
                settings |= {"action": "store", "nargs": "*" if reading else knob.count}
            elif reading or knob.bare is not None:
                settings |= {"nargs": "?", "const": _NO_VALUE}
        return parser.add_argument(*names, **settings)

    return add


def _sort_out(
    arguments: list[str], config_class: type[Config]
) -> tuple[list[str], list[str], list[str]]:
    """Arguments without those that argparse would stop at, what follows ``--``, and the mistakes.

    Underscores in a flag are taken for dashes.
    """
    switches = {*SHOW, *HELP}
    known = set(switches)
    for knob in knobs(config_class):
        known.update(knob.flags)
        if knob.kind == "switch":
            switches.update(knob.flags, (f"--no-{flag[2:]}" for flag in knob.flags))
    known |= switches
    tokens: list[str] = []
    wrong: list[str] = []
    waiting = list(arguments)
    while waiting:
        token = waiting.pop(0)
        if token == "--":
            break
        flag, equals, value = token.partition("=")
        if not _is_flag(token):
            tokens.append(token)
            continue
        flag = flag.replace("_", "-")
        if flag in switches and equals:
            wrong.append(f"{token}: takes no value")
        elif flag in known:
            tokens.append(flag + equals + value)
        elif token[:2] in known - switches:
            tokens.append(token)
        else:
            meant = nearest(flag, sorted(known))
            if meant not in (None, *switches) and not equals and waiting:
                value = "" if _is_flag(waiting[0]) else waiting.pop(0)  # of the flag that was meant
            wrong.append(unknown(flag, sorted(known), value))
    return tokens, waiting, wrong


def _is_flag(token: str) -> bool:
    """As argparse sees it: a dash and no number, and no sentence that begins with a dash."""
    return token[:1] == "-" and token != "-" and " " not in token and not _NUMBER.fullmatch(token)


def _sentence(knob: Knob) -> str:
    default, guide = knob.default_text(), knob.range_text()
    notes = [f"default {default}"] if default else []
    notes += [f"recommended {guide}"] if guide else []
    notes += ["may be repeated"] if knob.count is None else []
    return knob.help + (f" [{'; '.join(notes)}]" if notes else "")


def _metavar(knob: Knob) -> str:
    return "{" + ",".join(knob.choices) + "}" if knob.choices else _METAVARS[knob.kind]


def _place(knob: Knob) -> str:
    if knob.flags:
        return ""
    return f" {knob.label}" if knob.required else f" [{knob.label}]"
