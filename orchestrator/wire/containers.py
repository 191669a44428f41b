"""Containers as Docker's JSON: an entry of the list, and the inspect object.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.model.container import PortBinding
from orchestrator.model.image import Image
from orchestrator.model.observed import Container, Volume
from orchestrator.model.process import process_args
from orchestrator.wire.endpoints import endpoint_settings, network_settings
from orchestrator.wire.hostconfig import config, host_config
from orchestrator.wire.mounts import mount_point
from orchestrator.wire.times import ago, timestamp


def container_summary(container: Container, image: Image | None) -> dict[str, Any]:
    """An entry of GET /containers/json."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.spec.image,
        "ImageID": container.image_id,
        "Command": " ".join(process_args(container.spec, image.config if image else None)),
        "Created": int(container.created_at),
        "State": container.state.status,
        "Status": status_text(container, time.time()),
        "Ports": [_summary_port(p) for p in container.ports],
        "Labels": dict(container.spec.labels),
        "HostConfig": {"NetworkMode": container.spec.network_mode or "default"},
        "NetworkSettings": {
            "Networks": {
                e.network_name: endpoint_settings(container, e) for e in container.endpoints
            }
        },
        "Mounts": [mount_point(m, {}) for m in container.mounts],
    }


def _summary_port(port: PortBinding) -> dict[str, Any]:
    shown: dict[str, Any] = {"PrivatePort": port.container_port, "Type": port.protocol}
    if port.host_port:
        shown |= {"IP": port.host_ip or "0.0.0.0", "PublicPort": port.host_port}
    return shown


def status_text(container: Container, now: float) -> str:
    """How long it has been so, as `docker ps` says it: `Up 5 minutes (healthy)`."""
    state = container.state
    match state.status:
        case "running" | "paused":
            text = f"Up {ago(now - state.started_at)}"
            if state.status == "paused":
                text += " (Paused)"
            if state.health == "starting":
                text += " (health: starting)"
            elif state.health != "none":
                text += f" ({state.health})"
            return text
        case "exited" | "dead":
            return f"Exited ({state.exit_code}) {ago(now - state.finished_at)} ago"
        case "restarting":
            return f"Restarting ({state.exit_code}) {ago(now - state.finished_at)} ago"
        case "removing":
            return "Removal In Progress"
        case _:
            return "Created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPaths:
    """Where a container's own files are on this machine."""

    log: str
    hosts: str
    hostname: str
    resolv_conf: str
    upper: str
    work: str
    merged: str


def container_inspect(
    container: Container,
    image: Image | None,
    paths: ContainerPaths,
    volumes: Mapping[str, Volume],
) -> dict[str, Any]:
    """The body of GET /containers/{id}/json; `volumes` are by name."""
    spec, state = container.spec, container.state
    of_image = image.config if image else None
    args = process_args(spec, of_image)
    shown_state: dict[str, Any] = {
        "Status": state.status,
        "Running": container.running or state.status == "restarting",
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": timestamp(state.started_at),
        "FinishedAt": timestamp(state.finished_at),
    }
    if state.health != "none":
        shown_state["Health"] = {
            "Status": state.health,
            "FailingStreak": state.failing_streak,
            "Log": [
                {
                    "Start": timestamp(p.started_at),
                    "End": timestamp(p.ended_at),
                    "ExitCode": p.exit_code,
                    "Output": p.output,
                }
                for p in state.health_log
            ],
        }
    return {
        "Id": container.id,
        "Created": timestamp(container.created_at),
        "Path": args[0] if args else "",
        "Args": args[1:],
        "State": shown_state,
        "Image": container.image_id,
        "ResolvConfPath": paths.resolv_conf,
        "HostnamePath": paths.hostname,
        "HostsPath": paths.hosts,
        "LogPath": paths.log if spec.log_driver != "none" else "",
        "Name": f"/{container.name}",
        "RestartCount": state.restart_count,
        "Driver": "overlay2",
        "Platform": of_image.os if of_image else "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": host_config(container),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {"MergedDir": paths.merged, "UpperDir": paths.upper, "WorkDir": paths.work},
        },
        "Mounts": [mount_point(m, volumes) for m in container.mounts],
        "Config": config(container, of_image),
        "NetworkSettings": network_settings(container, of_image),
    }
