"""Players of a page: each clip is in it once, however often it is shown."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path

from acestep.errors import AudioError
from acestep.judging.media import Media, media

STYLE = """
.player { display: grid; grid-template-columns: auto 1fr; gap: .3rem .6rem; align-items: center;
  min-width: 0; }
.player button { width: 2.75rem; height: 2.75rem; padding: 0; border-radius: 50%; display: none;
  place-items: center; flex: none; }
.scripted .player button { display: grid; } .scripted .player audio { display: none; }
.player audio { grid-column: 1 / -1; }
.player button::before { content: ""; border-style: solid; border-color: transparent;
  border-left-color: currentColor; border-width: .5rem 0 .5rem .8rem; margin-left: .2rem; }
.player.playing button { background: var(--accent); border-color: var(--accent);
  color: var(--on-accent); }
.player.playing button::before { width: .8rem; height: .9rem; margin: 0;
  border-color: currentColor; border-width: 0 .25rem; }
.player .picture { position: relative; min-width: 0; cursor: pointer; overflow: hidden;
  border-radius: .35rem; background: #16171b; }
.player .picture img { height: 3.4rem; margin: 0; border-radius: 0; image-rendering: auto; }
.player .here { position: absolute; top: 0; bottom: 0; width: 2px; background: #fff;
  box-shadow: 0 0 0 1px rgb(0 0 0 / .5); display: none; }
.scripted .player.moved .here { display: block; }
.player .clock { position: absolute; right: .3rem; bottom: .2rem; color: #fff; font-size: .75rem;
  background: rgb(0 0 0 / .6); border-radius: .2rem; padding: 0 .3rem; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
"""


@dataclass
class Players:
    """Makes the players of one page. ``folder`` holds the clips, ``kbit`` is their bit rate.

    ``missing`` collects the files that could not be read: a page with a gap is better than none.
    """

    folder: Path
    kbit: float
    missing: list[str] = field(default_factory=list)
    _known: dict[tuple[str, float, float | None], tuple[str, Media | None]] = field(
        default_factory=dict
    )

    def player(
        self,
        file: str,
        name: str,
        *,
        row: str = "",
        start: float = 0.0,
        seconds: float | None = None,
    ) -> Iterator[str]:
        """A player of a file, or of a part of it, called ``name`` for those who do not see it.

        Players of one ``row`` keep the place when one is started while another plays.
        """
        first = (file, start, seconds) not in self._known
        key, sound = self._load(file, start, seconds)
        if sound is None:
            yield '<p class="quiet">The clip cannot be read.</p>'
            return
        label = escape(name)
        yield (
            f'<div class="player" data-clip="{key}" data-row="{escape(row)}" '
            f'data-seconds="{sound.seconds:.2f}">\n<button type="button" aria-pressed="false" '
            f'aria-label="Play {label}" aria-keyshortcuts="ArrowLeft ArrowRight"></button>'
        )
        yield f'<div class="picture"><img src="{sound.picture}" alt="Spectrogram of {label}">'
        yield '<span class="here"></span><span class="clock" aria-hidden="true"></span></div>'
        if first:
            yield (
                f'<audio id="{key}" controls preload="metadata" aria-label="{label}" '
                f'src="{sound.audio}"></audio>'
            )
        yield "</div>"

    def _load(self, file: str, start: float, seconds: float | None) -> tuple[str, Media | None]:
        place = (file, start, seconds)
        if place not in self._known:
            sound = None
            try:
                sound = media(self.folder / file, self.kbit, start=start, seconds=seconds)
            except AudioError as error:
                self.missing.append(str(error))
            self._known[place] = (f"clip{len(self._known) + 1}", sound)
        return self._known[place]


def asset(name: str) -> str:
    """A script that goes into a page, as it is."""
    return (files("acestep.judging") / "assets" / name).read_text(encoding="utf-8")
