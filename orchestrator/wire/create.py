"""The body of POST /containers/create -> the model.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

_NS = 1_000_000_000


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
