"""What a stack means in containers: names, labels and specifications. Pure."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.model.config_hash import config_hash
from orchestrator.model.container import ContainerSpec, GrantedFile
from orchestrator.model.stack import Service, Stack
from orchestrator.state import labels


def container_name(stack: Stack, service: Service, number: int) -> str:
    """The name of the service's container with that number."""
    if service.container_name:
        return service.container_name
    return f"{stack.name}-{service.name}-{number}"


class Specs:
    """The specifications of a stack's containers, each made once.

    A loop looks at its stack after every change of the world, and the stack itself stays the same.
    """

    def __init__(self) -> None:
        self._stack: Stack | None = None
        self._known: dict[tuple[int, int], tuple[Service, ContainerSpec]] = {}

    def of(self, stack: Stack, service: Service, number: int) -> ContainerSpec:
        """As `container_spec`."""
        if stack is not self._stack:
            self._stack = stack
            self._known.clear()
        key = (id(service), number)
        known = self._known.get(key)
        if known is None:
            # The service is kept with it: its id is nobody else's as long as it lives.
            known = self._known[key] = (service, container_spec(stack, service, number))
        return known[1]


def container_spec(stack: Stack, service: Service, number: int) -> ContainerSpec:
    """The full specification of the service's container with that number."""
    spec = service.container
    own = {
        labels.PROJECT: stack.name,
        labels.SERVICE: service.name,
        labels.NUMBER: str(number),
        labels.ONEOFF: "False",
        labels.CONFIG_HASH: config_hash(service),
        labels.WORKING_DIR: stack.working_dir,
        labels.CONFIG_FILES: ",".join(stack.files),
        labels.DEPENDS_ON: ",".join(
            f"{d.service}:{d.condition}:{str(d.restart).lower()}" for d in service.depends_on
        ),
    }
    return replace(
        spec,
        labels={**spec.labels, **own},
        attachments=tuple(replace(a, links=_links(stack, a.links)) for a in spec.attachments),
        volumes_from=tuple(_mounted(stack, text) for text in spec.volumes_from),
        files=tuple(_versioned(stack, file) for file in spec.files),
        network_mode=_mode(stack, spec.network_mode),
        pid_mode=_mode(stack, spec.pid_mode),
        ipc_mode=_mode(stack, spec.ipc_mode),
    )


def one_off_spec(stack: Stack, service: Service) -> ContainerSpec:
    """The specification of a container of the service beside those that the stack has."""
    spec = container_spec(stack, service, 1)
    return replace(spec, labels={**spec.labels, labels.ONEOFF: "True"})


def _mode(stack: Stack, mode: str) -> str:
    """`service:x` as the container that it means."""
    owner = stack.service(mode.removeprefix("service:")) if mode.startswith("service:") else None
    return mode if owner is None else f"container:{container_name(stack, owner, 1)}"


def _links(stack: Stack, links: tuple[str, ...]) -> tuple[str, ...]:
    """Links to services as links to their containers."""
    found = []
    for link in links:
        name, _, alias = link.removeprefix("service:").partition(":")
        service = stack.service(name) if link.startswith("service:") else None
        if service is None:
            found.append(link)
        else:
            numbers = range(1, service.scale + 1)
            found += [f"{container_name(stack, service, n)}:{alias}" for n in numbers]
    return tuple(found)


def _mounted(stack: Stack, text: str) -> str:
    """A `volumes_from` with the container that a service means."""
    if text.startswith("container:"):
        return text.removeprefix("container:")
    name, colon, mode = text.partition(":")
    service = stack.service(name)
    return text if service is None else f"{container_name(stack, service, 1)}{colon}{mode}"


def _versioned(stack: Stack, file: GrantedFile) -> GrantedFile:
    """The file with the version that its content has now."""
    for granted in stack.granted:
        if granted.source == file.source:
            return replace(file, version=granted.version)
    return file
