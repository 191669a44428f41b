"""Endpoints that change a container as it is: pause, unpause, rename, update."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.engine.adjust import Update
from orchestrator.errors import InvalidInput
from orchestrator.model.container import RestartName, RestartPolicy
from orchestrator.wire.updates import update_from


class ChangeHandlers:
    def __init__(self, parts: Parts) -> None:
        self._adjust = parts.nouns.containers.adjust

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.post(one + "/pause", self.pause),
            web.post(one + "/unpause", self.unpause),
            web.post(one + "/rename", self.rename),
            web.post(one + "/update", self.update),
        ]

    async def pause(self, request: web.Request) -> web.Response:
        await self._adjust.pause(request.match_info["id"])
        return web.Response(status=204)

    async def unpause(self, request: web.Request) -> web.Response:
        await self._adjust.unpause(request.match_info["id"])
        return web.Response(status=204)

    async def rename(self, request: web.Request) -> web.Response:
        await self._adjust.rename(request.match_info["id"], request.query.get("name", ""))
        return web.Response(status=204)

    async def update(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        try:
            update = Update(limits=update_from(body), restart=_policy(body.get("RestartPolicy")))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InvalidInput(
                f"the update is malformed: {error}",
                code="bad-request",
                about="body",
                hint="send the members of Resources, and RestartPolicy",
            ) from error
        warnings = await self._adjust.update(request.match_info["id"], update)
        return web.json_response({"Warnings": warnings})


def _policy(given: dict[str, Any] | None) -> RestartPolicy | None:
    """The policy to have; one without a name says nothing."""
    name = (given or {}).get("Name") or ""
    if not given or not name:
        return None
    retries = int(given.get("MaximumRetryCount") or 0)
    if name not in ("no", "always", "on-failure", "unless-stopped"):
        raise InvalidInput(
            f"invalid restart policy: unknown policy '{name}'",
            code="restart-policy-invalid",
            about=name,
            hint="use one of no, always, on-failure and unless-stopped",
        )
    if retries and name != "on-failure":
        raise InvalidInput(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            code="restart-policy-invalid",
            about=name,
            hint="leave the number out",
        )
    if retries < 0:
        raise InvalidInput(
            "invalid restart policy: maximum retry count cannot be negative",
            code="restart-policy-invalid",
            about=name,
            hint="use a positive number",
        )
    return RestartPolicy(name=cast(RestartName, name), max_retries=retries)
