"""Containers as Docker's JSON: an entry of the list, and the inspect object.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from orchestrator.model.container import ContainerSpec, Mount, PortBinding
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container
from orchestrator.model.process import process_args
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
        "NetworkSettings": {"Networks": _endpoints(container)},
        "Mounts": [_mount(m) for m in container.mounts],
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


def _endpoints(container: Container) -> dict[str, Any]:
    return {
        e.network_name: {
            "NetworkID": e.network_id,
            "EndpointID": "",
            "IPAddress": e.ipv4,
            "GlobalIPv6Address": e.ipv6,
            "MacAddress": e.mac,
            "Aliases": list(e.names),
            "DNSNames": list(e.names),
        }
        for e in container.endpoints
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": mount.kind,
        "Name": mount.source if mount.kind == "volume" else "",
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": "ro" if mount.read_only else "rw",
        "RW": not mount.read_only,
        "Propagation": mount.propagation,
    }


def container_inspect(container: Container, image: Image | None, log_path: str) -> dict[str, Any]:
    """The body of GET /containers/{id}/json."""
    spec, state = container.spec, container.state
    config = image.config if image else None
    args = process_args(spec, config)
    shown_state: dict[str, Any] = {
        "Status": state.status,
        "Running": container.running,
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
        "LogPath": log_path,
        "Name": f"/{container.name}",
        "RestartCount": state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": _host_config(container),
        "Config": _config(spec, config),
        "Mounts": [_mount(m) for m in container.mounts],
        "NetworkSettings": {
            "Ports": port_map(container.ports),
            "IPAddress": container.endpoints[0].ipv4 if container.endpoints else "",
            "Networks": _endpoints(container),
        },
    }


def _host_config(container: Container) -> dict[str, Any]:
    spec = container.spec
    limits = spec.resources
    return {
        "NetworkMode": spec.network_mode or "default",
        "PortBindings": port_map(spec.ports),
        "RestartPolicy": {"Name": spec.restart.name, "MaximumRetryCount": spec.restart.max_retries},
        "AutoRemove": container.auto_remove,
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "Init": spec.init,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "Dns": list(spec.dns),
        "ExtraHosts": list(spec.extra_hosts),
        "Memory": limits.memory_bytes,
        "NanoCpus": limits.nano_cpus,
        "CpuShares": limits.cpu_shares,
        "PidsLimit": limits.pids_limit,
        "ShmSize": spec.shm_size_bytes,
        "LogConfig": {"Type": spec.log_driver or "json-file", "Config": dict(spec.log_options)},
    }


def _config(spec: ContainerSpec, config: ImageConfig | None) -> dict[str, Any]:
    image_env = dict(v.partition("=")[::2] for v in (config.environment if config else ()))
    entrypoint = spec.entrypoint if spec.entrypoint is not None else config and config.entrypoint
    command = spec.command if spec.command is not None else config and config.command
    return {
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "User": spec.user if spec.user is not None else (config.user if config else ""),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "Env": [f"{k}={v}" for k, v in {**image_env, **spec.environment}.items()],
        "Cmd": list(command) if command else None,
        "Entrypoint": list(entrypoint) if entrypoint else None,
        "Image": spec.image,
        "WorkingDir": spec.working_dir or (config.working_dir if config else ""),
        "Labels": {**(config.labels if config else {}), **spec.labels},
        "StopSignal": spec.stop_signal or (config.stop_signal if config else ""),
        "StopTimeout": int(spec.stop_grace_s),
    }


def port_map(ports: Iterable[PortBinding]) -> dict[str, list[dict[str, str]]]:
    """Ports as `{"80/tcp": [{"HostIp", "HostPort"}]}`."""
    shown: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bound = {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
        shown.setdefault(f"{port.container_port}/{port.protocol}", []).append(bound)
    return shown
