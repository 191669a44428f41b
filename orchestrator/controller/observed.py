"""What is there of one stack, as one value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model.observed import Container, Network, Volume
from orchestrator.state import labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The real things of a stack.

    `containers` are the stack's own by name; `networks` and `volumes` all that the stack names or
    that carry its label, by name; `images` maps the references that the stack uses to image ids,
    without those that are not in the store. `now` (Unix seconds) is when it was looked at.
    """

    containers: Mapping[str, Container] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0
    _by_service: dict[str, list[Container]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_service: dict[str, list[Container]] = {}
        for container in self.containers.values():
            own = container.spec.labels
            if own.get(labels.ONEOFF) != "True":
                by_service.setdefault(own.get(labels.SERVICE, ""), []).append(container)
        for found in by_service.values():
            found.sort(key=number_of)
        object.__setattr__(self, "_by_service", by_service)

    def of_service(self, service: str) -> list[Container]:
        """The service's containers, one-off ones left out, by number."""
        return list(self._by_service.get(service, ()))


def number_of(container: Container) -> int:
    """The container's number within its service, 0 where it has none."""
    text = container.spec.labels.get(labels.NUMBER, "")
    return int(text) if text.isdigit() else 0
