"""Text files that users wrote: any of the encodings an editor may have saved them in."""

import codecs
from pathlib import Path

from acestep.data.files import shown
from acestep.errors import LabelError

MAX_BYTES = 2_000_000  # far more than any lyrics; what is larger is something else


def read_text(path: Path, limit: int | None = MAX_BYTES) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Line ends become ``\\n``. Raises ``LabelError`` for anything else; other encodings are not
    guessed, since a wrong guess would go unnoticed into a prompt.
    """
    hint = "save it as UTF-8 text"
    try:
        with path.open("rb") as file:
            data = file.read() if limit is None else file.read(limit + 1)
    except OSError as error:
        raise LabelError(
            f"{shown(path)} cannot be read: {error.strerror}", hint="check the path"
        ) from error
    if limit is not None and len(data) > limit:
        raise LabelError(f"{shown(path)} is larger than {limit} bytes", hint=hint)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{shown(path)} is not UTF-8 text (byte {error.start})", hint=hint
        ) from error
    if "\0" in text:
        raise LabelError(f"{shown(path)} is not text: it holds zero bytes", hint=hint)
    return text.replace("\r\n", "\n").replace("\r", "\n")
