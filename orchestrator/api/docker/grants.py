"""Docker's endpoints about secrets and configs, which are kept on this machine.

Source: the Docker Engine API reference, version 1.45, "Secret", "Config".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from orchestrator.api.docker.requests import json_body, texts
from orchestrator.api.parts import Parts
from orchestrator.errors import InvalidInput
from orchestrator.state.grants import Kept
from orchestrator.wire.filters import Filters
from orchestrator.wire.times import timestamp

_FILTERS = ("id", "label", "name", "names")
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?")
# Source: swarmkit's limits.
_MOST_BYTES = {True: 500 << 10, False: 1000 << 10}


class GrantHandlers:
    """The endpoints of one of both nouns, which are alike but for who may read the content."""

    def __init__(self, parts: Parts, *, secret: bool) -> None:
        self._grants = parts.grants
        self._events = parts.events
        self._secret = secret

    def routes(self) -> list[web.RouteDef]:
        every = "/secrets" if self._secret else "/configs"
        return [
            web.get(every, self.index),
            web.post(every + "/create", self.create),
            web.get(every + "/{id}", self.inspect),
            web.delete(every + "/{id}", self.remove),
            web.post(every + "/{id}/update", self.update),
        ]

    async def index(self, request: web.Request) -> web.Response:
        filters = Filters.parse(request.query.get("filters", ""), _FILTERS)
        return web.json_response(
            [
                self._shown(kept)
                for kept in self._grants.all(secret=self._secret)
                if filters.prefix("id", kept.id)
                and filters.prefix("name", kept.name)
                and filters.exact("names", kept.name)
                and filters.labels(kept.labels)
            ]
        )

    async def create(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        name = _name(body)
        if body.get("Driver") or body.get("Templating"):
            raise InvalidInput(
                f"{self._noun} {name}: there are no drivers and no templates for contents here",
                code="not-supported",
                about=name,
                hint="send the content itself",
            )
        content = _content(body, name)
        if len(content) > _MOST_BYTES[self._secret]:
            raise InvalidInput(
                f"{self._noun} {name} is larger than {_MOST_BYTES[self._secret] >> 10} KiB",
                code="content-too-large",
                about=name,
                hint="mount a file or a volume instead",
            )
        kept = self._grants.create(name, content, secret=self._secret, labels=texts(body, "Labels"))
        self._events.tell(self._noun, "create", kept.id, {"name": name})
        return web.json_response({"ID": kept.id}, status=201)

    async def inspect(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._named(request)))

    async def remove(self, request: web.Request) -> web.Response:
        kept = self._named(request)
        self._grants.remove(kept.id, secret=self._secret)
        self._events.tell(self._noun, "remove", kept.id, {"name": kept.name})
        return web.Response(status=204)

    async def update(self, request: web.Request) -> web.Response:
        """Labels alone can be changed, from the version that the client has seen."""
        kept = self._named(request)
        body = await json_body(request)
        version = request.query.get("version", "")
        if not version.isdecimal():
            raise InvalidInput(
                f"invalid {self._noun} version {version!r}",
                code="bad-request",
                about="version",
                hint="send ?version=, as inspect tells it in Version.Index",
            )
        same = body.get("Name") in (None, "", kept.name)
        if not same or (body.get("Data") and _content(body, kept.name) != self._content(kept)):
            raise InvalidInput(
                "only updates to Labels are allowed",
                code="not-supported",
                about=kept.name,
                hint=f"remove the {self._noun} and create it anew, or create another one",
            )
        self._grants.relabel(kept, int(version), texts(body, "Labels"))
        self._events.tell(self._noun, "update", kept.id, {"name": kept.name})
        return web.Response(status=200)

    @property
    def _noun(self) -> Any:
        return "secret" if self._secret else "config"

    def _named(self, request: web.Request) -> Kept:
        return self._grants.named(request.match_info["id"], secret=self._secret)

    def _content(self, kept: Kept) -> bytes:
        return self._grants.content(kept.id)

    def _shown(self, kept: Kept) -> dict[str, Any]:
        spec: dict[str, Any] = {"Name": kept.name, "Labels": dict(kept.labels)}
        if not self._secret:
            spec["Data"] = base64.b64encode(self._content(kept)).decode()
        return {
            "ID": kept.id,
            "Version": {"Index": kept.index},
            "CreatedAt": timestamp(kept.created_at),
            "UpdatedAt": timestamp(kept.updated_at or kept.created_at),
            "Spec": spec,
        }


def _name(body: Mapping[str, Any]) -> str:
    name = body.get("Name") or ""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"invalid name: {name!r}, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and "
            "end character must be [a-zA-Z0-9]",
            code="name-invalid",
            about="Name",
            hint="choose another name",
        )
    return name


def _content(body: Mapping[str, Any], name: str) -> bytes:
    """The content in a body: base64, of either alphabet.  Source: RFC 4648, 4 and 5."""
    try:
        text = str(body.get("Data") or "").translate({ord("-"): "+", ord("_"): "/"})
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            f"the content of {name} is not base64: {error}",
            code="bad-request",
            about="Data",
            hint="send the content in base64",
        ) from error
