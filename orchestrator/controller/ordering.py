"""Which service needs which, and the order that follows. Pure."""

from __future__ import annotations

from orchestrator.model.stack import Service, Stack


def ordered(
    stack: Stack, only: frozenset[str] = frozenset(), *, no_deps: bool = False
) -> list[Service]:
    """The services, each after those it depends on; with `only`, those and (unless `no_deps`)
    what they need."""
    result: dict[str, Service] = {}
    seen: set[str] = set()
    known = {service.name: service for service in stack.services}

    def visit(name: str) -> None:
        service = known.get(name)
        if service is None or name in seen:
            return
        seen.add(name)
        for each in needed(service):
            visit(each)
        result[name] = service

    for service in stack.services:
        if not only or service.name in only:
            visit(service.name)
    if no_deps and only:
        return [service for name, service in result.items() if name in only]
    return list(result.values())


def needed(service: Service) -> list[str]:
    """The services that this one depends on, those whose namespaces it shares among them."""
    declared = [d.service for d in service.depends_on]
    return list(dict.fromkeys(declared + namespace_owners(service) + mounted(service)))


def mounted(service: Service) -> list[str]:
    """The services whose mounts this one takes: it cannot be made before they are."""
    return [
        name.partition(":")[0]
        for name in service.container.volumes_from
        if not name.startswith("container:")
    ]


def namespace_owners(service: Service) -> list[str]:
    """The services whose network, process or IPC namespace this one shares."""
    spec = service.container
    modes = (spec.network_mode, spec.pid_mode, spec.ipc_mode)
    return [m.removeprefix("service:") for m in modes if m.startswith("service:")]
