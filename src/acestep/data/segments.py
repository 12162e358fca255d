"""Which parts of a song become samples, and which of its lyrics belong to a part."""

import re

SECTION = re.compile(r"\s*\[.*\]\s*")
INSTRUMENTAL = "[Instrumental]"


def cut_song(
    seconds: float, max_seconds: float, segment_seconds: float | None
) -> list[tuple[float, float]]:
    """(start, length) of each sample, in seconds, within the first ``max_seconds`` of a song.

    Without ``segment_seconds`` that is one sample. With it, a rest shorter than half a segment is
    dropped unless it is all there is.
    """
    used = min(seconds, max_seconds)
    if segment_seconds is None or segment_seconds >= used:
        return [(0.0, used)]
    count = int(used // segment_seconds)
    parts = [(index * segment_seconds, segment_seconds) for index in range(count)]
    rest = used - count * segment_seconds
    if rest >= segment_seconds / 2:
        parts.append((count * segment_seconds, rest))
    return parts


def segment_lyrics(lyrics: str, start: float, length: float, seconds: float) -> str:
    """The lines of a song's lyrics that fall into a segment, under their section mark.

    Lyrics carry no times, so lines are taken to be spread evenly over the song. That is an
    estimate, but a better one than telling the model that five seconds hold the whole text. A
    segment without any line is instrumental.
    """
    lines = [line for line in lyrics.splitlines() if line.strip()]
    sung = [line for line in lines if not SECTION.fullmatch(line)]
    if not sung or length >= seconds:
        return lyrics
    kept: list[str] = []
    section, shown, place = "", "", 0
    for line in lines:
        if SECTION.fullmatch(line):
            section = line
            continue
        middle = (place + 0.5) / len(sung) * seconds
        place += 1
        if start <= middle < start + length:
            if section and section != shown:
                kept.append(section)
                shown = section
            kept.append(line)
    return "\n".join(kept) if kept else INSTRUMENTAL
