"""The guide's whole workflow with clicks, and what may happen to it on the way.

One studio for all of it, from songs in five formats to a difference that is heard; every step also
stands on its own folder, so that a step that fails fails alone where it can.
"""

import re
import resource
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from studio_server import SLOW, end_all, open_tab, running_studio, start_studio, visited

from acestep.data.audio import read_audio
from acestep.data.song import Dataset, Song, load_dataset, save_dataset
from acestep.mini.folder import write_songs
from acestep.web.drafts import Drafts
from acestep.web.job_files import EVENTS, Job
from acestep.web.workspace import Workspace

EPOCHS = "100"  # the least that the guide's slider takes
ENDLESS = 10_000  # epochs of a training that is stopped


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with eight short songs in five formats and a file that is no song."""
    root = tmp_path_factory.mktemp("browser")
    list(write_songs(root / "songs", "cumbia", 8, 3.0))
    (root / "songs" / "broken <b>.wav").write_bytes(b"RIFF no song")
    assert len({path.suffix for path in (root / "songs").iterdir()} - {".json", ".txt"}) >= 5
    return root


@pytest.fixture(scope="module")
def studio(root):
    with running_studio(root) as running:
        yield running


def fill(page, elem_id: str, text: str) -> None:
    """Type into a control's field."""
    field = page.locator(f"#{elem_id} input:visible, #{elem_id} textarea:visible").first
    field.fill(text)
    field.blur()


def seen(page, table: str, text: str):
    """A cell of a table; Gradio keeps a hidden copy of the first rows to measure columns."""
    return page.locator(f"#{table}").get_by_text(text).locator("visible=true").first


def until(page, holds, seconds: float = 1800) -> None:
    """Wait until something holds that the page alone does not tell, or not in one look."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


def job_of(page, name: str) -> tuple[str, str, str]:
    """A panel's newest job, its state, what is said of it; one look, it may be another soon."""
    return tuple(page.evaluate(
        """id => { const panel = document.getElementById(id);
          const shown = panel && panel.querySelector('.status');
          return shown ? [shown.dataset.job, shown.dataset.state, panel.innerText] : ['', '', '']
        }""", f"{name}-status",
    ))  # fmt: skip


def status(page, name: str, *states: str, other: str = "") -> str:
    """Wait until a panel's newest job is in one of the states, and not an ``other``; its id."""
    seen: list[str] = []

    def holds() -> bool:
        seen[:] = job_of(page, name)
        return seen[1] in states and seen[0] != other

    until(page, holds)
    return seen[0]


def again(page, name: str, button: str) -> str:
    """Click a button that orders a job, and wait until that job is done; its id."""
    before = job_of(page, name)[0]
    page.locator(f"#{button}").click()
    id = status(page, name, "done", "failed", "lost", other=before)
    assert job_of(page, name)[:2] == (id, "done"), job_of(page, name)[2]
    return id


def until_it_steps(page, root: Path, id: str) -> Job:
    """Wait until a training has done its first step; its job."""
    job = Workspace.open([root]).jobs.get(id)
    said = job.folder / EVENTS
    until(page, lambda: said.exists() and '"event": "step"' in said.read_text(encoding="utf-8"))
    return job


