"""Open the studio: the whole way in a browser."""

import time
from collections.abc import Iterator
from pathlib import Path

from acestep.config import StudioConfig
from acestep.events import Event, Finished, Notice, Started, Text
from acestep.training.stopping import stop_signals


def studio(config: StudioConfig) -> Iterator[Event]:
    """Serve the pages until Ctrl-C or SIGTERM; jobs that run then go on, and are found again.

    Raises ``ConfigError`` for roots that are no folders, ``RunError`` if the port is taken.
    """
    from acestep.web.app import Server  # gradio is slow to import
    from acestep.web.workspace import Workspace

    workspace = Workspace.open([Path(root) for root in config.root])
    server = Server(config, workspace)
    with stop_signals() as stop:  # before it is said to be open: that may be answered at once
        roots = list(map(str, workspace.roots))
        yield Started("studio", {"address": server.address, "roots": roots})
        if not config.is_local or config.share:
            yield Notice(
                "others can reach the studio; whoever logs in can change what is in the roots"
            )
        yield Text(f"The studio is open: {server.address}  (Ctrl-C closes it; jobs go on)")
        try:
            while not stop.requested:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass  # it was asked for twice
        finally:
            server.close()
    yield Finished("studio")
