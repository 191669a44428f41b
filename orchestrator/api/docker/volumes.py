"""Docker's endpoints about volumes."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from orchestrator.api.docker.requests import flag, json_body, text, texts
from orchestrator.api.parts import Parts
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.model.observed import Volume
from orchestrator.wire.filters import Filters
from orchestrator.wire.volumes import check_volume_name, labels_of, volume_summary

_LISTING = ("dangling", "driver", "label", "label!", "name")
_PRUNING = ("all", "label", "label!")
# Before this version of the API, volumes with a name were pruned like the others.
_SPARES_NAMED = (1, 42)


class VolumeHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._volumes = parts.nouns.volumes

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/volumes", self.volumes),
            web.post("/volumes/create", self.create_volume),
            web.post("/volumes/prune", self.prune),
            web.get("/volumes/{name}", self.volume),
            web.put("/volumes/{name}", self.update_volume),
            web.delete("/volumes/{name}", self.remove_volume),
        ]

    async def volumes(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), _LISTING)
        dangling = filters.flag("dangling")
        shown = [
            volume_summary(volume)
            for volume in self._volumes.all()
            if filters.pattern("name", volume.name)
            and filters.exact("driver", volume.driver)
            and filters.labels(labels_of(volume))
            and (dangling is None or dangling != self._is_used(volume))
        ]
        return web.json_response({"Volumes": shown, "Warnings": None})

    async def volume(self, request: web.Request) -> web.Response:
        return web.json_response(volume_summary(self._volumes.get(request.match_info["name"])))

    async def create_volume(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        name = text(body, "Name")
        if name:
            check_volume_name(name)
        if body.get("ClusterVolumeSpec"):
            raise InvalidInput(
                "volume: there are no cluster volumes here: this is not a swarm",
                code="not-a-swarm",
                about=name,
                hint="make a local volume",
            )
        made = await self._volumes.ensure(
            name,
            driver=text(body, "Driver") or "local",
            options=texts(body, "DriverOpts"),
            labels=texts(body, "Labels"),
        )
        return web.json_response(volume_summary(made), status=201)

    async def update_volume(self, request: web.Request) -> web.Response:
        """Only cluster volumes can be updated, of which there are none.  Raises: NotFound."""
        raise NotFound(
            f"no such cluster volume: {request.match_info['name']}",
            code="no-such-volume",
            about=request.match_info["name"],
            hint="only the volumes of a swarm can be updated; remove it and create it anew",
        )

    async def remove_volume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._volumes.remove(name, force=flag(request, "force"))
        return web.Response(status=204)

    async def prune(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), _PRUNING)
        every = filters.flag("all", default=not _spares_named(request))
        removed: list[str] = []
        freed = 0
        for volume in self._unused(filters, every=bool(every)):
            size = await self._parts.disk.volume_size(volume)
            try:
                await self._volumes.remove(volume.name)
            except (Conflict, NotFound):
                continue  # somebody uses it now, or was faster
            removed.append(volume.name)
            freed += size
        self._parts.events.tell("volume", "prune", "", {"reclaimed": str(freed)})
        return web.json_response({"VolumesDeleted": removed, "SpaceReclaimed": freed})

    def _unused(self, filters: Filters, *, every: bool) -> Iterable[Volume]:
        return [
            volume
            for volume in self._volumes.all()
            if (every or volume.anonymous)
            and filters.labels(labels_of(volume))
            and not self._is_used(volume)
        ]

    def _is_used(self, volume: Volume) -> bool:
        return bool(self._volumes.users(volume.name))


def _spares_named(request: web.Request) -> bool:
    version = request.match_info.get("version") or ""
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    return not numbers or numbers >= _SPARES_NAMED
