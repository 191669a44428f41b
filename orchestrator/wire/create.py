"""The body of POST /containers/create -> the model.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Attachment, ContainerSpec, RestartName, RestartPolicy
from orchestrator.wire.healthchecks import healthcheck_from
from orchestrator.wire.limits import resources_from
from orchestrator.wire.mounts import mounts_from
from orchestrator.wire.ports import exposed_from, ports_from

_SHM_BYTES = 64 << 20
_GRACE_S = 10.0
_STREAMS = ("Stdin", "Stdout", "Stderr")
_POLICIES: tuple[RestartName, ...] = ("no", "always", "on-failure", "unless-stopped")


def spec_from_create(body: Mapping[str, Any]) -> ContainerSpec:
    """The specification in the body of POST /containers/create.

    Raises: InvalidInput: a field has a value of the wrong kind, or asks for what there is not.
    """
    try:
        # Whatever a member held is of the right type after this, or refused: a record that holds
        # anything else could not be read by the next engine.
        return msgspec.convert(msgspec.to_builtins(_spec_from_create(body)), ContainerSpec)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InvalidInput(
            f"malformed container configuration: {error}",
            code="bad-request",
            about="body",
            hint="see the Engine API's ContainerConfig and HostConfig",
        ) from error


def _spec_from_create(body: Mapping[str, Any]) -> ContainerSpec:
    host = body.get("HostConfig") or {}
    logs = host.get("LogConfig") or {}
    mode = host.get("NetworkMode") or ""
    own_mode = mode if mode in ("host", "none") or mode.startswith("container:") else ""
    entrypoint = _words(body.get("Entrypoint"))
    stop_timeout = body.get("StopTimeout")
    environment, unset = _environment(body.get("Env") or ())
    _refuse_device_requests(host.get("DeviceRequests") or ())
    return ContainerSpec(
        image=body["Image"],
        command=_words(body.get("Cmd")),
        entrypoint=None if entrypoint is None else tuple(e for e in entrypoint if e),
        environment=environment,
        unset_environment=unset,
        labels=dict(body.get("Labels") or {}),
        annotations=dict(host.get("Annotations") or {}),
        user=body.get("User") or None,
        working_dir=body.get("WorkingDir") or None,
        hostname=body.get("Hostname") or "",
        domainname=body.get("Domainname") or "",
        tty=bool(body.get("Tty")),
        console_size=_console_size(host.get("ConsoleSize")),
        stdin_open=bool(body.get("OpenStdin")),
        stdin_once=bool(body.get("StdinOnce")),
        attached=tuple(s.lower() for s in _STREAMS if body.get(f"Attach{s}")),
        init=bool(host.get("Init")),
        read_only=bool(host.get("ReadonlyRootfs")),
        privileged=bool(host.get("Privileged")),
        network_mode=own_mode,
        attachments=() if own_mode else _attachments(mode, body),
        ports=ports_from(host.get("PortBindings") or {}),
        publish_all=bool(host.get("PublishAllPorts")),
        expose=exposed_from(body.get("ExposedPorts") or ()),
        mounts=mounts_from(host, body.get("Volumes") or ()),
        volumes_from=tuple(host.get("VolumesFrom") or ()),
        volume_driver=host.get("VolumeDriver") or "",
        healthcheck=healthcheck_from(body.get("Healthcheck")),
        restart=_restart(host.get("RestartPolicy") or {}),
        stop_signal=body.get("StopSignal") or None,
        stop_grace_s=_GRACE_S if stop_timeout is None else float(stop_timeout),
        resources=resources_from(host),
        shm_size_bytes=int(host.get("ShmSize") or _SHM_BYTES),
        group_add=tuple(str(group) for group in host.get("GroupAdd") or ()),
        sysctls=dict(host.get("Sysctls") or {}),
        cap_add=tuple(host.get("CapAdd") or ()),
        cap_drop=tuple(host.get("CapDrop") or ()),
        security_opt=tuple(host.get("SecurityOpt") or ()),
        devices=tuple(_device(d) for d in host.get("Devices") or ()),
        device_cgroup_rules=tuple(host.get("DeviceCgroupRules") or ()),
        masked_paths=_words(host.get("MaskedPaths")),
        readonly_paths=_words(host.get("ReadonlyPaths")),
        oom_score_adj=int(host.get("OomScoreAdj") or 0),
        extra_hosts=tuple(host.get("ExtraHosts") or ()),
        dns=tuple(host.get("Dns") or ()),
        dns_search=tuple(host.get("DnsSearch") or ()),
        dns_opt=tuple(host.get("DnsOptions") or ()),
        pid_mode=host.get("PidMode") or "",
        ipc_mode=host.get("IpcMode") or "",
        uts_mode=host.get("UTSMode") or "",
        userns_mode=host.get("UsernsMode") or "",
        cgroupns_mode=host.get("CgroupnsMode") or "",
        cgroup_parent=host.get("CgroupParent") or "",
        runtime=host.get("Runtime") or "",
        storage_options=dict(host.get("StorageOpt") or {}),
        log_driver=logs.get("Type") or "",
        log_options=dict(logs.get("Config") or {}),
    )


def _console_size(given: Any) -> tuple[int, int]:
    """Rows and columns; 0 for what was left open.  Raises: ValueError, TypeError."""
    rows, columns = (int(number) for number in given or (0, 0))
    if not 0 <= min(rows, columns) <= max(rows, columns) < 1 << 16:
        raise ValueError(f"ConsoleSize: no terminal is as large as {given}")
    return rows, columns


def unused(body: Mapping[str, Any]) -> list[str]:
    """What of the body has no effect any more, as sentences."""
    if not (body.get("HostConfig") or {}).get("KernelMemory"):
        return []
    return ["Specifying a kernel memory limit is deprecated and will be removed; it has no effect."]


def _words(given: Iterable[str] | str | None) -> tuple[str, ...] | None:
    """A list that may be null, or a single word."""
    if given is None:
        return None
    return (given,) if isinstance(given, str) else tuple(given)


def _environment(entries: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables, and those that the container is not to have: names without `=`."""
    given: dict[str, str] = {}
    unset: dict[str, None] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name:
            raise ValueError(f"a variable without a name: {entry!r}")
        if equals:
            given[name] = value
            unset.pop(name, None)
        else:
            given.pop(name, None)
            unset[name] = None
    return given, tuple(unset)