@contextmanager
def standing_still(job: Job):
    """The job makes no step meanwhile, and so does not end before a slow browser has looked."""
    processes = job.processes()
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_scan_label_and_edit(page, root):
    open_tab(page, "training", "dataset")
    fill(page, "scan-tag", "jazz")
    page.locator("#dataset-tag-advice").get_by_text("ordinary word").wait_for()
    fill(page, "scan-tag", "zztune")
    page.locator("#dataset-tag-advice").get_by_text("zztune,").wait_for()
    again(page, "scan", "dataset-scan")
    page.locator("#dataset-told").get_by_text("8 songs").wait_for()
    seen(page, "dataset-table", "cumbia_1.wav").wait_for()
    again(page, "label", "dataset-auto")
    encoder = page.locator("#dataset-encoder textarea")
    encoder.wait_for()
    page.locator("#dataset-next").click()
    until(page, lambda: "cumbia_2" in encoder.input_value())
    caption = page.locator("#edit-caption textarea")
    caption.fill("a soft <i>cumbia</i> by")
    caption.press_sequentially(" hand")
    workspace = Workspace.open([root])
    song = load_dataset(root / "dataset.json").songs[1]
    drafts = Drafts(workspace, root / "dataset.json")
    typed = {"caption": "a soft <i>cumbia</i> by hand"}
    until(page, lambda: drafts.of(song.id) == typed)  # typed, not saved: on disk already
    page.reload()
    open_tab(page, "training", "dataset")
    page.locator("#dataset-load").click()
    page.locator("#dataset-told").get_by_text("8 songs").wait_for()
    page.locator("#dataset-next").click()
    page.locator("#dataset-notice").get_by_text("not yet in the dataset").wait_for()
    until(page, lambda: caption.input_value() == "a soft <i>cumbia</i> by hand")
    page.locator("#dataset-save-changes").click()
    page.locator("#dataset-saved").get_by_text("Saved").wait_for()
    saved = load_dataset(root / "dataset.json").songs[1]
    assert saved.caption == "a soft <i>cumbia</i> by hand" and saved.source("caption") == "person"
    until(page, lambda: "zztune, a soft <i>cumbia</i> by hand" in encoder.input_value())


def test_preprocess_says_what_it_will_do_and_does_it(page, root):
    open_tab(page, "training", "preprocess")
    page.locator("#preprocess-look").click()
    page.locator("#preprocess-state").get_by_text("it is new").first.wait_for()
    again(page, "preprocess", "preprocess-start")
    page.locator("#preprocess-state").get_by_text("up to date").first.wait_for()
    assert len(list((root / "tensors").glob("sample_*.pt"))) == 8


def test_train_stop_reload_resume_in_two_windows(page, chromium, studio, root):
    open_tab(page, "training", "train")
    page.locator("#train-load").click()
    page.locator("#train-found").get_by_text("8 songs").wait_for()
    page.locator("#train-recommend").click()
    page.locator("#train-found").get_by_text("Expected").wait_for()
    fill(page, "train-epochs", EPOCHS)
    page.locator("#train-advanced button").first.click()
    for name, number in (("batch-size", 8), ("gradient-accumulation", 1), ("patches-at-once", 600)):
        fill(page, f"train-{name}", str(number))  # all songs in one pass: a small model's are short
    fill(page, "train-output", "runs/clicked")
    page.locator("#train-start").click()
    first = status(page, "train", "running")
    with standing_still(until_it_steps(page, root, first)):
        page.reload()
        with visited(chromium, studio, "second-window") as other:
            for window in (page, other):
                open_tab(window, "training", "train")
                assert status(window, "train", "running") == first
            other.locator("#train-status").get_by_text("loss").wait_for()
            other.locator("#train-stop").click()
            other.wait_for_timeout(1000)  # until it was asked; else it just goes on for a while
    assert status(page, "train", "stopped", "done") == first
    fill(page, "train-output", "runs/clicked")
    page.locator("#train-resume").click()
    status(page, "train", "done", other=first)
    assert (root / "runs" / "clicked" / "checkpoints" / f"epoch_{EPOCHS}").is_dir()
    page.locator("#train-plot img, #train-plot canvas").first.wait_for()
    log = page.locator("#train-log textarea")
    until(page, lambda: "held-out loss" in log.input_value())


def choose_job(page, id: str) -> None:
    """Click on a job until its details are shown: a row drawn anew meanwhile hears no click."""
    row, details = seen(page, "jobs-table", id), page.locator("#jobs-details")

    def chosen() -> bool:
        row.click()
        page.wait_for_timeout(2000)
        return details.get_by_text("acestep train").count() > 0

    until(page, chosen)


