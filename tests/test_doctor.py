"""The doctor finds what is missing, out of range or broken, and says what it does find."""

from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import numpy as np
import pytest

from acestep import checks, doctor
from acestep.config import DoctorConfig
from acestep.errors import AceStepError, AudioError
from acestep.events import Finished, Text
from acestep.findings import OPTIONAL, Finding


def test_this_installation_is_fine():
    *lines, finished = doctor.doctor(DoctorConfig())
    assert isinstance(finished, Finished)
    assert all(isinstance(line, Text) for line in lines)
    found = {record["what"]: record for record in finished.facts["findings"]}
    assert len(found) == len(lines)
    assert "problem" not in {record["level"] for record in found.values()}
    for what in ("python", "torch", "device", "memory", "audio .opus", "model mini", "disk, here"):
        assert what in found
    assert version("torch") in found["torch"]["detail"]
    assert "precision" in found["device"]["detail"]


def test_every_package_of_the_installation_is_looked_at():
    names = [finding.what for finding in doctor.check_packages()]
    needed = [text for text in requires("acestep-studio") or [] if "extra ==" not in text]
    assert len(names) == len(needed) + len(OPTIONAL)
    assert len(set(names)) == len(names)


def test_missing_and_old_packages_are_problems_and_optional_ones_notes():
    def installed(name: str) -> str:
        if name in ("peft", *OPTIONAL):
            raise PackageNotFoundError(name)
        return "0.1" if name == "diffusers" else version(name)

    found = {finding.what: finding for finding in doctor.check_packages(installed)}
    assert found["peft"].level == "problem" and "is missing (needs" in found["peft"].detail
    assert found["diffusers"].level == "problem"
    assert found["diffusers"].detail.startswith("0.1 (needs ")
    assert found["torch"].level == "ok"
    assert found["av"].level == "note" and "acestep-studio[io]" in found["av"].detail


def test_a_problem_ends_in_an_error_that_lists_it(monkeypatch):
    problem = Finding("problem", "peft", "is missing (needs >=0.21)")
    monkeypatch.setattr(doctor, "check_packages", lambda: iter([problem]))
    happening = doctor.doctor(DoctorConfig())
    lines = []
    with pytest.raises(AceStepError, match="peft: is missing") as caught:
        lines += happening
    assert "pip install" in caught.value.hint
    shown = [event.text for event in lines if isinstance(event, Text)]
    assert not any("audio" in line for line in shown), "nothing is tried without its packages"


def test_packages_that_cannot_be_loaded_are_a_problem(monkeypatch):
    def broken(name: str) -> None:
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "import_module", broken)
    with pytest.raises(AceStepError, match="cannot be loaded: libcudart"):
        list(doctor.doctor(DoctorConfig()))


def test_a_format_that_cannot_be_written_is_a_problem(monkeypatch):
    def write(path: Path, audio: np.ndarray, rate: int) -> None:
        if path.suffix == ".mp3":
            raise AudioError("no encoder for mp3")
        path.write_bytes(b"")

    monkeypatch.setattr(checks, "write_audio", write)
    monkeypatch.setattr(checks, "inspect_audio", lambda path: None)
    monkeypatch.setattr(checks, "SUFFIXES", frozenset(checks.WRITTEN))
    found = {finding.what: finding for finding in checks.check_audio()}
    assert found["audio .mp3"] == Finding("problem", "audio .mp3", "no encoder for mp3")
    assert found["audio .flac"].level == "ok"
    assert found["audio .aac .m4a"].level == "note"


def test_folders_of_models_that_are_not_there_are_noted(monkeypatch, tmp_path):
    monkeypatch.setenv("ACESTEP_MODELS", str(tmp_path / "gone"))
    first, *_ = checks.check_models()
    assert first.level == "note" and "gone is no folder" in first.detail


def test_little_disk_is_noted_and_a_folder_to_come_is_looked_at_where_it_will_be(
    monkeypatch, tmp_path
):
    (finding,) = checks.check_disk({"here": tmp_path / "not" / "yet"})
    assert "free" in finding.detail and finding.what == "disk, here"
    monkeypatch.setattr(checks, "LITTLE_DISK", 1e18)
    (finding,) = checks.check_disk({"here": tmp_path})
    assert finding.level == "note"


def test_a_finding_is_a_line():
    assert Finding("problem", "peft", "is missing").line() == "PROBLEM peft: is missing"
    assert Finding("ok", "peft", "0.21").line() == "ok      peft: 0.21"
