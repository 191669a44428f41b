"""Our own endpoints about builds: everything the command line can ask of one."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.api.work import worked
from orchestrator.build.checks.finding import Finding
from orchestrator.errors import InvalidInput
from orchestrator.model.events import Report
from orchestrator.model.stack import Build

_PREFIX = "/pystack/v1"


class BuildHandlers:
    def __init__(self, parts: Parts) -> None:
        self._builds = parts.nouns.builds

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PREFIX + "/build", self.build),
            web.post(_PREFIX + "/build/check", self.check),
        ]

    async def build(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        build = _build(body)
        tags = tuple(str(tag) for tag in body.get("tags") or ())
        title = str(body["title"]) if "title" in body else None

        async def work(report: Report) -> dict[str, object]:
            built = await self._builds.run(build, tags, report, title=title)
            return {
                "id": built.image.id,
                "digest": built.image.manifest_digest,
                "tags": list(built.image.tags),
                "warnings": [_shown(finding) for finding in built.findings],
            }

        return await worked(request, work)

    async def check(self, request: web.Request) -> web.StreamResponse:
        build = _build(await json_body(request))

        async def work(report: Report) -> dict[str, object]:
            findings = await self._builds.check(build, report)
            return {"warnings": [_shown(finding) for finding in findings]}

        return await worked(request, work)


def _build(body: dict[str, Any]) -> Build:
    try:
        return msgspec.convert(body.get("build"), Build)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"this is no build: {error}",
            code="bad-request",
            about="build",
            hint="the command line and the engine may be of different versions",
        ) from error


def _shown(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "message": finding.message,
        "file": finding.where.file,
        "line": finding.where.line,
        "source": finding.where.source,
    }
