#!/usr/bin/env python3
"""Write the presets of usual cards into docs/speed.md, as the memory model gives them.

Run it when the model was changed on purpose, and look at the difference.
"""

import re
from pathlib import Path

from acestep.training.presets import presets_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
TABLE = re.compile(r"^\| card \| model \|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)


def main() -> None:
    text, count = TABLE.subn(lambda _: presets_table(), PAGE.read_text(encoding="utf-8"))
    assert count == 1, f"{PAGE} has {count} tables of presets"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
