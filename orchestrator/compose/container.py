"""A service's canonical tree becomes the specification of its containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.compose import networking
from orchestrator.compose.environment import environment_of, labels_of, pairs
from orchestrator.compose.limiting import resources
from orchestrator.compose.living import healthcheck, hooks, restart_policy
from orchestrator.compose.mounting import Mounting
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.security import security_options
from orchestrator.model.container import ContainerSpec
from orchestrator.model.value import dataclass

_SAME_NAME = (
    "cgroup_parent",
    "domainname",
    "hostname",
    "network_mode",
    "oom_score_adj",
    "platform",
    "runtime",
    "stop_signal",
    "user",
    "userns_mode",
    "working_dir",
    "init",
    "privileged",
    "read_only",
    "stdin_open",
    "tty",
    "use_api_socket",
)
_LISTS = (
    "cap_add",
    "cap_drop",
    "device_cgroup_rules",
    "dns",
    "dns_opt",
    "dns_search",
    "group_add",
    "volumes_from",
)
_OTHER_NAME: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cgroup": ("cgroupns_mode", str),
    "ipc": ("ipc_mode", str),
    "pid": ("pid_mode", str),
    "shm_size": ("shm_size_bytes", int),
    "stop_grace_period": ("stop_grace_s", float),
    "uts": ("uts_mode", str),
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
        # An empty name, or a size of 0, is none: it leaves the image's or the engine's own.
        values: dict[str, Any] = {key: said[key] for key in _SAME_NAME if said.get(key, "") != ""}
        values |= {key: tuple(said[key]) for key in _LISTS if key in said}
        for key, (field, convert) in _OTHER_NAME.items():
            if said.get(key) is not None and (said[key] or key != "shm_size"):
                values[field] = convert(said[key])
        for key in ("command", "entrypoint"):
            values[key] = tuple(said[key]) if said.get(key) is not None else None
        return ContainerSpec(
            image=image,
            environment=environment_of(service, at, self.environ, self.findings),
            labels=labels_of(service, at, self.findings),
            annotations=pairs(service.get("annotations")),
            attachments=networking.attachments(name, service, self.networks),
            ports=networking.ports(service),
            expose=networking.expose(service),
            extra_hosts=networking.extra_hosts(service.get("extra_hosts")),
            mounts=self.mounting.mounts(service, at),
            files=self.mounting.files(service),
            healthcheck=healthcheck(said.get("healthcheck")),
            restart=restart_policy(said),
            resources=resources(said),
            devices=tuple(_device(device) for device in said.get("devices", ())),
            sysctls={key: value or "" for key, value in said.get("sysctls", {}).items()},
            security_opt=security_options(service, at, self.findings),
            storage_options=said.get("storage_opt", {}),
            log_driver=logging.get("driver", ""),
            log_options={k: v or "" for k, v in logging.get("options", {}).items()},
            post_start=hooks(service.get("post_start"), self.environ),
            pre_stop=hooks(service.get("pre_stop"), self.environ),
            **values,
        )


def _device(said: Mapping[str, str]) -> str:
    target = said.get("target") or said["source"]
    return f"{said['source']}:{target}:{said.get('permissions', 'rwm')}"
