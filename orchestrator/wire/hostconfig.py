"""What a container was asked to be, as inspect's HostConfig and Config.

Both together with the networks are what a client sends to make the same container again.
Source: the Docker Engine API reference, version 1.45.
"""

from __future__ import annotations

from typing import Any

from orchestrator.model.container import ContainerSpec
from orchestrator.model.healthcheck import effective_healthcheck
from orchestrator.model.ids import short_id
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.wire.healthchecks import healthcheck_shown
from orchestrator.wire.limits import resources_shown
from orchestrator.wire.mounts import binds_shown, mounts_shown, tmpfs_shown
from orchestrator.wire.ports import port_map

_GRACE_S = 10.0


def host_config(container: Container) -> dict[str, Any]:
    """inspect's HostConfig."""
    spec = container.spec
    return {
        "Binds": binds_shown(spec.mounts) or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": spec.log_driver or "json-file", "Config": dict(spec.log_options)},
        "NetworkMode": network_mode(spec),
        "PortBindings": port_map(spec.ports),
        "RestartPolicy": {"Name": spec.restart.name, "MaximumRetryCount": spec.restart.max_retries},
        "AutoRemove": container.auto_remove,
        "VolumeDriver": spec.volume_driver,
        "VolumesFrom": list(spec.volumes_from) or None,
        "ConsoleSize": list(spec.console_size),
        "CapAdd": list(spec.cap_add) or None,
        "CapDrop": list(spec.cap_drop) or None,
        "CgroupnsMode": spec.cgroupns_mode or "private",
        "Dns": list(spec.dns),
        "DnsOptions": list(spec.dns_opt),
        "DnsSearch": list(spec.dns_search),
        "ExtraHosts": list(spec.extra_hosts) or None,
        "GroupAdd": list(spec.group_add) or None,
        "IpcMode": spec.ipc_mode or "private",
        "Cgroup": "",
        "Links": _links(container) or None,
        "OomScoreAdj": spec.oom_score_adj,
        "PidMode": spec.pid_mode,
        "Privileged": spec.privileged,
        "PublishAllPorts": spec.publish_all,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": list(spec.security_opt) or None,
        "UTSMode": spec.uts_mode,
        "UsernsMode": spec.userns_mode,
        "ShmSize": spec.shm_size_bytes,
        "Runtime": spec.runtime,
        "Isolation": "",
        "Init": spec.init or None,
        "Annotations": dict(spec.annotations),
        "CgroupParent": spec.cgroup_parent,
        "StorageOpt": dict(spec.storage_options) or None,
        "Sysctls": dict(spec.sysctls),
        "Tmpfs": tmpfs_shown(spec.mounts) or None,
        "Mounts": mounts_shown(spec.mounts),
        "Devices": [_device(text) for text in spec.devices],
        "DeviceCgroupRules": list(spec.device_cgroup_rules) or None,
        "DeviceRequests": None,
        "MaskedPaths": None if spec.masked_paths is None else list(spec.masked_paths),
        "ReadonlyPaths": None if spec.readonly_paths is None else list(spec.readonly_paths),
        **resources_shown(spec.resources),
    }


def network_mode(spec: ContainerSpec) -> str:
    """HostConfig's NetworkMode: the first network, or what there is instead of networks."""
    if spec.network_mode:
        return spec.network_mode
    return spec.attachments[0].network if spec.attachments else "bridge"


def _links(container: Container) -> list[str]:
    """The links on the default network, as `/NAME:/CONTAINER/ALIAS`."""
    links = [
        link.partition(":")
        for attachment in container.spec.attachments
        if attachment.network == "bridge"
        for link in attachment.links
    ]
    return [f"/{name}:/{container.name}/{alias}" for name, _, alias in links]


def _device(text: str) -> dict[str, str]:
    host, *rest = text.split(":")
    access = rest.pop() if rest and not rest[-1].startswith("/") else "rwm"
    inside = rest[0] if rest else host
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": access}


def config(container: Container, image: ImageConfig | None) -> dict[str, Any]:
    """inspect's Config: the image's own with what the container was given on top."""
    spec = container.spec
    of = image or ImageConfig()
    entrypoint = of.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.command
    if command is None and spec.entrypoint is None:
        command = of.command
    volumes = [m.target for m in spec.mounts if m.kind == "volume" and not m.source]
    exposed = (*of.exposed_ports, *spec.expose, *port_map(spec.ports))
    shown: dict[str, Any] = {
        "Hostname": spec.hostname or short_id(container.id),
        "Domainname": spec.domainname,
        "User": spec.user if spec.user is not None else of.user,
        **{f"Attach{s}": s.lower() in spec.attached for s in ("Stdin", "Stdout", "Stderr")},
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "StdinOnce": spec.stdin_once,
        "Env": environment(spec, of),
        "Cmd": list(command) if command else None,
        "Image": spec.image,
        "Volumes": {target: {} for target in (*of.volumes, *volumes)} or None,
        "WorkingDir": spec.working_dir or of.working_dir,
        "Entrypoint": list(entrypoint) if entrypoint else None,
        "OnBuild": list(of.onbuild) or None,
        "Labels": {**of.labels, **spec.labels},
    }
    if exposed:
        shown["ExposedPorts"] = {port: {} for port in exposed}
    if check := healthcheck_shown(effective_healthcheck(spec, image)):
        shown["Healthcheck"] = check
    if signal := spec.stop_signal or of.stop_signal:
        shown["StopSignal"] = signal
    if spec.stop_grace_s != _GRACE_S:
        shown["StopTimeout"] = int(spec.stop_grace_s)
    if of.shell:
        shown["Shell"] = list(of.shell)
    return shown


def environment(spec: ContainerSpec, image: ImageConfig) -> list[str]:
    """The variables as `NAME=value`, the image's first."""
    found = dict(entry.partition("=")[::2] for entry in image.environment)
    found.update(spec.environment)
    return [f"{k}={v}" for k, v in found.items() if k not in spec.unset_environment]
