"""The command line from outside: exit codes, streams, signals, and what it loads."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from acestep import events
from acestep.cli import main, overview
from acestep.config import COMMANDS, EditConfig, ScanConfig, TrainConfig
from acestep.errors import ConfigError, DatasetError, RunError

ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "COLUMNS")
} | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for variable in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)


def acestep(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The installed program in a process of its own."""
    environment = ENVIRONMENT | options.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "acestep", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        **options,
    )


def script(body: str) -> list[str]:
    """A Python process whose main() has the verb that ``body`` defines as ``scan``."""
    head = "import sys, time\nfrom acestep.cli import main\nfrom acestep.events import *\n"
    tail = "\nsys.exit(main(sys.argv[1:], verbs={'scan': scan}))"
    return [sys.executable, "-c", head + textwrap.dedent(body) + tail]


def counting(config: ScanConfig) -> Iterator[events.Event]:
    yield events.Started("scan", {"folder": str(config.songs)})
    for number in range(3):
        yield events.Progress("scan", number, 3, f"{number}.wav")
    yield events.Skipped("2.wav", "it is silent")
    yield events.Progress("scan", 3, 3)
    yield events.Finished("scan", str(config.output), {"songs": 2})


# Exit codes


def test_done_is_0_and_says_what_was_left_out(capsys):
    assert main(["scan", "songs"], verbs={"scan": counting}) == 0
    out, err = capsys.readouterr()
    assert err == ""
    took, end = out.splitlines()[-1].split(" s: ")
    assert took.startswith("done in ") and end == "dataset.json (songs 2, skipped 1)"


def test_wrong_usage_is_2_with_every_mistake_on_stderr(capsys):
    def never(config: TrainConfig) -> Iterator[events.Event]:
        raise AssertionError("it ran")
        yield

    code = main(["train", "--rank", "x", "--epochs", "0", "--lr", "1"], verbs={"train": never})
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error: --lr 1: unknown; did you mean --learning-rate?",
        "error: TENSORS is missing: Folder that preprocess wrote.",
        "error: --rank x: must be a whole number, at least 1; recommended: 8–256",
        "error: --epochs 0: must be a whole number, at least 1; recommended: 100–2000",
        "what to do: acestep train --help lists every flag",
    ]


def test_a_config_error_of_a_verb_is_wrong_usage_too(capsys):
    def picky(config: EditConfig) -> Iterator[events.Event]:
        raise ConfigError(["--song 9: there are three"], hint="1 to 3")
        yield

    assert main(["edit", "d.json", "9"], verbs={"edit": picky}) == 2
    assert capsys.readouterr().err == "error: --song 9: there are three\nwhat to do: 1 to 3\n"


def test_a_run_that_failed_is_1_and_says_what_to_do(capsys):
    def failing(config: ScanConfig) -> Iterator[events.Event]:
        yield events.Started("scan", {"files": 3})
        raise DatasetError("songs: there are no songs", hint="name another folder")

    assert main(["scan", "songs"], verbs={"scan": failing}) == 1
    out, err = capsys.readouterr()
    assert out == "scan: files 3\n"
    assert err == "error: songs: there are no songs\nwhat to do: name another folder\n"


def test_stopped_is_130(capsys):
    def stopping(config: TrainConfig) -> Iterator[events.Event]:
        yield events.Stopped("train", "runs/jazz", "acestep train t -o runs/jazz --resume")

    assert main(["train", "t"], verbs={"train": stopping}) == 130
    assert "acestep train t -o runs/jazz --resume" in capsys.readouterr().out


def test_ctrl_c_is_130_and_the_verb_tidies_up(capsys):
    tidied = []

    def interrupted(config: ScanConfig) -> Iterator[events.Event]:
        try:
            yield events.Started("scan", {})
            raise KeyboardInterrupt
        finally:
            tidied.append(True)

    assert main(["scan", "songs"], verbs={"scan": interrupted}) == 130
    assert tidied == [True]
    assert capsys.readouterr().err == "interrupted\n"