def test_a_killed_server_and_the_training_goes_on(chromium, tmp_path, root):
    home = tmp_path / "home"
    home.mkdir()
    (home / "tensors").symlink_to(root / "tensors")
    first = start_studio(home, "--root", str(root))
    try:
        client = first.client()
        _, id = client.predict(
            tensors=str(root / "tensors"), output="runs/long", epochs=ENDLESS, rank=8, dropout=0,
            api_name="/train",
        )  # fmt: skip
        with visited(chromium, first, "before-the-kill") as page:
            open_tab(page, "training", "train")
            assert status(page, "train", "running") == id
        first.kill()
        with (
            running_studio(home, "--root", str(root)) as second,
            visited(chromium, second, "after-the-kill") as page,
        ):
            open_tab(page, "training", "train")
            assert status(page, "train", "running") == id
            until_it_steps(page, home, id)
            open_tab(page, "jobs")
            choose_job(page, id)
            page.locator("#jobs-cancel").click()
            open_tab(page, "training", "train")
            assert status(page, "train", "stopped") == id
        assert list((home / "runs" / "long" / "checkpoints").glob("epoch_*"))
    finally:
        end_all(home)


def test_export_load_and_hear_the_difference(page, root):
    open_tab(page, "training", "export")
    fill(page, "export-run", "runs/clicked")
    again(page, "export", "export-start")
    page.locator("#export-written").get_by_text("lora_path").wait_for()
    open_tab(page, "service")
    fill(page, "service-lora", "my_lora")
    page.locator("#service-load").click()
    seen(page, "service-adapters", "zztune").wait_for()
    open_tab(page, "generate")
    fill(page, "generate-caption", "cumbia with accordion")
    page.locator("#generate-tag").get_by_text("zztune").wait_for()
    page.locator("#generate-add-tag").click()
    page.locator("#generate-tag").get_by_text("zztune").wait_for(state="detached")
    fill(page, "generate-duration", "3")
    page.locator("#generate-ab").click()
    page.locator("#generate-result-1 audio, #generate-result-1 .waveform-container").first.wait_for(
        timeout=4 * SLOW, state="attached"
    )
    off, on = (
        read_audio(sorted((root / "generated").glob(f"*/42_{name}.flac"))[-1])
        for name in ("off", "on")
    )
    assert np.abs(off - on).max() > 0.05
    page.locator("#generate-result-0").get_by_text("adapter off").first.wait_for()


def resting(page, element) -> dict:
    """Where an element stands once nothing above it grows any more."""
    page.locator("#generate-src-audio").get_by_text("0:03").first.wait_for()  # the player is drawn
    places = [element.bounding_box()]
    while len(places) < 10 or any(place != places[-1] for place in places[-10:]):
        page.wait_for_timeout(100)
        places.append(element.bounding_box())
    return places[-1]


def test_a_window_to_repaint_is_drawn_on_the_waveform(page, root):
    open_tab(page, "generate")
    page.locator("#generate-source").get_by_role("button").first.click()
    song = next(path for path in (root / "songs").iterdir() if path.suffix == ".flac")
    page.locator("#generate-src-audio input[type=file]").set_input_files(song)
    wave = page.locator("#generate-wave .wave")
    wave.wait_for()
    wave.scroll_into_view_if_needed()
    box = resting(page, wave)
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + 40, steps=5)
    page.mouse.up()
    start = page.locator("#generate-repainting-start input, #generate-repainting-start textarea")
    end = page.locator("#generate-repainting-end input, #generate-repainting-end textarea")
    until(page, lambda: start.first.input_value() and end.first.input_value())
    assert float(start.first.input_value()) == pytest.approx(1.0, abs=0.15)
    assert float(end.first.input_value()) == pytest.approx(2.0, abs=0.15)
    until(page, lambda: page.locator("#generate-task input").input_value() == "repaint")


