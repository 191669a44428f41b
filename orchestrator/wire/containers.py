"""Containers as Docker's JSON: the inspect object.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.model.healthcheck import effective_healthcheck
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container, Volume
from orchestrator.model.process import process_args
from orchestrator.wire.endpoints import network_settings
from orchestrator.wire.hostconfig import config, host_config
from orchestrator.wire.mounts import mount_point
from orchestrator.wire.times import timestamp


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
    lowers: tuple[str, ...] = ()


def container_inspect(
    container: Container,
    image: Image | None,
    paths: ContainerPaths,
    volumes: Mapping[str, Volume],
    *,
    execs: Sequence[str] = (),
    apparmor: str = "",
    runtime: str = "",
    network_ids: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The body of GET /containers/{id}/json; `volumes` and `network_ids` are by name, `execs` the
    ids of what else runs in it, `apparmor` the profile that confines it, `runtime` what runs those
    that name none."""
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
    if health := _health(container, of_image):
        shown_state["Health"] = {
            "Status": health,
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
        "AppArmorProfile": apparmor,
        "ExecIDs": list(execs) or None,
        "HostConfig": {**host_config(container), "Runtime": spec.runtime or runtime},
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "LowerDir": ":".join(paths.lowers),
                "MergedDir": paths.merged,
                "UpperDir": paths.upper,
                "WorkDir": paths.work,
            },
        },
        "Mounts": [mount_point(m, volumes) for m in container.mounts],
        "Config": config(container, of_image),
        "NetworkSettings": network_settings(container, of_image, network_ids or {}),
    }


def _health(container: Container, image: ImageConfig | None) -> str:
    """The word for the container's health, "" where nobody looks. One that has ended is
    unhealthy, as with Docker."""
    state = container.state
    if state.health != "none":
        return state.health
    check = effective_healthcheck(container.spec, image)
    checked = check is not None and check.test[:1] != ("NONE",)
    return "unhealthy" if checked and state.started_at and not container.running else ""
