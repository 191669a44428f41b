"""Containers in the engine's list (Docker's shape): finding them and showing their columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.cli.session import Session
from orchestrator.cli.units import age, size

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
_COMMAND_WIDTH = 20
_ID_WIDTH = 12


def of_stack(session: Session, stack: str, services: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The containers of a stack, or of some of its services, in the order of their names."""
    chosen = set(services)
    filters = json.dumps({"label": [f"{PROJECT}={stack}"]})
    every = session.engine.get("/containers/json", all=True, filters=filters) or []
    return sorted(
        (c for c in every if not chosen or label(c, SERVICE) in chosen),
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
    text = str(container.get("Image", ""))
    if text.startswith("sha256:") and not whole:
        return text.removeprefix("sha256:")[:_ID_WIDTH]
    return text


def command(container: Mapping[str, Any], *, whole: bool = False) -> str:
    """The command in quotes, cut at 20 characters unless `whole`."""
    text = str(container.get("Command") or "")
    if not whole and len(text) > _COMMAND_WIDTH:
        text = text[: _COMMAND_WIDTH - 1] + "…"
    return f'"{text}"'


def created(container: Mapping[str, Any], now: float | None = None) -> str:
    return (
        f"{age((time.time() if now is None else now) - float(container.get('Created') or 0))} ago"
    )


def written(container: Mapping[str, Any]) -> str:
    """The size column: what the container has written, and with its image."""
    changed, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    return f"{size(changed)} (virtual {size(whole)})"


def ports(container: Mapping[str, Any]) -> str:
    """Published ports as `host:port->port/protocol`, then exposed ones; runs are joined.

    Source: docker/cli `formatter.DisplayablePorts`.
    """
    groups: dict[tuple[str, str, bool], list[tuple[int, int]]] = {}
    for port in container.get("Ports") or ():
        address, public = str(port.get("IP") or ""), int(port.get("PublicPort") or 0)
        key = (address, str(port.get("Type") or "tcp"), public != 0)
        groups.setdefault(key, []).append((int(port["PrivatePort"]), public))
    texts = []
    for (address, protocol, published), pairs in groups.items():
        host = f"[{address}]" if ":" in address else address
        for inside, outside in _runs(sorted(set(pairs))):
            target = f"{inside}/{protocol}"
            texts.append((not published, f"{host}:{outside}->{target}" if published else target))
    return ", ".join(text for _, text in sorted(texts, key=lambda item: item[0]))


def _runs(pairs: list[tuple[int, int]]) -> list[tuple[str, str]]:
    """Ranges (`80-82`) of ports whose inner and outer numbers both count up by one."""
    runs: list[list[tuple[int, int]]] = []
    for inside, outside in pairs:
        last = runs[-1][-1] if runs else None
        step = 1 if outside else 0
        if last is not None and (inside, outside) == (last[0] + 1, last[1] + step):
            runs[-1].append((inside, outside))
        else:
            runs.append([(inside, outside)])
    return [(_range(run[0][0], run[-1][0]), _range(run[0][1], run[-1][1])) for run in runs]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
