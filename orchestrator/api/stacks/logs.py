"""The output of a stack's containers, as lines of JSON."""

from __future__ import annotations

import anyio
from aiohttp import web

from orchestrator.api.docker.requests import flag, seconds
from orchestrator.api.logs import container_lines
from orchestrator.api.parts import Parts
from orchestrator.api.stacks.wishes import PREFIX
from orchestrator.api.streams import json_lines
from orchestrator.model.observed import Container
from orchestrator.state import labels


class StackLogHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PREFIX + "/stacks/{name}/logs", self.logs)]

    async def logs(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        query = request.query
        tail = query.get("tail") or "all"
        since = seconds(request, "since") or 0.0
        chosen = {s for s in (query.get("services") or "").split(",") if s}
        following = flag(request, "follow")
        seen: set[str] = set()
        containers = self._parts.nouns.containers

        def fresh() -> list[Container] | None:
            found = [
                c
                for c in containers.labelled(labels.PROJECT, name)
                if c.id not in seen and (not chosen or c.spec.labels.get(labels.SERVICE) in chosen)
            ]
            return found or None

        async with json_lines(request) as lines:

            async def tell(container: Container) -> None:
                own = container.spec.labels
                async for line in container_lines(
                    self._parts,
                    container,
                    lines=int(tail) if tail.isdecimal() else None,
                    since=since,
                    following=following,
                ):
                    await lines.send(
                        {
                            "container": container.name,
                            "service": own.get(labels.SERVICE, ""),
                            "number": int(own.get(labels.NUMBER) or 0),
                            "stream": "stderr" if line.stream in (2, "stderr") else "stdout",
                            "time": line.time,
                            "line": line.text.decode(errors="replace"),
                        }
                    )

            async with anyio.create_task_group() as tasks:
                while True:
                    found = await containers.changes.until(fresh) if following else fresh()
                    for container in found or ():
                        seen.add(container.id)
                        tasks.start_soon(tell, container)
                    if not following:
                        break
        return lines.response
