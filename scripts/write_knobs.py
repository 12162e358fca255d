#!/usr/bin/env python3
"""Write what follows from the configs: docs/knobs.md, and tests/golden/knobs.json.

Run it when a knob was added or changed on purpose, and look at the difference.
"""

import json
from pathlib import Path

from acestep.config import COMMANDS
from acestep.knobs import knob_records, knobs_page

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    records = {name: knob_records(config_class) for name, config_class in COMMANDS.items()}
    text = json.dumps(records, indent=1, ensure_ascii=False)
    (ROOT / "tests/golden/knobs.json").write_text(text + "\n", encoding="utf-8")
    (ROOT / "docs/knobs.md").write_text(knobs_page(COMMANDS), encoding="utf-8")


if __name__ == "__main__":
    main()
