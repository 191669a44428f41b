"""Docker's JSON shapes <-> the model.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.container import (
    Attachment,
    ContainerSpec,
    Healthcheck,
    Mount,
    PortBinding,
    Resources,
    RestartPolicy,
)
from orchestrator.model.events import Event
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container, Network, Volume

_NS = 1_000_000_000
_NEVER = "0001-01-01T00:00:00Z"


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with nanosecond digits; the year 1 where the thing has not happened."""
    if seconds <= 0:
        return _NEVER
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}000Z"


# -- containers ----------------------------------------------------------------------------


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


def process_args(spec: ContainerSpec, config: ImageConfig | None) -> list[str]:
    """The arguments of the container's first process: entrypoint, then command.

    An entrypoint of the container's own drops the image's command.
    Source: Docker's reference, "docker container run", --entrypoint.
    """
    entrypoint = spec.entrypoint
    command = spec.command
    if entrypoint is None:
        entrypoint = config.entrypoint if config else ()
        if command is None:
            command = config.command if config else ()
    return [*entrypoint, *(command or ())]


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


_AGES = (
    (1, "Less than a second"),
    (2, "1 second"),
    (60, "{seconds} seconds"),
    (120, "About a minute"),
    (46 * 60, "{minutes} minutes"),
    (90 * 60, "About an hour"),
    (48 * 3600, "{hours} hours"),
    (14 * 86400, "{days} days"),
    (60 * 86400, "{weeks} weeks"),
    (2 * 365 * 86400, "{months} months"),
)


def ago(seconds: float) -> str:
    """A span of time in words, as Docker's clients write it."""
    whole = max(0, int(seconds))
    units = {
        "seconds": whole,
        "minutes": whole // 60,
        "hours": round(whole / 3600),
        "days": whole // 86400,
        "weeks": whole // (7 * 86400),
        "months": whole // (30 * 86400),
    }
    for limit, words in _AGES:
        if whole < limit:
            return words.format(**units)
    return f"{whole // (365 * 86400)} years"


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


def spec_from_create(body: Mapping[str, Any]) -> ContainerSpec:
    """The specification in the body of POST /containers/create.

    Raises: InvalidInput: a field has a value of the wrong kind.
    """
    try:
        return _spec_from_create(body)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InvalidInput(
            f"malformed container configuration: {error}",
            code="bad-request",
            about="body",
            hint="see the Engine API's ContainerConfig and HostConfig",
        ) from error


def _spec_from_create(body: Mapping[str, Any]) -> ContainerSpec:
    host = body.get("HostConfig") or {}
    restart = host.get("RestartPolicy") or {}
    mode = host.get("NetworkMode") or ""
    own_mode = mode if mode in ("host", "none") or mode.startswith("container:") else ""
    entrypoint, command = body.get("Entrypoint"), body.get("Cmd")
    stop_timeout = body.get("StopTimeout")
    return ContainerSpec(
        image=body["Image"],
        command=None if command is None else tuple(command),
        entrypoint=None if entrypoint is None else tuple(e for e in entrypoint if e),
        environment=dict(v.partition("=")[::2] for v in body.get("Env") or ()),
        labels=dict(body.get("Labels") or {}),
        user=body.get("User") or None,
        working_dir=body.get("WorkingDir") or None,
        hostname=body.get("Hostname") or "",
        domainname=body.get("Domainname") or "",
        tty=bool(body.get("Tty")),
        stdin_open=bool(body.get("OpenStdin")),
        init=bool(host.get("Init")),
        read_only=bool(host.get("ReadonlyRootfs")),
        privileged=bool(host.get("Privileged")),
        network_mode=own_mode,
        attachments=() if own_mode else _attachments(mode, body.get("NetworkingConfig") or {}),
        ports=tuple(_ports(host.get("PortBindings") or {})),
        mounts=tuple(_mounts(host, body.get("Volumes") or {})),
        healthcheck=_healthcheck(body.get("Healthcheck")),
        restart=RestartPolicy(
            name=restart.get("Name") or "no", max_retries=int(restart.get("MaximumRetryCount") or 0)
        ),
        stop_signal=body.get("StopSignal") or None,
        stop_grace_s=10.0 if stop_timeout is None else float(stop_timeout),
        resources=Resources(
            memory_bytes=int(host.get("Memory") or 0),
            memory_reservation_bytes=int(host.get("MemoryReservation") or 0),
            memory_swap_bytes=int(host.get("MemorySwap") or 0),
            nano_cpus=int(host.get("NanoCpus") or 0),
            cpu_shares=int(host.get("CpuShares") or 0),
            cpuset_cpus=host.get("CpusetCpus") or "",
            pids_limit=max(0, int(host.get("PidsLimit") or 0)),
        ),
        shm_size_bytes=int(host.get("ShmSize") or 64 << 20),
        group_add=tuple(host.get("GroupAdd") or ()),
        sysctls=dict(host.get("Sysctls") or {}),
        cap_add=tuple(host.get("CapAdd") or ()),
        cap_drop=tuple(host.get("CapDrop") or ()),
        security_opt=tuple(host.get("SecurityOpt") or ()),
        extra_hosts=tuple(host.get("ExtraHosts") or ()),
        dns=tuple(host.get("Dns") or ()),
        dns_search=tuple(host.get("DnsSearch") or ()),
        dns_opt=tuple(host.get("DnsOptions") or ()),
    )


