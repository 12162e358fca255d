"""What every page that we write begins with: a style of its own, nothing from elsewhere."""

from collections.abc import Iterator, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --text: #1c1d22; --quiet: #565a66; --ground: #f7f6f3;
  --card: #fff; --line: #dddad2; --accent: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --text: #e9e7e2; --quiet: #a9abb3;
  --ground: #16171b; --card: #1f2127; --line: #35373f; --accent: #fdba74; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
header { padding-top: 3rem; padding-bottom: 0; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { max-width: 46rem; margin: 0 0 1rem; }
header p { font-size: 1.15rem; }
figcaption, .quiet { color: var(--quiet); font-size: .92rem; }
.shelf { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
article, .wide { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; }
article { display: flex; flex-direction: column; }
article p { flex: 1; font-size: .92rem; color: var(--quiet); margin-bottom: .6rem; }
audio { width: 100%; display: block; min-height: 3.4rem; }
img { width: 100%; height: auto; display: block; margin-top: .75rem; border-radius: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide img { max-width: 46rem; margin-top: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
tr > :first-child { text-align: left; padding-left: 0; }
tr.strong { color: var(--accent); font-weight: 600; }
caption { text-align: left; padding-bottom: .5rem; color: var(--quiet); }
pre { margin: 0; font: .85rem/1.6 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
"""


def head(title: str) -> Iterator[str]:
    """The lines from the first to the opening of the body."""
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"


def paragraphs(texts: Sequence[str], kind: str = "") -> Iterator[str]:
    """Texts as they are, whatever they hold; ``kind`` is a class of :data:`STYLE`."""
    for text in texts:
        yield f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"
