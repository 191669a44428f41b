"""Docker's endpoint about the room that everything takes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from orchestrator.api.parts import Parts
from orchestrator.engine.build_storage import CacheEntry
from orchestrator.engine.disk_usage import KINDS, DiskReport
from orchestrator.errors import InvalidInput
from orchestrator.wire.container_list import container_summary
from orchestrator.wire.disk_usage import cache_entry, volume_usage
from orchestrator.wire.images import image_summary
from orchestrator.wire.times_of_day import by_time_of_day


class DiskUsageHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/system/df", self.usage)]

    async def usage(self, request: web.Request) -> web.Response:
        kinds = request.query.getall("type", list(KINDS))
        for kind in kinds:
            if kind not in KINDS:
                raise InvalidInput(
                    f"unknown object type: {kind}",
                    code="bad-request",
                    about="type",
                    hint=f"there are {', '.join(KINDS)}",
                )
        report = await self._parts.disk.report(kinds)
        return web.json_response(self._body(report, kinds))

    def _body(self, report: DiskReport, kinds: list[str]) -> dict[str, Any]:
        images = self._parts.nouns.images
        volumes = {usage.volume.name: usage.volume for usage in report.volumes}
        shown: dict[str, Any] = {}
        if "image" in kinds:
            shown["LayersSize"] = report.layers_bytes
            shown["LayersReclaimable"] = report.layers_reclaimable_bytes
            shown["Images"] = [
                image_summary(u.image, containers=u.containers, shared_bytes=u.shared_bytes)
                for u in report.images
            ]
        if "container" in kinds:
            drift_s = self._parts.clock.drift()
            shown["Containers"] = [
                container_summary(
                    by_time_of_day(c, drift_s),
                    images.find(c.image_id),
                    volumes=volumes,
                    sizes=sizes,
                )
                for c, sizes in report.containers
            ]
        if "volume" in kinds:
            shown["Volumes"] = [
                volume_usage(u.volume, u.size_bytes, u.containers) for u in report.volumes
            ]
        if "build-cache" in kinds:
            shown["BuildCache"] = [_cached(entry) for entry in report.build_cache.entries]
        return shown


def _cached(entry: CacheEntry) -> dict[str, Any]:
    return cache_entry(
        identifier=entry.id,
        kind=entry.kind,
        description=entry.description,
        size_bytes=entry.size_bytes,
        created_at=entry.created_at,
        last_used_at=entry.last_used_at,
        in_use=entry.in_use,
        shared=entry.shared,
    )
