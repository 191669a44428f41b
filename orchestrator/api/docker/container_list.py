"""GET /containers/json and POST /containers/prune."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.docker.container_filters import LISTING, PRUNING, Known, listed, prunable
from orchestrator.api.docker.requests import flag, whole
from orchestrator.api.parts import Parts
from orchestrator.errors import Conflict, NotFound
from orchestrator.wire.container_list import container_summary
from orchestrator.wire.filters import Filters
from orchestrator.wire.times_of_day import by_time_of_day


class ContainerListHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._containers = parts.nouns.containers
        self._images = parts.nouns.images

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/containers/json", self.index),
            web.post("/containers/prune", self.prune),
        ]

    async def index(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), LISTING)
        known = Known(
            container=self._containers.get,
            image=self._images.get,
            image_of=self._images.find,
            images=self._images.all(),
        )
        found = listed(
            self._containers.all(),
            filters,
            known,
            every=flag(request, "all"),
            limit=whole(request, "limit"),
        )
        sizes = await self._parts.disk.container_sizes(found) if flag(request, "size") else {}
        volumes = {volume.name: volume for volume in self._parts.nouns.volumes.all()}
        ids = self._parts.nouns.networks.ids()
        drift_s = self._parts.clock.drift()
        shown = []
        for container in found:
            image = self._images.find(container.image_id)
            shown.append(
                container_summary(
                    by_time_of_day(container, drift_s),
                    image,
                    volumes=volumes,
                    sizes=sizes.get(container.id),
                    network_ids=ids,
                )
            )
        return web.json_response(shown)

    async def prune(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), PRUNING)
        chosen = prunable(
            self._containers.all(), filters, self._images.find, self._parts.clock.now()
        )
        sizes = await self._parts.disk.container_sizes(chosen)
        removed: list[str] = []
        for container in chosen:
            try:
                await self._containers.remove(container.id)
            except (Conflict, NotFound):
                continue  # it was started, or removed, meanwhile
            removed.append(container.id)
        freed = sum(sizes[identifier].written for identifier in removed)
        self._parts.events.tell("container", "prune", "", {"reclaimed": str(freed)})
        return web.json_response({"ContainersDeleted": removed or None, "SpaceReclaimed": freed})
