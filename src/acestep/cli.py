"""The command line: parse, run the verb, show its events; errors become exit codes.

Exit codes: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted (Ctrl-C, SIGTERM, a STOP file,
or nobody reads the output any more). torch is imported by the verbs, when one runs.
"""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from acestep.config import COMMANDS, Config
from acestep.errors import AceStepError, ConfigError
from acestep.events import Event, Failed, Notice, Stopped
from acestep.flags import HELP, SHOW, Command, asks_for_help, help_text, parse
from acestep.knobs import outside_recommended, unknown
from acestep.terminal import Screen, failure, is_main_process, open_screen

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# Who tells at its import, on every machine, which of its kernels are not for this one
TALKATIVE = ("torchao", "bitsandbytes", "diffusers.quantizers", "torch.utils._pytree")

Verb = Callable[[Any], Generator[Event, None, None]]


def main(argv: list[str] | None = None, *, verbs: Mapping[str, Verb] | None = None) -> int:
    """Run a command line and return its exit code.

    ``verbs`` replaces the real ones, by name. An unexpected exception is left alone: its traceback
    is the report.
    """
    arguments = sys.argv[1:] if argv is None else argv
    # Read when torch is first imported. Threads that spin while they wait cost other processes
    # their cores: with two busy processes on two cores a training step took five times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Clips of many lengths leave no holes in a card's memory that nothing fits into.
    if sys.platform == "linux" and "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
        os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    _never_fail_to_print()
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with _sigterm_interrupts():
            code = _dispatch(arguments, verbs)
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    return code if _is_heard(sys.stdout.flush) else INTERRUPTED


def _dispatch(arguments: list[str], verbs: Mapping[str, Verb] | None) -> int:
    """Show help or the version, or find the command and run it."""
    place = next((i for i, text in enumerate(arguments) if not text.startswith("-")), None)
    name = None if place is None else arguments[place]
    if "--version" in arguments[:place]:
        from importlib.metadata import version  # slow to import, and seldom asked

        return _say(f"acestep {version('acestep-studio')}")
    if asks_for_help(arguments) and (name is None or name in COMMANDS):
        return _say(overview() if name is None else help_text(name))
    try:
        command = _parse(arguments, place)
    except ConfigError as error:
        return _fail(error, json="--json" in arguments)
    return _run(command, verbs)


def _parse(arguments: list[str], place: int | None) -> Command:
    """The command line, of which the command itself stands at ``place``."""
    if place is None:
        wrong = [unknown(flag, [*SHOW, *HELP]) for flag in arguments if flag not in SHOW]
        raise ConfigError(
            [*wrong, f"no command: one of {', '.join(COMMANDS)}"], hint="acestep --help"
        )
    name = arguments[place]
    if name not in COMMANDS:
        raise ConfigError([unknown(name, list(COMMANDS))], hint="acestep --help")
    return parse(name, arguments[:place] + arguments[place + 1 :])


def _run(command: Command, verbs: Mapping[str, Verb] | None) -> int:
    screen = open_screen(sys.stdout, json=command.json, quiet=command.quiet)
    try:
        return _follow(_happening(_verb(command.name, verbs), command.config), screen)
    except AceStepError as error:
        screen.close()
        return _fail(error, json=command.json)
    finally:
        screen.close()


def _happening(verb: Verb, config: Config) -> Generator[Event, None, None]:
    """What is to be said about the config, then what the verb says."""
    for sentence in outside_recommended(config):
        yield Notice(sentence)
    yield from verb(config)


def _follow(happening: Generator[Event, None, None], screen: Screen) -> int:
    """Show what happens. A generator left in the middle is closed, so that it can tidy up."""
    code = DONE
    with closing(happening):
        for event in happening:
            if not _is_heard(partial(screen.show, event)):
                return INTERRUPTED
            if isinstance(event, Stopped):
                code = INTERRUPTED
            elif isinstance(event, Failed):
                code = FAILED
    return code


def _verb(name: str, verbs: Mapping[str, Verb] | None) -> Verb:
    if verbs is not None:
        return verbs[name]
    return getattr(import_module(f"acestep.{name}"), name)


def overview() -> str:
    """What ``acestep --help`` shows: the commands, each with its sentence."""
    lines = ["usage: acestep COMMAND … [flags]", "", "Teach a music model a style of your own."]
    lines += ["", "commands:"]
    for name, config_class in COMMANDS.items():
        lines.append(f"  {name:<12}{(config_class.__doc__ or '').strip().splitlines()[0]}")
    lines += ["", "flags of every command:"]
    lines += [f"  {flag:<12}{text}" for flag, text in SHOW.items()]
    lines += [f"  {', '.join(HELP):<12}Show help; after a command, its flags with their ranges."]
    lines += [f"  {'--version':<12}Show the version."]
    return "\n".join(lines)


def _fail(error: AceStepError, *, json: bool) -> int:
    """Report an error: for a person on stderr, with ``--json`` as an event; return its code."""
    if json:
        event = Failed(type(error).__name__, str(error), error.hint)
        screen = open_screen(sys.stdout, json=True, quiet=False)
        _is_heard(partial(screen.show, event))
    else:
        _tell(failure(str(error), error.hint), everyone=not isinstance(error, ConfigError))
    return USAGE if isinstance(error, ConfigError) else FAILED


def _say(text: str) -> int:
    """Print to stdout; return the exit code."""
    if is_main_process() and not _is_heard(partial(print, text)):
        return INTERRUPTED
    return DONE


def _tell(text: str, *, everyone: bool = False) -> None:
    """Print to stderr. A process that is not the main one names itself, if it speaks at all."""
    if is_main_process():
        print(text, file=sys.stderr)
    elif everyone:
        print(f"process {os.environ.get('RANK', '?')}: {text}", file=sys.stderr)


def _never_fail_to_print() -> None:
    """Titles and names in any script go to any terminal, escaped where it lacks them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_heard(speak: Callable[[], object]) -> bool:
    """Write to stdout, and say whether somebody reads it.

    If nobody does, what is still buffered goes nowhere, instead of failing again at the end.
    """
    try:
        speak()
        return True
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Within this, SIGTERM ends the work as Ctrl-C does: temporary files go, old ones stay."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
