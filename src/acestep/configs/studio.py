"""What can be set of the studio."""

import ipaddress
from pathlib import Path

from acestep.configs.base import Config, knob


class StudioConfig(Config):
    """Open the studio: the whole way in a browser, on this machine."""

    root: list[Path] = knob(
        [Path(".")], "Folders that the studio may read and write; jobs run in the first."
    )
    host: str = knob("127.0.0.1", "Address to listen on; any but this machine's own needs --auth.")
    port: int = knob(7860, "Port to listen on; 0 takes a free one.", ge=0, le=65535)
    auth: str | None = knob(None, "Who may enter: USER:PASSWORD.")
    share: bool = knob(False, "Also open a public link through gradio.live; needs --auth.")
    browser: bool = knob(False, "Open the page in the browser.")
    max_upload_mb: int = knob(2000, "Largest file that can be uploaded, in MB.", ge=1)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def disagreements(self) -> list[str]:
        """Whoever reaches the studio can read and write below its roots: others must log in."""
        problems = []
        user, colon, password = (self.auth or "").partition(":")
        if self.auth is not None and not (user and colon and password):
            problems.append("--auth: must be USER:PASSWORD")
        if self.auth is None and not self.is_local:
            problems.append(f"--host {self.host}: others can reach it, so --auth is needed")
        if self.auth is None and self.share:
            problems.append("--share: everybody can reach it, so --auth is needed")
        return problems
