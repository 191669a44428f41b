"""Containers in the engine's list (Docker's shape): finding them and showing their columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.cli.session import Session
from orchestrator.cli.units import size
from orchestrator.model.ages import ago

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
_COMMAND_WIDTH = 20
_ID_WIDTH = 12


def of_stack(
    session: Session, stack: str, services: Iterable[str] = (), *, one_off: bool = False
) -> list[dict[str, Any]]:
    """The containers of a stack, or of some of its services, in the order of their names; those
    that `run` made only where `one_off` asks for them."""
    chosen = set(services)
    filters = json.dumps({"label": [f"{PROJECT}={stack}"]})
    every = session.engine.get("/containers/json", all=True, filters=filters) or []
    return sorted(
        (
            c
            for c in every
            if (not chosen or label(c, SERVICE) in chosen)
            and (one_off or label(c, ONE_OFF) != "True")
        ),
        key=lambda c: (label(c, SERVICE), int(label(c, NUMBER) or 0)),
    )


def label(container: Mapping[str, Any], name: str) -> str:
    return str((container.get("Labels") or {}).get(name, ""))


def name(container: Mapping[str, Any]) -> str:
    """The container's name without Docker's leading slash."""
    names = container.get("Names") or [container.get("Name") or ""]
    return ",".join(str(each).removeprefix("/") for each in names)


def identifier(container: Mapping[str, Any], *, whole: bool = False) -> str:
    text = str(container.get("Id", ""))
    return text if whole else text[:_ID_WIDTH]


def image(container: Mapping[str, Any], *, whole: bool = False) -> str:
    """The image's name as it was given; without its digest where it has a tag, unless `whole`."""
    text = str(container.get("Image") or "<no image>")
    if whole:
        return text
    if text.startswith("sha256:"):
        return text.removeprefix("sha256:")[:_ID_WIDTH]
    name, digest, _ = text.partition("@")
    return name if digest and ":" in name.rpartition("/")[2] else text


def command(container: Mapping[str, Any], *, whole: bool = False) -> str:
    """The command in quotes, cut at 20 characters unless `whole`."""
    text = str(container.get("Command") or "")
    if not whole and len(text) > _COMMAND_WIDTH:
        text = text[: _COMMAND_WIDTH - 1] + "…"
    return json.dumps(text, ensure_ascii=False)


def created(container: Mapping[str, Any], now: float | None = None) -> str:
    return (
        f"{ago((time.time() if now is None else now) - float(container.get('Created') or 0))} ago"
    )


def written(container: Mapping[str, Any]) -> str:
    """The size column: what the container has written, and with its image."""
    changed, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    return f"{size(changed)} (virtual {size(whole)})" if whole else size(changed)


def ports(container: Mapping[str, Any]) -> str:
    """Published ports as `host:port->port/protocol`, then exposed ones.

    Runs of ports are joined where host and container have the same numbers.
    Source: docker/cli `formatter.DisplayablePorts`.
    """
    runs: list[_Run] = []
    last: dict[tuple[str, str], _Run] = {}
    mapped: list[str] = []
    for port in sorted(container.get("Ports") or (), key=_port_order):
        address, protocol = str(port.get("IP") or ""), str(port.get("Type") or "tcp")
        inside, outside = int(port["PrivatePort"]), int(port.get("PublicPort") or 0)
        if address and outside != inside:
            mapped.append(f"{_joined(address, str(outside))}->{inside}/{protocol}")
            continue
        run = last.get((address, protocol))
        if run is not None and inside == run.last + 1:
            run.last = inside
        else:
            run = last[address, protocol] = _Run(address, protocol, inside)
            runs.append(run)
    return ", ".join([*(run.text() for run in runs), *mapped])


def _port_order(port: Mapping[str, Any]) -> tuple[int, str, int, str]:
    return (
        int(port["PrivatePort"]),
        str(port.get("IP") or ""),
        int(port.get("PublicPort") or 0),
        str(port.get("Type") or ""),
    )


class _Run:
    """Ports that follow each other, the same outside as inside."""

    def __init__(self, address: str, protocol: str, first: int) -> None:
        self.address, self.protocol = address, protocol
        self.first = self.last = first

    def text(self) -> str:
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        target = f"{span}/{self.protocol}"
        return f"{_joined(self.address, span)}->{target}" if self.address else target


def _joined(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
