"""A waveform over which a window is chosen by dragging."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from acestep.data.audio import RATE, read_audio

BARS = 240
_TEMPLATE = """
<svg class="wave" viewBox="0 0 ${value.peaks ? value.peaks.length : 1} 100" tabindex="0"
     preserveAspectRatio="none" role="img" aria-label="waveform">
  ${(value.peaks || []).map((p, i) =>
    `<rect x="${i + .15}" width=".7" y="${50 - p * 48}" height="${p * 96 + 1}"/>`).join("")}
  <rect class="window" y="0" height="100" x="${(value.start || 0) * (value.peaks || []).length}"
        width="${Math.max(0, (value.end || 0) - (value.start || 0)) * (value.peaks || []).length}"/>
</svg>
"""
_CSS = """
.wave { width: 100%; height: 90px; touch-action: none; cursor: crosshair; display: block;
  background: var(--background-fill-secondary); border-radius: .4rem; }
.wave rect { fill: var(--color-accent); }
.wave rect.window { fill: #f59e0b; opacity: .35; }
"""
# The window is drawn while the pointer moves; the server hears of it when it is let go
_SCRIPT = """
let from = null;
const share = (event) => {
  const box = element.querySelector('.wave').getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
};
const draw = (a, b) => {
  const wave = element.querySelector('.wave'), many = wave.viewBox.baseVal.width;
  const rect = element.querySelector('.window');
  rect.setAttribute('x', Math.min(a, b) * many);
  rect.setAttribute('width', Math.abs(b - a) * many);
};
element.addEventListener('pointerdown', (event) => {
  if (!event.target.closest('.wave')) return;
  from = share(event); event.preventDefault();
});
window.addEventListener('pointermove', (event) => { if (from !== null) draw(from, share(event)); });
window.addEventListener('pointerup', (event) => {
  if (from === null) return;
  const a = from, b = share(event); from = null;
  if (Math.abs(b - a) > .005) trigger('select', { start: Math.min(a, b), end: Math.max(a, b) });
});
"""


def waveform(elem_id: str) -> gr.HTML:
    """The component; ``select`` fires with ``start`` and ``end`` as shares of the length."""
    return gr.HTML(
        empty(), html_template=_TEMPLATE, css_template=_CSS, js_on_load=_SCRIPT, elem_id=elem_id,
        visible=False,
    )  # fmt: skip


def empty() -> dict[str, Any]:
    """No sound."""
    return {"peaks": [], "seconds": 0.0, "start": 0.0, "end": 0.0}


def outline(path: Path, start: float = 0.0, end: float | None = None) -> dict[str, Any]:
    """What a waveform shows of a file: peaks from 0 to 1, its seconds, and a window as shares.

    Raises ``AudioError`` if the file cannot be read.
    """
    audio = np.abs(read_audio(path)).max(0)
    edges = np.linspace(0, len(audio), BARS + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(audio, edges) if len(audio) else np.zeros(BARS)
    seconds = len(audio) / RATE
    loudest = float(peaks.max()) or 1.0
    whole = seconds or 1.0
    return {
        "peaks": [round(float(peak) / loudest, 3) for peak in peaks],
        "seconds": seconds,
        "start": min(max(start, 0.0) / whole, 1.0),
        "end": min((end if end is not None else seconds) / whole, 1.0),
    }
