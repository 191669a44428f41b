"""Docker's endpoints about single containers: making, starting, ending, removing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote

import msgspec
from aiohttp import web

from orchestrator.api.docker.requests import flag, grace, json_body
from orchestrator.api.parts import Parts
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.images.manifest import parse_platform
from orchestrator.model.container import ContainerSpec
from orchestrator.model.names import check_name, new_name
from orchestrator.model.observed import Container
from orchestrator.model.sharing import with_identified_owners
from orchestrator.wire.containers import ContainerPaths, container_inspect
from orchestrator.wire.create import spec_from_create, unused
from orchestrator.wire.times_of_day import by_time_of_day

_CONDITIONS = ("not-running", "next-exit", "removed")


class ContainerHandlers:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._containers = parts.nouns.containers

    def routes(self) -> list[web.RouteDef]:
        one = "/containers/{id}"
        return [
            web.post("/containers/create", self.create),
            web.get(one + "/json", self.inspect),
            web.post(one + "/start", self.start),
            web.post(one + "/stop", self.stop),
            web.post(one + "/restart", self.restart),
            web.post(one + "/kill", self.kill),
            web.post(one + "/wait", self.wait),
            web.delete(one, self.remove),
        ]

    def _get(self, request: web.Request) -> Container:
        return self._containers.get(request.match_info["id"])

    async def create(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        platform = request.query.get("platform") or ""
        spec = replace(spec_from_create(body), platform=platform)
        self._check_platform(spec)
        if not spec.network_mode and any(a.network == "bridge" for a in spec.attachments):
            await self._parts.nouns.networks.ensure_default()
        remove = bool((body.get("HostConfig") or {}).get("AutoRemove"))
        spec = with_identified_owners(spec, self._containers.get)
        for attachment in spec.attachments:
            # Elsewhere a link is only one more name, asked for when it is used.
            for link in attachment.links if attachment.network == "bridge" else ():
                self._containers.get(link.partition(":")[0])
        warnings = [*self._containers.admit(spec, auto_remove=remove), *unused(body)]
        name = (request.query.get("name") or "").removeprefix("/")
        if name:
            check_name(name)
        else:
            names = {c.name for c in self._containers.all()}
            name = new_name(names.__contains__)
        made = await self._containers.create(spec, name, auto_remove=remove)
        return web.json_response({"Id": made.id, "Warnings": warnings}, status=201)

    def _check_platform(self, spec: ContainerSpec) -> None:
        """Raises: NotFound: the image that is here is another platform's."""
        if not spec.platform:
            return
        image = self._parts.nouns.images.get(spec.image)
        wanted, config = parse_platform(spec.platform), image.config
        same = (wanted.os, wanted.architecture) == (config.os, config.architecture)
        if not same or (wanted.variant and config.variant not in ("", wanted.variant)):
            raise NotFound(
                f"the image {spec.image} that is here is not for {spec.platform}",
                code="no-such-image",
                about=spec.image,
                hint=f"pull it: `pystack pull --platform {spec.platform} {spec.image}`",
            )

    async def inspect(self, request: web.Request) -> web.Response:
        container = self._get(request)
        image = self._parts.nouns.images.find(container.image_id)
        volumes = {v.name: v for v in self._parts.nouns.volumes.all()}
        shown = container_inspect(
            by_time_of_day(container, self._parts.clock.drift()),
            image,
            self._paths(container),
            volumes,
            execs=self._parts.execs.of(container.id),
            apparmor=self._parts.launcher.apparmor_profile(container),
            runtime=self._parts.runtime.name,
            network_ids=self._parts.nouns.networks.ids(),
        )
        if flag(request, "size"):
            sizes = (await self._parts.disk.container_sizes([container]))[container.id]
            shown |= {"SizeRw": sizes.written, "SizeRootFs": sizes.whole}
        return web.json_response(shown)

    def _paths(self, container: Container) -> ContainerPaths:
        bundle = self._parts.launcher.bundle(container)
        files = self._parts.launcher.files(container.id)
        images = self._parts.nouns.images
        image = images.find(container.image_id)
        return ContainerPaths(
            log=str(bundle.log_path),
            hosts=str(files / "hosts"),
            hostname=str(files / "hostname"),
            resolv_conf=str(files / "resolv.conf"),
            upper=str(files / "upper"),
            work=str(files / "work"),
            merged=str(bundle.rootfs) if container.running else "",
            lowers=tuple(map(str, images.lowers(image))) if image and image.layers else (),
        )

    async def start(self, request: web.Request) -> web.Response:
        container = self._get(request)
        if container.running:
            return web.Response(status=304)
        await self._containers.start(container.id)
        return web.Response(status=204)

    async def stop(self, request: web.Request) -> web.Response:
        container = self._get(request)
        if not container.running and container.state.status != "restarting":
            return web.Response(status=304)
        await self._containers.stop(container.id, grace(request), _signal(request))
        return web.Response(status=204)

    async def restart(self, request: web.Request) -> web.Response:
        await self._containers.restart(self._get(request).id, grace(request), _signal(request))
        return web.Response(status=204)

    async def kill(self, request: web.Request) -> web.Response:
        await self._containers.kill(self._get(request).id, request.query.get("signal") or "KILL")
        return web.Response(status=204)

    async def wait(self, request: web.Request) -> web.StreamResponse:
        container = self._get(request)
        condition = request.query.get("condition") or "not-running"
        if condition not in _CONDITIONS:
            raise InvalidInput(
                f'invalid condition: "{condition}"',
                code="bad-request",
                about="condition",
                hint=f"one of {', '.join(_CONDITIONS)}",
            )
        # The head goes out before the wait, so that a client knows that its wait is registered.
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        code = await self._containers.wait_for(container.id, condition)
        with suppress(ConnectionError):  # whoever waited may have gone
            await response.write(msgspec.json.encode({"StatusCode": code}))
            await response.write_eof()
        return response

    async def remove(self, request: web.Request) -> web.Response:
        if flag(request, "link"):
            await self._containers.adjust.unlink(unquote(request.match_info["id"]))
            return web.Response(status=204)
        await self._containers.remove(
            self._get(request).id, force=flag(request, "force"), volumes=flag(request, "v")
        )
        return web.Response(status=204)


def _signal(request: web.Request) -> str:
    return request.query.get("signal") or ""