def test_an_unexpected_exception_is_a_traceback_and_never_0():
    body = """
    def scan(config):
        yield Started("scan", {})
        raise ZeroDivisionError("a bug")
    """
    done = subprocess.run([*script(body), "scan", "x"], capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ZeroDivisionError: a bug" in done.stderr


def test_commands_and_flags_that_do_not_exist(capsys):
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err
    assert main([]) == 2
    assert "scan, label, edit" in capsys.readouterr().err
    assert main(["--jsn"]) == 2
    assert "--jsn: unknown; did you mean --json?" in capsys.readouterr().err


# What is shown


def test_json_is_one_event_a_line_and_nothing_else(capsys):
    assert main(["--json", "scan", "songs"], verbs={"scan": counting}) == 0
    out, err = capsys.readouterr()
    happening = [events.from_json(line) for line in out.splitlines()]
    assert happening == list(counting(ScanConfig(songs="songs")))
    assert err == ""


def test_json_tells_failures_as_events(capsys):
    def failing(config: ScanConfig) -> Iterator[events.Event]:
        raise RunError("it diverged", hint="halve it")
        yield

    assert main(["scan", "x", "--json"], verbs={"scan": failing}) == 1
    assert json.loads(capsys.readouterr().out) == {
        "event": "failed",
        "error": "RunError",
        "message": "it diverged",
        "hint": "halve it",
    }
    assert main(["train", "--json", "--rank", "0"]) == 2
    record = json.loads(capsys.readouterr().out)
    assert record["error"] == "ConfigError" and "--rank 0" in record["message"]


def test_quiet_before_and_after_the_command(capsys):
    for arguments in (["--quiet", "scan", "songs"], ["scan", "songs", "--quiet"]):
        assert main(arguments, verbs={"scan": counting}) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["skipped", "done"]


def test_values_outside_the_guides_ranges_are_mentioned_once_and_run(capsys):
    def train(config: TrainConfig) -> Iterator[events.Event]:
        yield events.Finished("train", "runs/jazz")

    assert main(["train", "t", "--epochs", "5", "--rank", "300"], verbs={"train": train}) == 0
    *warnings, end = capsys.readouterr().out.splitlines()
    assert warnings == [
        "warning: --rank 300 is outside the guide's 8–256",
        "warning: --epochs 5 is outside the guide's 100–2000",
    ]
    assert end.startswith("done in ") and end.endswith(" s: runs/jazz")
    assert main(["train", "t"], verbs={"train": train}) == 0
    assert "warning" not in capsys.readouterr().out


def test_only_the_main_process_speaks_but_no_failure_is_lost(capsys, monkeypatch):
    def failing(config: ScanConfig) -> Iterator[events.Event]:
        yield events.Started("scan", {"files": 3})
        raise RunError("out of memory")

    monkeypatch.setenv("RANK", "1")
    assert main(["scan", "songs"], verbs={"scan": counting}) == 0
    assert main(["train", "--rank", "x"]) == 2
    assert main(["--help"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["scan", "songs"], verbs={"scan": failing}) == 1
    assert capsys.readouterr() == ("", "process 1: error: out of memory\n")


def test_names_that_a_terminal_cannot_show_are_escaped():
    body = """
    def scan(config):
        yield Skipped("Für Elise 愛 \\udcff.wav", "silent → nothing")
    """
    for encoding in ("ascii", "utf-8"):
        done = subprocess.run(
            [*script(body), "scan", "x"],
            capture_output=True,
            env=ENVIRONMENT | {"PYTHONIOENCODING": encoding},
            timeout=180,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode(encoding).startswith("skipped F")


def test_a_pipe_gets_no_colours_even_if_colours_are_forced():
    body = """
    def scan(config):
        yield Notice("mind this")
        yield Progress("scan", 1, 2, "a.wav")
        yield Finished("scan", "d.json")
    """
    done = subprocess.run(
        [*script(body), "scan", "x"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        timeout=180,
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[:2] == ["warning: mind this", "1 of 2 · a.wav"]


def test_a_terminal_gets_bars_with_rate_and_time_left():
    body = """
    def scan(config):
        for n in range(5):
            yield Progress("scan", n, 8, f"{n}.wav")
            time.sleep(0.15)
        yield Finished("scan", "d.json")
    """
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*script(body), "scan", "x"],
        stdout=follower,
        stderr=follower,
        env=ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(follower)
        text = b""
        try:
            while block := os.read(leader, 4096):
                text += block
        except OSError:  # how Linux says that the other end was closed
            pass
    os.close(leader)
    assert process.returncode == 0
    shown = text.decode()
    assert "━" in shown and "4/8" in shown and "4.wav" in shown
    assert re.search(r"\d(/s| s each)", shown) and re.search(r"\d\d:\d\d", shown)
    assert "done in" in shown


# Signals and pipes


def test_sigterm_ends_the_work_cleanly_with_130(tmp_path):
    body = f"""
    def scan(config):
        from pathlib import Path
        from acestep.data.files import atomic
        with atomic(Path({str(tmp_path / "dataset.json")!r})) as temporary:
            temporary.write_text("half")
            yield Progress("scan", 0, 9)
            time.sleep(600)
    """
    (tmp_path / "dataset.json").write_text("before")
    with subprocess.Popen(
        [*script(body), "scan", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "0 of 9\n"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=180)
        assert (process.returncode, said) == (130, "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
    assert (tmp_path / "dataset.json").read_text() == "before"


def test_a_reader_that_goes_away_ends_the_work_without_a_traceback():
    body = """
    def scan(config):
        for n in range(100000):
            yield Notice(f"line {n} " + "x" * 1000)
    """
    with subprocess.Popen(
        [*script(body), "scan", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=180) == 130
        assert process.stderr.read() == ""


def test_a_pipe_that_breaks_inside_a_verb_is_a_bug_with_a_traceback():
    def breaking(config: ScanConfig) -> Iterator[events.Event]:
        raise BrokenPipeError("an encoder died")
        yield

    with pytest.raises(BrokenPipeError, match="encoder"):
        main(["scan", "songs"], verbs={"scan": breaking})


def test_help_into_a_pipe_that_closes_is_quiet():
    with subprocess.Popen(
        [sys.executable, "-m", "acestep", "train", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=180) == 130
        assert process.stderr.read() == ""


# Help, version, start


def test_help_lists_every_command_and_main_reads_the_process_arguments(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["acestep", "--help"])
    assert main() == 0
    text = capsys.readouterr().out
    assert text == overview() + "\n"
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert main(["train", "--help", "--nonsense"]) == 0
    assert "--learning-rate" in capsys.readouterr().out
    assert main(["--help", "train"]) == 0
    assert "--learning-rate" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"acestep {version('acestep-studio')}\n"


@pytest.mark.parametrize("arguments", ["--help", "train --help", "train --rank 0", "models"])
def test_torch_is_not_loaded_before_a_verb_needs_it(arguments):
    code = (
        "import sys; from acestep.cli import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'diffusers', 'transformers', 'peft', 'scipy', 'matplotlib', 'rich'}; "
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=180,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_streams_that_are_no_files_do(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["scan", "songs"], verbs={"scan": counting}) == 0
    assert out.getvalue().endswith("skipped 1)\n")


# The real program


def test_models_and_doctor_run(tmp_path):
    listed = acestep("models", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.splitlines()[1].startswith("mini ")
    record = json.loads(acestep("models", "--json", cwd=tmp_path).stdout.splitlines()[-1])
    assert record["facts"]["models"][0]["present"] is True
    checked = acestep("doctor", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ok      audio .opus: can be read and written" in checked.stdout


def test_scan_runs_and_fails_with_the_right_codes(tmp_path):
    missing = acestep("scan", "nowhere", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: nowhere")
    assert missing.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_songs_are_scanned_edited_and_shown(tmp_path):
    (tmp_path / "songs").mkdir()
    tone = 0.3 * np.sin(np.arange(48_000) / 20)
    for name in ("Für Elise.wav", "b.flac"):
        soundfile.write(tmp_path / "songs" / name, tone, 48_000)
    (tmp_path / "songs" / "c.mp3").write_bytes(b"no music")

    scanned = acestep("scan", "songs", "--tag", "myjazz", cwd=tmp_path)
    assert scanned.returncode == 0, scanned.stderr
    assert "skipped c.mp3" in scanned.stdout
    assert scanned.stdout.splitlines()[-1].startswith("done in ")
    assert "songs 2" in scanned.stdout and "skipped 1" in scanned.stdout
    assert "\x1b" not in scanned.stdout + scanned.stderr

    edit = ["edit", "dataset.json", "Für Elise.wav", "--caption", "piano, [soft]", "--bpm", "90"]
    assert acestep(*edit, cwd=tmp_path).returncode == 0
    assert acestep("edit", "dataset.json", "9", "--bpm", "90", cwd=tmp_path).returncode == 1
    assert acestep("edit", "dataset.json", "1", cwd=tmp_path).returncode == 2

    shown = acestep("label", "dataset.json", "--show", "Für Elise.wav", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "# Caption\nmyjazz, piano, [soft]\n\n# Metas\n- bpm: 90\n" in shown.stdout
    last = acestep("scan", "songs", "--json", cwd=tmp_path).stdout.splitlines()[-1]
    assert json.loads(last)["event"] == "finished"


def test_of_several_processes_one_speaks(tmp_path):
    launch = ["--standalone", "--nproc-per-node", "2", "-m", "acestep", "models"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *launch],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("mini ") for line in done.stdout.splitlines()) == 1
