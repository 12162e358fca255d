"""The studio as it is served: pages, languages, widths, keyboard, files, jobs that outlive it."""

import re
import sys
import time
from pathlib import Path

import httpx
import pytest
from studio_server import PATIENCE, open_tab, running_studio, start_studio, visited
from training_data import tiny_tensors

from acestep.web.app import PAGES
from acestep.web.pages.train import outlook_html, recommended
from acestep.web.words import table
from acestep.web.workspace import Workspace

TABS = [(tab,) if isinstance(page, str) else (tab, inner)
        for tab, page in PAGES
        for inner, _ in (page if not isinstance(page, str) else ((tab, ""),))]  # fmt: skip
KEY = re.compile(r"__i18n__|\b(" + "|".join(map(re.escape, table())) + r")\b")
DOCS = Path(__file__).parents[2] / "docs" / "studio.md"
# Texts that a page shows, with what they stand on: [text, contrast]
CONTRASTS = """() => {
  const lum = ([r, g, b]) => [r, g, b].map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number);
    return [...n.slice(0, 3), n.length > 3 ? n[3] : 1]; };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 0.9) return c; }
    return [255, 255, 255, 1]; };
  const found = [];
  for (const e of document.querySelectorAll('#pages *, .hero *')) {
    const own = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim()).length;
    if (!own || !e.offsetParent || e.closest('[disabled], .hide, [aria-disabled=true]')) continue;
    const a = lum(rgba(getComputedStyle(e).color)), b = lum(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([e.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return found;
}"""


def settled(page, look, wanted):
    """What is seen once it is what it should be; or after a minute, in which a page is drawn."""
    deadline = time.monotonic() + 60
    while (seen := look()) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    return seen


@pytest.mark.parametrize(
    ("width", "locale", "scheme"),
    [(1280, "en-US", "light"), (390, "ko-KR", "dark"), (1280, "ko", "dark"), (390, "en", "light")],
)
def test_every_page_opens_in_both_languages_and_widths(chromium, studio, width, locale, scheme):
    name = f"every-{locale}-{scheme}"
    with visited(chromium, studio, name, width=width, locale=locale, scheme=scheme) as page:
        body, shown = page.locator("body"), page.locator("#pages")
        korean = locale.startswith("ko")
        wider = f"Math.max(document.documentElement.scrollWidth - {width}, 0)"
        for tabs in TABS:
            open_tab(page, *tabs)
            page.wait_for_timeout(300)
            assert settled(page, lambda: KEY.findall(body.inner_text()), []) == [], tabs
            found = settled(page, lambda: bool(re.search("[가-힣]", shown.inner_text())), korean)
            assert found == korean, tabs
            too_wide = settled(page, lambda: page.evaluate(wider), 0)
            assert too_wide == 0, f"{tabs} is {too_wide} wider than {width}"
            assert settled(page, lambda: page.evaluate(CONTRASTS), []) == [], tabs


def test_the_tabs_stand_in_the_order_of_work(page):
    tabs = page.locator("#pages > .tab-wrapper button[role=tab]:visible")
    wanted = [table()[f"tab.{tab}"][0] for tab, _ in PAGES]
    assert settled(page, tabs.all_inner_texts, wanted) == wanted


def test_the_keyboard_reaches_every_button_and_field_of_a_page(page):
    open_tab(page, "jobs")
    wanted = "#tab-jobs button:visible:not([disabled]), #tab-jobs textarea:visible"
    found = page.locator(wanted)

    def there() -> set[str]:
        return {name for name in found.evaluate_all("l => l.map(e => e.id)") if name}

    assert settled(page, lambda: len(there()) >= 6, True)
    reached: set[str] = set()
    for _ in range(400):  # the table is drawn anew now and then, and the focus in it begins again
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        if there() <= reached:
            break
    assert there() - reached == set()


