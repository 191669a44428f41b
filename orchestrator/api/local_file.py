"""Files of this machine that a client names instead of sending them.

The engine may see another file under the path, or none, as its mounts are its own: so the client
asks first, and says which file it means by its device and inode.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aiohttp import web

from orchestrator.errors import NotFound


class LocalFileHandlers:
    def routes(self) -> list[web.RouteDef]:
        return [web.get("/pystack/v1/local-file", self.seen)]

    async def seen(self, request: web.Request) -> web.Response:
        """Whether the engine can read the file that the query names."""
        try:
            path = local_file(request)
        except NotFound:
            path = None
        return web.json_response({"seen": path is not None})


def local_file(request: web.Request) -> Path | None:
    """The file that the query names by `file`, `device` and `inode`; None where it names none.

    Raises: NotFound: that file is not there, or is another one.
    """
    name = request.query.get("file")
    if name is None:
        return None
    wanted = (request.query.get("device"), request.query.get("inode"))
    try:
        info = os.lstat(name)
    except (OSError, ValueError):
        info = None
    if (
        info is not None
        and stat.S_ISREG(info.st_mode)
        and (str(info.st_dev), str(info.st_ino)) == wanted
    ):
        return Path(name)
    raise NotFound(
        f"the engine does not see the file {name}",
        code="no-such-file",
        about=name,
        hint="send its content instead",
    )
