"""The small init that reaps zombies and hands signals on, put before a container's command."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.errors import Unavailable

# Linked statically, so that they run in any image; tini tells a missing command by its exit code.
_PROGRAMS = ("tini-static", "docker-init", "catatonit")
_MORE = (Path("/usr/libexec/podman/catatonit"), Path("/usr/libexec/docker/docker-init"))


def find_init() -> str:
    """The path of the init program.  Raises: Unavailable: none is installed."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is not None:
        return found
    for path in _MORE:
        if path.exists():
            return str(path)
    raise Unavailable(
        "no init program is installed for --init",
        code="no-init",
        about="init",
        hint="install one: `apt-get install catatonit` or `apt-get install tini`",
    )
