"""Whose namespaces a container shares. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container

_PREFIX = "container:"


def with_identified_owners(spec: ContainerSpec, find: Callable[[str], Container]) -> ContainerSpec:
    """The specification with each `container:NAME` as `container:ID`, which outlives a renaming.

    Raises: whatever `find` does where there is no such container.
    """

    def identified(mode: str) -> str:
        shared = mode.startswith(_PREFIX)
        return _PREFIX + find(mode.removeprefix(_PREFIX)).id if shared else mode

    return replace(
        spec,
        network_mode=identified(spec.network_mode),
        pid_mode=identified(spec.pid_mode),
        ipc_mode=identified(spec.ipc_mode),
    )
