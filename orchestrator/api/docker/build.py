"""Docker's endpoints about builds: the classic builder's, with the context as the request's body.

Source: Docker Engine API, "Build an image", "Delete builder cache".
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from aiohttp import web
from anyio import to_thread

from orchestrator.api.docker.requests import flag, whole
from orchestrator.api.parts import Parts
from orchestrator.api.status import body_of
from orchestrator.api.streams import JsonLines, json_lines
from orchestrator.engine.builds import Built
from orchestrator.errors import InvalidInput, PystackError
from orchestrator.model.container import Ulimit
from orchestrator.model.events import Progress
from orchestrator.model.ids import short_id
from orchestrator.model.quantities import parse_duration
from orchestrator.model.stack import Build
from orchestrator.wire.filters import Filters
from orchestrator.wire.images import familiar

_PIECE = 1 << 20
_WAITING = 100_000
_STEP = re.compile(r"\[(?:.* )?(\d+)/(\d+)\] (.*)", re.DOTALL)
_EXIT = re.compile(r": exit code (\d+)(?:\n|$)")
_FILTERS = ("until", "unused-for", "id", "type", "inuse", "shared", "private", "description")


class DockerBuildHandlers:
    def __init__(self, parts: Parts) -> None:
        self._builds = parts.nouns.builds

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/build", self.build),
            web.post("/build/prune", self.prune),
        ]

    async def build(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if query.get("version") == "2":
            raise InvalidInput(
                "this builder speaks no BuildKit sessions",
                code="buildkit-unsupported",
                about="version",
                hint="build with DOCKER_BUILDKIT=0, or with pystack build",
            )
        tags = tuple(tag for tag in query.getall("t", []) if tag)
        with self._spool() as spool:
            remote = query.get("remote", "")
            if not remote:
                await _receive(request, spool)
            context = remote or (str(spool) if spool.stat().st_size else "")
            build = _wanted(query, context)
            return await self._told(request, build, tags)

    async def prune(self, request: web.Request) -> web.Response:
        query = request.query
        filters = Filters.parse(query.get("filters", ""), _FILTERS)
        ages = [*filters.each("until", parse_duration, "a duration like 24h")]
        ages += filters.each("unused-for", parse_duration, "a duration like 24h")
        kept = max(
            whole(request, name) for name in ("keep-storage", "reserved-space", "max-used-space")
        )
        pruned = await self._builds.storage.prune(
            everything=flag(request, "all"),
            keep_bytes=kept,
            unused_for_s=max(ages, default=0.0),
            ids=filters["id"],
            kinds=filters["type"],
        )
        shown = {"CachesDeleted": list(pruned.ids), "SpaceReclaimed": pruned.size_bytes}
        return web.json_response(shown)

    @contextmanager
    def _spool(self) -> Iterator[Path]:
        """A file for a context, gone after the block."""
        uploads = self._builds.uploads
        uploads.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=uploads, suffix=".tar") as file:
            yield Path(file.name)

    async def _told(
        self, request: web.Request, build: Build, tags: Sequence[str]
    ) -> web.StreamResponse:
        quiet = flag(request, "q")
        send, receive = anyio.create_memory_object_stream[Progress](_WAITING)

        def report(progress: Progress) -> None:
            if not quiet and send.statistics().current_buffer_used < _WAITING - 1:
                send.send_nowait(progress)

        async with json_lines(request) as lines:
            last: list[Mapping[str, Any]] = []

            async def tell() -> None:
                told = _Told()
                async for progress in receive:
                    for text in told.lines(progress):
                        await lines.send({"stream": text})

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tell)
                try:
                    built = await self._builds.run(build, tags, report, title="")
                    last = _ended(built, tags, quiet=quiet)
                except PystackError as error:
                    last = [_failed(error)]
                finally:
                    send.close()
            receive.close()
            await _send_all(lines, last)
        return lines.response


@dataclass(slots=True)
class _Told:
    """Progress as the classic builder tells it."""

    running: str = ""

    def lines(self, progress: Progress) -> Iterator[str]:
        match = _STEP.match(progress.subject)
        if progress.step == "output":
            yield f"{progress.detail}\n"
        elif match is not None and progress.step in ("running", "cached"):
            yield f"Step {match[1]}/{match[2]} : {match[3]}\n"
            if progress.step == "cached":
                yield " ---> Using cache\n"


def _ended(built: Built, tags: Sequence[str], *, quiet: bool) -> list[Mapping[str, Any]]:
    identifier = built.image.id
    if quiet:
        return [{"stream": f"{identifier}\n"}]
    texts = [f"Successfully built {short_id(identifier)}\n"]
    texts += [f"Successfully tagged {familiar(tag)}\n" for tag in built.image.tags if tags]
    return [{"aux": {"ID": identifier}}, *({"stream": text} for text in texts)]


def _failed(error: PystackError) -> Mapping[str, Any]:
    match = _EXIT.search(error.message)
    detail: dict[str, Any] = {"message": error.message}
    if match is not None:
        # Docker's clients take this as the command's exit code.
        detail["code"] = int(match[1])
    return {"errorDetail": detail, "error": error.message, "fault": body_of(error)}


async def _send_all(lines: JsonLines, messages: Sequence[Mapping[str, Any]]) -> None:
    for message in messages:
        await lines.send(message)


async def _receive(request: web.Request, path: Path) -> None:
    with path.open("wb") as file:
        async for piece in request.content.iter_chunked(_PIECE):
            await to_thread.run_sync(file.write, piece)


def _wanted(query: Any, context: str) -> Build:
    """What the query asks for.  Raises: InvalidInput: a value of it is not understood."""
    try:
        return _build(query, context)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the build is malformed: {error}",
            code="bad-request",
            about="build",
            hint="see the Engine API's ImageBuild",
        ) from error


def _build(query: Any, context: str) -> Build:
    arguments = _document(query, "buildargs", {})
    hosts = [host for text in query.getall("extrahosts", []) for host in text.split(",") if host]
    return Build(
        context=context,
        dockerfile=query.get("dockerfile") or "Dockerfile",
        target=query.get("target", ""),
        args={str(n): str(v) for n, v in arguments.items() if v is not None},
        labels={str(n): str(v) for n, v in _document(query, "labels", {}).items()},
        no_cache=query.get("nocache", "").lower() in ("1", "true"),
        pull=query.get("pull", "").lower() in ("1", "true"),
        network=query.get("networkmode", ""),
        extra_hosts=tuple(hosts),
        shm_size_bytes=int(query.get("shmsize") or 0),
        ulimits=tuple(
            Ulimit(name=str(u["Name"]).lower(), soft=int(u["Soft"]), hard=int(u["Hard"]))
            for u in _document(query, "ulimits", [])
        ),
        platforms=tuple(filter(None, [query.get("platform", "")])),
        cache_from=tuple(str(name) for name in _document(query, "cachefrom", []) or ()),
    )


def _document(query: Any, name: str, empty: Any) -> Any:
    text = query.get(name, "")
    try:
        found = json.loads(text) if text else empty
    except ValueError:
        found = None
    if found is None or not isinstance(found, type(empty)):
        if text == "null":
            return empty
        raise InvalidInput(
            f"{name} is not understood: {text}",
            code="bad-request",
            about=name,
            hint="it is a JSON document",
        )
    return found
