"""What every page of the studio works on: the folders it may touch, and the queue.

Whoever reaches the page can name any path; only what lies below the roots is read or written, links
followed to where they lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acestep.errors import ConfigError
from acestep.web.follow import Following
from acestep.web.jobs import Jobs

STATE = ".acestep"  # below the first root: jobs, drafts, uploads


@dataclass(frozen=True)
class Workspace:
    """``roots`` are resolved folders; the first is where jobs run and relative paths begin."""

    roots: tuple[Path, ...]
    jobs: Jobs
    following: Following = field(default_factory=Following, repr=False, compare=False)

    @classmethod
    def open(cls, roots: Sequence[Path]) -> "Workspace":
        """The workspace of some folders. Raises ``ConfigError`` naming those that are none."""
        wrong = [f"--root {root}: there is no such folder" for root in roots if not root.is_dir()]
        if wrong or not roots:
            raise ConfigError(wrong or ["--root: name a folder"], hint="make the folder first")
        resolved = tuple(root.resolve() for root in roots)
        return cls(resolved, Jobs(resolved[0] / STATE / "jobs", resolved[0]))

    @property
    def home(self) -> Path:
        """The first root."""
        return self.roots[0]

    @property
    def state(self) -> Path:
        """Where the studio keeps what is its own."""
        return self.home / STATE

    def path(self, text: str) -> Path:
        """The path a user means, which lies below a root.

        Relative ones begin at the first root. Raises ``ConfigError`` for an empty one, and for
        one that leads outside, by ``..`` or by a link.
        """
        if not text or not text.strip() or "\0" in text:
            raise ConfigError(["name a file or folder"])
        try:
            path = (self.home / Path(text.strip()).expanduser()).resolve()
        except (OSError, RuntimeError, UnicodeError) as error:  # a loop of links, no such user
            raise ConfigError([f"{text!r} is not a path: {error}"]) from error
        if not any(path.is_relative_to(root) for root in self.roots):
            places = ", ".join(map(str, self.roots))
            raise ConfigError(
                [f"{text}: lies outside of what the studio may touch ({places})"],
                hint="start it with --root FOLDER for the folder you want to use",
            )
        return path

    def shown(self, path: Path) -> str:
        """A path as the user would type it: relative to the first root where it lies there."""
        resolved = path.resolve()
        inside = resolved.is_relative_to(self.home)
        return str(resolved.relative_to(self.home)) if inside else str(resolved)