def test_files_are_served_from_the_roots_and_nowhere_else(studio, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    root = studio.root
    (root / "song <b>.txt").write_text("mine")
    (root / "page.html").write_text("<script>1</script>")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    (root / ".acestep" / "jobs" / "x.json").write_text("{}")
    with httpx.Client(base_url=studio.url, timeout=PATIENCE) as client:

        def ask(path: object, **headers: str) -> httpx.Response:
            return client.get(f"/gradio_api/file={path}", headers=headers)

        assert ask(root / "song <b>.txt").text == "mine"
        assert "sandbox" in ask(root / "page.html").headers["content-security-policy"]
        outside = [tmp_path / "secret.txt", root / "link.txt", root / "folder" / "secret.txt",
                   root / ".." / tmp_path.name / "secret.txt", "/etc/passwd", "etc/passwd",
                   root / ".acestep" / "jobs" / "x.json", f"{root}/%2e%2e/%2e%2e/etc/passwd",
                   "http://127.0.0.1:1/x", root]  # fmt: skip
        assert {str(path): ask(path).status_code for path in outside} == {
            str(path): 403 for path in outside
        }
        assert ask(root / "song <b>.txt", host="evil.example").status_code == 421
        assert ask(root / "song <b>.txt", origin="http://evil.example").status_code == 403
        assert (
            client.post("/gradio_api/queue/join", headers={"host": "evil.example"}).status_code
            == 421
        )


def test_uploads_have_a_size(tmp_path):
    with running_studio(tmp_path, "--max-upload-mb", "1") as studio:
        with httpx.Client(base_url=studio.url, timeout=PATIENCE) as client:

            def send(size: int) -> httpx.Response:
                return client.post("/gradio_api/upload", files={"files": ("a.wav", b"x" * size)})

            assert send(3_000_000).status_code == 413
            (kept,) = send(1000).json()
        assert Path(kept).resolve().is_relative_to(tmp_path / ".acestep")


def test_every_action_is_named_and_documented(studio):
    named = studio.client().view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert {"/scan", "/preprocess", "/train", "/job_cancel", "/watch_job", "/jobs", "/export",
            "/generate"} <= named.keys()  # fmt: skip
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in named if f"`{name}`" not in text] == []
    assert [name for name in named if re.search(r"_\d+$|lambda", name)] == []


def in_the_end(client, wanted: list[str]) -> list[str]:
    """The states of all jobs, once they are what they should be."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        states = sorted(job["state"] for job in client.predict(api_name="/jobs"))
        if states == wanted:
            break
        time.sleep(0.1)
    return states


def test_a_server_that_is_killed_finds_its_jobs_again(tmp_path):
    first = start_studio(tmp_path)
    try:
        with running_studio(tmp_path) as second:  # two at once, and one of them dies
            fields = {"caption": "slow", "duration": 240}
            first.client().predict(**fields, api_name="/generate")
            first.client().predict(**fields, api_name="/generate")
            first.kill()
            client = second.client()
            # Whichever of them was at the queue starts the first
            assert in_the_end(client, ["running", "waiting"]) == ["running", "waiting"]
            jobs = client.predict(api_name="/jobs")
            running = next(job for job in jobs if job["state"] == "running")
            client.predict(id=running["id"], api_name="/job_cancel")
            assert in_the_end(client, ["running", "stopped"]) == ["running", "stopped"]
            watched = client.predict(id=running["id"], after=0, api_name="/watch_job")
            assert watched["state"] == "stopped"
    finally:
        first.kill()


def test_the_train_page_says_what_a_start_will_take_for_any_card(tmp_path):
    workspace = Workspace.open([tmp_path])
    tiny_tensors(tmp_path / "tensors")
    values = {"tensors": "tensors", "output": "runs/a", "epochs": 40, "gpu": "RTX 3060 12GB"}
    told = outlook_html(workspace, values)
    for words in ("predicted for RTX 3060", "12.0 GiB", "checkpoint of", "in 40 epochs", "varlen"):
        assert words in told
    assert not (tmp_path / "runs").exists()
    assert "goes with" not in told and 'class="problem"' not in told
    refused = outlook_html(workspace, {**values, "gpu": "<script>"})
    assert "problem" in refused and "<script>" not in refused
    html, rank = recommended(workspace, "tensors", "8GB", "en", ("rank", "gpu"))[:2]
    assert "a card with 8 GB" in html and "Disk" in html and rank == 2
    assert "toaster" in recommended(workspace, "tensors", "toaster", "ko", ())[0]


def test_a_dry_run_that_crashes_is_said_in_a_line(tmp_path, monkeypatch):
    crashes = tmp_path / "crashes"
    program = "print('{\"event\": \"te', end=''); {}['the last words']"
    crashes.write_text(f"#!{sys.executable}\n{program}\n")
    crashes.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(crashes))
    workspace = Workspace.open([tmp_path])
    html = outlook_html(workspace, {"tensors": "tensors", "output": "runs/a"})
    assert "dry-run ended with 1" in html and "KeyError: &#x27;the last words&#x27;" in html
    assert "Traceback" not in html
