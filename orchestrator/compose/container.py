"""A service's canonical tree becomes the specification of its containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from orchestrator.compose import networking
from orchestrator.compose.environment import environment_of, labels_of
from orchestrator.compose.mounting import Mounting
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.model.container import (
    ContainerSpec,
    Healthcheck,
    Resources,
    RestartName,
    RestartPolicy,
    Ulimit,
)

_CONDITIONS = {"none": "no", "any": "always"}
_SAME_NAME = ("hostname", "domainname", "network_mode", "user", "working_dir", "stop_signal")
_FLAGS = ("tty", "stdin_open", "init", "read_only", "privileged")
_LISTS = (
    "cap_add",
    "cap_drop",
    "security_opt",
    "group_add",
    "dns",
    "dns_search",
    "dns_opt",
)
_OTHER_NAME: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "stop_grace_period": ("stop_grace_s", float),
    "shm_size": ("shm_size_bytes", int),
    "pid": ("pid_mode", str),
    "ipc": ("ipc_mode", str),
}


@dataclass(frozen=True, slots=True)
class Containers:
    """Makes the container specifications of one stack."""

    networks: Mapping[str, str]
    mounting: Mounting
    environ: Mapping[str, str]
    findings: Findings

    def spec(self, name: str, service: Node, image: str) -> ContainerSpec:
        """What each of the service's containers is."""
        at = f"services.{name}"
        said = service.plain()
        logging = said.get("logging", {})
        values: dict[str, Any] = {key: said[key] for key in (*_SAME_NAME, *_FLAGS) if key in said}
        values |= {key: tuple(said[key]) for key in _LISTS if key in said}
        for key, (field, convert) in _OTHER_NAME.items():
            if said.get(key) is not None:
                values[field] = convert(said[key])
        for key in ("command", "entrypoint"):
            values[key] = tuple(said[key]) if said.get(key) is not None else None
        for number, link in enumerate(said.get("links", ())):
            if ":" in link:
                self.findings.warn(
                    service.entries["links"].items[number].mark,
                    f"{at}.links[{number}]",
                    "the other name is not carried yet; the service's own name works",
                )
        return ContainerSpec(
            image=image,
            environment=environment_of(service, at, self.environ, self.findings),
            labels=labels_of(service, self.findings),
            attachments=networking.attachments(name, service, self.networks),
            ports=networking.ports(service, at, self.findings),
            expose=networking.expose(service),
            extra_hosts=networking.extra_hosts(service.get("extra_hosts")),
            mounts=self.mounting.mounts(service, at),
            healthcheck=healthcheck(said.get("healthcheck")),
            restart=restart_policy(said),
            resources=resources(said),
            devices=tuple(_device(device) for device in said.get("devices", ())),
            sysctls={key: value or "" for key, value in said.get("sysctls", {}).items()},
            log_driver=logging.get("driver", ""),
            log_options={k: v or "" for k, v in logging.get("options", {}).items()},
            **values,
        )


def healthcheck(said: Mapping[str, Any] | None) -> Healthcheck | None:
    """The health check; None leaves the image's own."""
    if said is None:
        return None
    if said.get("disable"):
        return Healthcheck(test=("NONE",))
    names = ("interval", "timeout", "start_period", "start_interval")
    periods = {f"{name}_s": said[name] for name in names if said.get(name)}
    retries = {"retries": said["retries"]} if said.get("retries") else {}
    return Healthcheck(test=tuple(said.get("test", ())), **periods, **retries)


def restart_policy(said: Mapping[str, Any]) -> RestartPolicy:
    """The restart policy: `restart`, else `deploy.restart_policy`."""
    if "restart" in said:
        name, _, limit = said["restart"].partition(":")
        return RestartPolicy(name=cast(RestartName, name), max_retries=int(limit or 0))
    policy = _below(said, "deploy", "restart_policy")
    if not policy:
        return RestartPolicy()
    condition = policy.get("condition", "any")
    return RestartPolicy(
        name=cast(RestartName, _CONDITIONS.get(condition, condition)),
        max_retries=policy.get("max_attempts", 0) if condition == "on-failure" else 0,
    )


def resources(said: Mapping[str, Any]) -> Resources:
    """The limits: a service's own, else those under `deploy.resources`."""
    limits = _below(said, "deploy", "resources", "limits")
    reservations = _below(said, "deploy", "resources", "reservations")
    cpus = said.get("cpus", limits.get("cpus", 0))
    if not cpus and said.get("cpu_quota", 0) > 0:
        cpus = int(said["cpu_quota"] / said.get("cpu_period", 100_000) * 10**9)
    return Resources(
        memory_bytes=said.get("mem_limit", limits.get("memory", 0)),
        memory_reservation_bytes=said.get("mem_reservation", reservations.get("memory", 0)),
        memory_swap_bytes=said.get("memswap_limit", 0),
        nano_cpus=cpus,
        cpu_shares=said.get("cpu_shares", 0),
        cpuset_cpus=said.get("cpuset", ""),
        pids_limit=max(0, said.get("pids_limit", limits.get("pids", 0))),
        ulimits=tuple(
            Ulimit(name=name, soft=limit["soft"], hard=limit["hard"])
            for name, limit in said.get("ulimits", {}).items()
        ),
    )


def _below(said: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        said = said.get(key) or {}
    return said


def _device(said: Mapping[str, str]) -> str:
    target = said.get("target") or said["source"]
    return f"{said['source']}:{target}:{said.get('permissions', 'rwm')}"