@pytest.mark.parametrize("path", ["/etc", "../..", "nothing/here"])
def test_wrong_paths_are_explained_where_they_stand(page, path):
    open_tab(page, "training", "dataset")
    fill(page, "scan-songs", path)
    page.locator("#dataset-scan").click()
    problem = page.locator("#scan-problem .problem, #scan-status .problem").first
    problem.wait_for()
    said = problem.inner_text()
    assert "→" in said and "Traceback" not in said


@contextmanager
def full_disk(studio):
    """What the studio and its jobs write fails as long as this lasts."""
    soft, hard = resource.prlimit(studio.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(studio.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(studio.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_full_disk_is_said_and_loses_nothing(chromium, tmp_path):
    list(write_songs(tmp_path / "songs", "cumbia", 2, 3.0))
    with running_studio(tmp_path) as studio, visited(chromium, studio, "full-disk") as page:
        open_tab(page, "training", "dataset")
        again(page, "scan", "dataset-scan")
        encoder = page.locator("#dataset-encoder textarea")
        until(page, lambda: "cumbia_1" in encoder.input_value())
        caption, said = page.locator("#edit-caption textarea"), page.locator("#dataset-saved")
        with full_disk(studio):
            fill(page, "edit-caption", "typed by hand")
            said.get_by_text("cannot be written").wait_for()
            page.locator("#dataset-auto").click()
            page.locator("#label-problem").get_by_text("cannot be written").wait_for()
            page.locator("#dataset-next").click()
            until(page, lambda: "cumbia_2" in encoder.input_value())
            page.locator("#dataset-previous").click()
            until(page, lambda: "cumbia_1" in encoder.input_value())
            fill(page, "edit-caption", "typed again")
            page.locator("#dataset-save-changes").click()
            said.get_by_text("dataset.json").wait_for()
            assert "Traceback" not in page.content() and caption.input_value() == "typed again"
        page.locator("#dataset-save-changes").click()
        said.get_by_text("Saved").wait_for()
    assert load_dataset(tmp_path / "dataset.json").songs[0].caption == "typed again"


def test_two_hundred_songs_are_scrolled_and_chosen(chromium, tmp_path):
    songs = [
        Song(f"{n}.wav", f"id{n}", caption=f"song number {n}", bpm=60 + n % 100, duration=200)
        for n in range(200)
    ]
    save_dataset(Dataset(name="many", tag="zz", songs=songs), tmp_path / "dataset.json")
    playwright = pytest.importorskip("playwright.sync_api")
    with running_studio(tmp_path) as studio, visited(chromium, studio, "many-songs") as page:
        open_tab(page, "training", "dataset")
        page.locator("#dataset-load").click()
        page.locator("#dataset-told").get_by_text("200 songs").wait_for()
        table, caption = page.locator("#dataset-table"), page.locator("#edit-caption textarea")
        until(page, lambda: caption.input_value() == "song number 0")
        table.scroll_into_view_if_needed()
        seen(page, "dataset-table", "song number 3").hover()
        wanted = table.get_by_text("song number 150", exact=True).locator("visible=true")

        def chosen() -> bool:  # a table that is drawn anew meanwhile begins at its top again
            if wanted.count():
                with suppress(playwright.TimeoutError):
                    wanted.first.click(timeout=10_000)
                    return True
            page.mouse.wheel(0, 400)
            return False

        until(page, chosen)
        until(page, lambda: caption.input_value() == "song number 150")
        number = page.locator("#dataset-number input[type=number]")
        until(page, lambda: number.input_value() == "151")
        page.locator("#dataset-notice").get_by_text("150.wav").wait_for()  # it has no file
        assert (caption.input_value(), number.input_value()) == ("song number 150", "151")


def test_a_phone_in_korean_goes_the_same_way(chromium, studio):
    with visited(chromium, studio, "phone", width=390, locale="ko-KR") as page:
        open_tab(page, "training", "dataset")
        page.locator("#dataset-load").click()
        page.locator("#dataset-told").get_by_text(re.compile("8곡")).wait_for()
        until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= 390)
        open_tab(page, "jobs")
        seen(page, "jobs-table", "완료").wait_for()
