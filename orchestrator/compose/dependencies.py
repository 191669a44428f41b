"""What each service depends on: as it says, and by sharing another's namespace or a link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.compose.node import Node

_SHARED = ("network_mode", "ipc", "pid")
SERVICE_PREFIX = "service:"


def implied(service: Node) -> Iterator[tuple[str, str, Node]]:
    """The services that others than `depends_on` refer to: their name, the key, the place."""
    for key in _SHARED:
        node = service.get(key)
        if node is not None and node.string.startswith(SERVICE_PREFIX):
            yield node.string.removeprefix(SERVICE_PREFIX), key, node
    mounted = service.get("volumes_from")
    for number, node in enumerate(mounted.items if mounted else ()):
        if not node.string.startswith("container:"):
            yield node.string.split(":")[0], f"volumes_from[{number}]", node
    links = service.get("links")
    for number, link in enumerate(links.items if links else ()):
        yield link.string.split(":")[0], f"links[{number}]", link


def all_of(service: Node) -> dict[str, Node]:
    """Every service that this one depends on, with the place that says so."""
    declared = service.get("depends_on")
    found = dict(declared.entries) if declared else {}
    for name, _, node in implied(service):
        if name:
            found.setdefault(name, node)
    return found


def cycle(services: Mapping[str, Node]) -> list[str]:
    """The first cycle among the services, its first one repeated at the end; else nothing."""
    done: set[str] = set()

    def visit(name: str, chain: list[str]) -> list[str]:
        if name in chain:
            return [*chain[chain.index(name) :], name]
        if name in done:
            return []
        for dependency in all_of(services[name]):
            if dependency == name:
                continue  # told where it is written
            if dependency in services and (found := visit(dependency, [*chain, name])):
                return found
        done.add(name)
        return []

    for name in services:
        if found := visit(name, []):
            return found
    return []
