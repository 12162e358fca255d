"""``python -m acestep.mini.train --stage NAME --minutes N --resume DIR``: train one stage."""

import argparse
import sys
import time
from collections.abc import Iterator
from importlib import import_module

from acestep.config import Config
from acestep.errors import AceStepError
from acestep.events import Event, Failed
from acestep.knobs import build, knobs
from acestep.terminal import open_screen

# Stage: the module and its config class; the module's `train(config, begun)` yields events
STAGES = {
    "vae": ("acestep.mini.train.vae", "VaeConfig"),
    "decoder": ("acestep.mini.train.vae", "DecoderConfig"),
    "text": ("acestep.mini.train.text", "TextConfig"),
    "latents": ("acestep.mini.train.latents", "LatentsConfig"),
    "codes": ("acestep.mini.train.codes", "CodesConfig"),
    "dit": ("acestep.mini.train.dit", "DitConfig"),
    "assemble": ("acestep.mini.train.assemble", "AssembleConfig"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one stage; the exit code is 0 if it did not fail."""
    begun = time.monotonic()
    choice = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    choice.add_argument("--stage", choices=STAGES, required=True)
    chosen, rest = choice.parse_known_args(arguments)
    module, name = STAGES[chosen.stage]
    kind: type[Config] = vars(import_module(module))[name]
    parser = argparse.ArgumentParser(parents=[choice], description=kind.__doc__)
    parser.add_argument("--json", action="store_true", help="One event a line, as JSON.")
    for knob in knobs(kind):
        action = argparse.BooleanOptionalAction if knob.kind == "switch" else "store"
        parser.add_argument(*knob.flags, dest=knob.name, action=action, help=knob.help)
    given = vars(parser.parse_args(rest + ["--stage", chosen.stage]))
    values = {key: value for key, value in given.items() if value is not None}
    screen = open_screen(sys.stdout, json=values.pop("json"), quiet=False)
    values.pop("stage")
    failed = False
    try:
        events: Iterator[Event] = import_module(module).train(build(kind, values), begun)
        for event in events:
            screen.show(event)
    except AceStepError as error:
        failed = True
        screen.show(Failed(type(error).__name__, str(error), error.hint))
    finally:
        screen.close()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
