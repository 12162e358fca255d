"""Check the installation: versions, then (see :mod:`acestep.checks`) what they can do here."""

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from acestep.config import DoctorConfig
from acestep.data.files import shown
from acestep.errors import AceStepError
from acestep.events import Event, Finished, Text
from acestep.findings import OPTIONAL, Finding

DISTRIBUTION = "acestep-studio"


def doctor(config: DoctorConfig) -> Iterator[Event]:
    """Yield a line of text for each finding, and all of them as facts of ``Finished``.

    Raises ``AceStepError`` at the end if something that is needed is missing or out of range.
    """
    findings: list[Finding] = []
    for finding in _examine():
        findings.append(finding)
        yield Text(finding.line())
    problems = [finding for finding in findings if finding.level == "problem"]
    if problems:
        raise AceStepError(
            "\n".join(f"{finding.what}: {finding.detail}" for finding in problems),
            hint="install what is missing or out of range into this environment: "
            f"{shown(sys.executable)} -m pip install --upgrade {DISTRIBUTION}",
        )
    yield Finished("doctor", facts={"findings": [asdict(finding) for finding in findings]})


def _examine() -> Iterator[Finding]:
    packages = [*check_python(), *check_packages()]
    yield from packages
    if any(finding.level == "problem" for finding in packages):
        return
    try:
        checks = import_module("acestep.checks")  # only now: it uses the packages
    except (ImportError, OSError) as error:
        yield Finding("problem", "packages", f"cannot be loaded: {error}")
        return
    yield from checks.check_all()


def check_python() -> Iterator[Finding]:
    """This package, and the Python that runs it."""
    found = platform.python_version()
    try:
        needed = metadata(DISTRIBUTION)["Requires-Python"]
        yield Finding("ok", DISTRIBUTION, f"{version(DISTRIBUTION)} on {platform.platform()}")
    except PackageNotFoundError:
        yield Finding("problem", DISTRIBUTION, "is not installed")
        return
    fits = SpecifierSet(needed).contains(found, prereleases=True)
    yield Finding("ok" if fits else "problem", "python", f"{found} (needs {needed})")


def check_packages(installed: Callable[[str], str] = version) -> Iterator[Finding]:
    """Every package of the installation against its range, and the optional ones.

    ``installed`` gives a package's version or raises ``PackageNotFoundError``.
    """
    for text in requires(DISTRIBUTION) or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = installed(needed.name)
        except PackageNotFoundError:
            yield Finding("problem", needed.name, f"is missing (needs {needed.specifier or 'any'})")
            continue
        fits = needed.specifier.contains(found, prereleases=True)
        detail = f"{found} (needs {needed.specifier})"
        yield Finding("ok" if fits else "problem", needed.name, detail)
    for name, use in OPTIONAL.items():
        try:
            yield Finding("ok", name, f"{installed(name)}: {use.partition(' (')[0]}")
        except PackageNotFoundError:
            yield Finding("note", name, f"is not installed: {use}")