def _attachments(mode: str, networking: Mapping[str, Any]) -> tuple[Attachment, ...]:
    wanted = dict(networking.get("EndpointsConfig") or {})
    main = "bridge" if mode in ("", "default") else mode
    if not wanted or mode not in ("", "default", *wanted):
        wanted = {main: None, **wanted}
    return tuple(
        Attachment(
            network=name,
            aliases=tuple((settings or {}).get("Aliases") or ()),
            ipv4_address=((settings or {}).get("IPAMConfig") or {}).get("IPv4Address") or "",
            mac_address=(settings or {}).get("MacAddress") or "",
        )
        for name, settings in wanted.items()
    )


def _ports(bindings: Mapping[str, Any]) -> Iterable[PortBinding]:
    for key, places in bindings.items():
        number, _, protocol = key.partition("/")
        for place in places or [{}]:
            yield PortBinding(
                container_port=int(number),
                protocol=protocol or "tcp",  # type: ignore[arg-type]
                host_ip=place.get("HostIp") or "",
                host_port=int(place.get("HostPort") or 0),
            )


def _mounts(host: Mapping[str, Any], anonymous: Mapping[str, Any]) -> Iterable[Mount]:
    for bind in host.get("Binds") or ():
        source, target, *options = bind.split(":", 2)
        flags = options[0].split(",") if options else []
        is_path = source.startswith("/")
        yield Mount(
            kind="bind" if is_path else "volume",
            source=source,
            target=target,
            read_only="ro" in flags,
            nocopy="nocopy" in flags,
            create_host_path=is_path,
        )
    for mount in host.get("Mounts") or ():
        yield Mount(
            kind=mount["Type"],
            source=mount.get("Source") or "",
            target=mount["Target"],
            read_only=bool(mount.get("ReadOnly")),
        )
    for target in host.get("Tmpfs") or {}:
        yield Mount(kind="tmpfs", target=target)
    for target in anonymous:
        yield Mount(kind="volume", target=target)


def _healthcheck(shown: Mapping[str, Any] | None) -> Healthcheck | None:
    if not shown:
        return None
    default = Healthcheck()
    return Healthcheck(
        test=tuple(shown.get("Test") or ()),
        interval_s=(shown.get("Interval") or 0) / _NS or default.interval_s,
        timeout_s=(shown.get("Timeout") or 0) / _NS or default.timeout_s,
        start_period_s=(shown.get("StartPeriod") or 0) / _NS,
        start_interval_s=(shown.get("StartInterval") or 0) / _NS or default.start_interval_s,
        retries=int(shown.get("Retries") or default.retries),
    )


# -- the other nouns -----------------------------------------------------------------------


def image_summary(image: Image, containers: int) -> dict[str, Any]:
    """An entry of GET /images/json."""
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Created": int(image.created_at),
        "Size": image.size_bytes,
        "SharedSize": -1,
        "Labels": dict(image.config.labels),
        "Containers": containers,
    }


def image_inspect(image: Image) -> dict[str, Any]:
    """The body of GET /images/{name}/json."""
    config = image.config
    return {
        "Id": image.id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Created": config.created,
        "Author": config.author,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size_bytes,
        "Config": {
            "User": config.user,
            "Env": list(config.environment),
            "Cmd": list(config.command) or None,
            "Entrypoint": list(config.entrypoint) or None,
            "WorkingDir": config.working_dir,
            "Labels": dict(config.labels),
            "ExposedPorts": {p: {} for p in config.exposed_ports},
            "Volumes": {v: {} for v in config.volumes},
            "StopSignal": config.stop_signal,
        },
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
    }


def network_summary(network: Network, containers: Iterable[Container]) -> dict[str, Any]:
    """An entry of GET /networks, with the containers that are on it."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": timestamp(network.created_at),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.ipv6_subnet),
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "IPAM": {
            "Driver": "default",
            "Config": [{"Subnet": network.subnet, "Gateway": network.gateway}]
            if network.subnet
            else [],
        },
        "Containers": {
            c.id: {"Name": c.name, "IPv4Address": e.ipv4, "MacAddress": e.mac}
            for c in containers
            if c.running
            for e in c.endpoints
            if e.network_id == network.id
        },
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def volume_summary(volume: Volume) -> dict[str, Any]:
    """An entry of GET /volumes."""
    return {
        "Name": volume.name,
        "Driver": volume.driver,
        "Mountpoint": volume.mountpoint,
        "CreatedAt": timestamp(volume.created_at),
        "Labels": dict(volume.labels),
        "Options": dict(volume.options),
        "Scope": "local",
    }


def event_message(event: Event) -> dict[str, Any]:
    """A line of GET /events."""
    return {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": int(event.time),
        "timeNano": int(event.time * _NS),
    }