def _restart(given: Mapping[str, Any]) -> RestartPolicy:
    name: Any = given.get("Name") or "no"
    retries = int(given.get("MaximumRetryCount") or 0)
    if name not in _POLICIES or retries < 0 or (retries and name != "on-failure"):
        raise InvalidInput(
            f"no such restart policy: {name}" + (f" with {retries} retries" if retries else ""),
            code="restart-policy-invalid",
            about=name,
            hint=f"use one of {', '.join(_POLICIES)}; only on-failure has a number of retries",
        )
    return RestartPolicy(name=name, max_retries=retries)


def _attachments(mode: str, body: Mapping[str, Any]) -> tuple[Attachment, ...]:
    host = body.get("HostConfig") or {}
    given = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    wanted = {"bridge" if name == "default" else name: said or {} for name, said in given.items()}
    main = "bridge" if mode in ("", "default") else mode
    if not wanted or (main not in wanted and mode not in ("", "default")):
        wanted = {main: {}, **wanted}
    first = main if main in wanted else next(iter(wanted))
    # Older clients say these for the main network at another place.
    links = tuple(host.get("Links") or ())
    mac_address = body.get("MacAddress") or ""
    return tuple(
        attachment_from(
            name,
            wanted[name],
            links=links if name == first else (),
            mac_address=mac_address if name == first else "",
        )
        for name in (first, *(n for n in wanted if n != first))
    )


def attachment_from(
    name: str, said: Mapping[str, Any], *, links: tuple[str, ...] = (), mac_address: str = ""
) -> Attachment:
    """The wish to be on a network that an EndpointSettings says, and older fields with it."""
    fixed = said.get("IPAMConfig") or {}
    every = dict.fromkeys((*links, *(said.get("Links") or ())))
    return Attachment(
        network=name,
        aliases=tuple(said.get("Aliases") or ()),
        links=tuple(map(_link, every)),
        ipv4_address=fixed.get("IPv4Address") or "",
        ipv6_address=fixed.get("IPv6Address") or "",
        link_local_ips=tuple(fixed.get("LinkLocalIPs") or ()),
        mac_address=said.get("MacAddress") or mac_address,
        gw_priority=int(said.get("GwPriority") or 0),
        driver_opts=dict(said.get("DriverOpts") or {}),
    )


def _link(text: str) -> str:
    """NAME:ALIAS of `NAME`, `NAME:ALIAS` and of what inspect shows: `/NAME:/CONTAINER/ALIAS`."""
    name, _, alias = text.partition(":")
    name = name.removeprefix("/")
    return f"{name}:{alias.rpartition('/')[2] or name}"


def _device(given: Mapping[str, Any]) -> str:
    path = given["PathOnHost"]
    return (
        f"{path}:{given.get('PathInContainer') or path}:{given.get('CgroupPermissions') or 'rwm'}"
    )


def _refuse_device_requests(requests: Iterable[Mapping[str, Any]]) -> None:
    for request in requests:
        driver = request.get("Driver") or ""
        kinds = " ".join(kind for kinds in request.get("Capabilities") or () for kind in kinds)
        raise InvalidInput(
            f"no device driver {driver!r} here can give: {kinds or 'devices'}",
            code="no-device-driver",
            about=driver or kinds,
            hint="leave --gpus out; nodes in /dev can be given with --device",
        )
