"""Docker's endpoints that talk to registries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from aiohttp import web

from orchestrator.api.docker.messages import Line, messages
from orchestrator.api.docker.requests import json_body
from orchestrator.api.parts import Parts
from orchestrator.api.status import body_of
from orchestrator.engine.transfers import Pulled, Transfers
from orchestrator.errors import Denied, InvalidInput
from orchestrator.images.reference import parse_reference
from orchestrator.model.events import Progress, Report
from orchestrator.wire.credentials import Credentials, from_fields, from_header
from orchestrator.wire.filters import Filters
from orchestrator.wire.transfers import (
    distribution,
    layer_line,
    pulled_lines,
    pushed_lines,
    search_entry,
)

_SEARCH_LIMIT = 25
_SEARCH_FILTERS = ("stars", "is-official", "is-automated")


class RegistryHandlers:
    def __init__(self, parts: Parts) -> None:
        self._transfers = parts.transfers

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/images/{name:.+}/push", self.push),
            web.get("/images/search", self.search),
            web.get("/distribution/{name:.+}/json", self.distribution),
            web.post("/auth", self.auth),
        ]

    async def push(self, request: web.Request) -> web.StreamResponse:
        name, tag = request.match_info["name"], request.query.get("tag", "")
        reference = parse_reference(name)
        credentials = registry_auth(request)
        if not tag and ":" in name.rpartition("/")[2]:
            tag = reference.tag

        def line_of(progress: Progress) -> Line | None:
            if progress.step == "pushing":
                return {"status": f"The push refers to repository [{reference.name}]"}
            return layer_line(progress)

        async def push(report: Report) -> Iterable[Line]:
            done = await self._transfers.push(name, tag, report, credentials)
            return [
                line
                for one in done
                for line in pushed_lines(one.reference.tag, one.digest, one.size_bytes)
            ]

        return await messages(request, push, line_of)

    async def search(self, request: web.Request) -> web.Response:
        term = request.query.get("term", "")
        if not term:
            raise InvalidInput(
                "search for what?", code="bad-request", about="term", hint="give a term"
            )
        filters = Filters.parse(request.query.get("filters", ""), _SEARCH_FILTERS)
        official = filters.flag("is-official")
        automated = filters.flag("is-automated")
        stars = max(filters.each("stars", int, "a whole number"), default=0)
        limit = request.query.get("limit", "")
        found = await self._transfers.search(
            term, int(limit) if limit.isdecimal() else _SEARCH_LIMIT, registry_auth(request)
        )
        shown = [
            search_entry(**asdict(one))
            for one in found
            if one.stars >= stars
            and official in (None, one.official)
            and automated in (None, one.automated)
        ]
        return web.json_response(shown)

    async def distribution(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = await self._transfers.inspect(name, registry_auth(request))
        described = found.descriptor
        return web.json_response(
            distribution(
                described.media_type,
                described.digest,
                described.size_bytes,
                [asdict(platform) for platform in found.platforms],
            )
        )

    async def auth(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        address = str(body.get("serveraddress") or "")
        try:
            token = await self._transfers.login(from_fields(body) or Credentials(), address)
        except Denied as error:
            return web.json_response(body_of(error), status=401)
        return web.json_response({"Status": "Login Succeeded", "IdentityToken": token})


async def pull(request: web.Request, transfers: Transfers) -> web.StreamResponse:
    """The answer to POST /images/create with `fromImage`: without a tag it is every tag."""
    query = request.query
    name, tag = query.get("fromImage", ""), query.get("tag", "")
    if tag:
        name += f"@{tag}" if ":" in tag else f":{tag}"
    reference = parse_reference(name)
    every = not tag and "@" not in name and ":" not in name.rpartition("/")[2]
    platform, credentials = query.get("platform", ""), registry_auth(request)

    def line_of(progress: Progress) -> Line | None:
        if progress.step == "found":
            known = parse_reference(progress.subject.removeprefix("image "))
            return {"status": f"Pulling from {reference.path}", "id": known.tag or known.digest}
        return layer_line(progress)

    async def work(report: Report) -> Iterable[Line]:
        if every:
            done = await transfers.pull_all(
                name, report, platform=platform, credentials=credentials
            )
            return _pulled(done, reference.with_tag("").familiar)
        one = await transfers.pull(name, report, platform=platform, credentials=credentials)
        return _pulled([one], one.reference.familiar)

    return await messages(request, work, line_of)


def registry_auth(request: web.Request) -> Credentials | None:
    """Who the client is at the registry, as it says; None leaves it to the engine's user."""
    return from_header(request.headers.get("X-Registry-Auth", ""))


def _pulled(done: list[Pulled], name: str) -> list[Line]:
    newer = any(one.newer for one in done)
    lines = [line for one in done[:-1] for line in pulled_lines("", one.digest, newer=newer)[:1]]
    return [*lines, *pulled_lines(name, done[-1].digest, newer=newer)]
