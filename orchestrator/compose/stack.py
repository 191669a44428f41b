"""The last phase: a canonical tree becomes the model's Stack, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from orchestrator.compose import networking
from orchestrator.compose.container import Containers
from orchestrator.compose.contents import granted_files
from orchestrator.compose.dependencies import SERVICE_PREFIX, implied
from orchestrator.compose.environment import resolved
from orchestrator.compose.limiting import ulimits
from orchestrator.compose.living import pull_age, rollout, watch_rules
from orchestrator.compose.mounting import Mounting
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.profiles import takes_part
from orchestrator.compose.schema.pending import ALWAYS_IPV4, ONE_IPAM, SWARM
from orchestrator.model.stack import (
    Build,
    BuildSecret,
    Dependency,
    PullPolicy,
    Service,
    Stack,
    StackNetwork,
    StackVolume,
)
from orchestrator.model.subnet import Subnet

_PULL: Mapping[str, PullPolicy] = {
    "always": "always",
    "never": "never",
    "build": "build",
    "missing": "missing",
    "if_not_present": "missing",
}


# What networks are always like here: the values that are no surprise, and what is said of others.
_FIXED = (
    (("enable_ipv4",), (True,), ALWAYS_IPV4),
    (("ipam", "driver"), ("default", ""), ONE_IPAM),
)


def to_stack(
    tree: Node,
    *,
    name: str,
    directory: Path,
    files: Sequence[str],
    active: frozenset[str],
    environ: Mapping[str, str],
    findings: Findings,
) -> Stack:
    """The stack that a sound tree means; networks and volumes that nothing uses are left out."""
    services = {
        key: service
        for key, service in _section(tree, "services").items()
        if takes_part(service, active) and service.get("provider") is None
    }
    networks = {"default": tree.holding({}), **_section(tree, "networks")}
    volumes = _section(tree, "volumes")
    network_names = {key: _real_name(name, key, node) for key, node in networks.items()}
    volume_names = {key: _real_name(name, key, node) for key, node in volumes.items()}
    containers = Containers(
        network_names, Mounting(tree, volume_names, findings), environ, findings
    )
    made = _Services(tree, name, containers, frozenset(services), environ, findings)
    used_networks = {
        key for service in services.values() for key in networking.network_keys(service)
    }
    used_volumes = {key for service in services.values() for key in _volume_keys(service)}
    finished = tuple(made.service(key, node) for key, node in services.items())
    return Stack(
        name=name,
        working_dir=str(directory),
        files=tuple(files),
        services=finished,
        granted=tuple(granted_files(tree, name, finished)),
        networks=tuple(
            _network(key, network_names[key], node, findings)
            for key, node in networks.items()
            if key in used_networks
        ),
        volumes=tuple(
            _volume(key, volume_names[key], node.plain())
            for key, node in volumes.items()
            if key in used_volumes
        ),
        inactive=tuple(key for key in _section(tree, "services") if key not in services),
    )


class _Services:
    """Makes the services of one stack; those not in `taking_part` are depended on by nobody."""

    def __init__(
        self,
        tree: Node,
        project: str,
        containers: Containers,
        taking_part: frozenset[str],
        environ: Mapping[str, str],
        findings: Findings,
    ) -> None:
        self._tree = tree
        self._project = project
        self._containers = containers
        self._taking_part = taking_part
        self._environ = environ
        self._findings = findings

    def service(self, name: str, node: Node) -> Service:
        said = node.plain()
        image = said.get("image") or f"{self._project}-{name}"
        deploy = said.get("deploy") or {}
        if str(deploy.get("mode", "")).endswith("-job"):
            mode = node.get("deploy", "mode") or node
            self._findings.warn(mode.key, f"services.{name}.deploy.mode", SWARM)
        return Service(
            name=name,
            container=self._containers.spec(name, node, image),
            build=self._build(node.get("build")),
            scale=said.get("scale", deploy.get("replicas", 1)),
            container_name=said.get("container_name", ""),
            depends_on=self._depends_on(node),
            pull_policy=_PULL.get(said.get("pull_policy", ""), "missing"),
            pull_after_s=pull_age(said.get("pull_policy", ""), said.get("pull_refresh_after", "")),
            update=rollout(deploy.get("update_config")),
            rollback=rollout(deploy.get("rollback_config")),
            attach=said.get("attach", True),
            watch=watch_rules(node.get("develop", "watch"), self._environ),
        )

    def _depends_on(self, node: Node) -> tuple[Dependency, ...]:
        declared = node.get("depends_on")
        found = {
            other: Dependency(
                service=other,
                condition=said["condition"],
                restart=said.get("restart", False),
                required=said.get("required", True),
            )
            for other, said in (declared.plain() if declared else {}).items()
        }
        for other, key, _ in implied(node):
            restart = not key.startswith("volumes_from")
            found.setdefault(other, Dependency(service=other, restart=restart))
        return tuple(d for d in found.values() if d.service in self._taking_part)

    def _build(self, node: Node | None) -> Build | None:
        if node is None:
            return None
        said = node.plain()
        names = ("dockerfile", "dockerfile_inline", "target", "no_cache", "pull", "network")
        lists = ("cache_from", "cache_to", "entitlements", "platforms", "tags")
        values: dict[str, Any] = {key: said[key] for key in names if key in said}
        values |= {key: tuple(said[key]) for key in lists if key in said}
        return Build(
            context=said.get("context", "/"),
            args=resolved(node.get("args"), self._environ),
            labels={key: value or "" for key, value in said.get("labels", {}).items()},
            contexts={
                key: self._build_context(value)
                for key, value in said.get("additional_contexts", {}).items()
            },
            secrets=self._build_secrets(node.get("secrets")),
            ssh={
                key: value or self._environ.get("SSH_AUTH_SOCK", "")
                for key, value in said.get("ssh", {}).items()
            },
            ulimits=ulimits(said.get("ulimits", {})),
            extra_hosts=networking.extra_hosts(node.get("extra_hosts")),
            shm_size_bytes=said.get("shm_size", 0),
            **values,
        )

    def _build_context(self, text: str) -> str:
        """An additional context; `service:NAME` is the image that the service is made of, which
        the builder waits for where it is being built."""
        if not text.startswith(SERVICE_PREFIX):
            return text
        name = text.removeprefix(SERVICE_PREFIX)
        image = self._tree.get("services", name, "image")
        return f"docker-image://{image.string if image else f'{self._project}-{name}'}"

    def _build_secrets(self, granted: Node | None) -> tuple[BuildSecret, ...]:
        found = []
        for node in granted.items if granted else ():
            said = node.plain()
            secret = self._tree.get("secrets", said["source"])
            given = secret.plain() if secret else {}
            found.append(
                BuildSecret(
                    id=said.get("target", said["source"]),
                    file=given.get("file", ""),
                    value=self._environ.get(given.get("environment", ""), ""),
                )
            )
        return tuple(found)


def _section(tree: Node, name: str) -> dict[str, Node]:
    node = tree.get(name)
    return node.entries if node else {}


def _volume_keys(service: Node) -> list[str]:
    mounts = service.get("volumes")
    said = [mount.plain() for mount in mounts.items] if mounts else []
    return [m["source"] for m in said if m["type"] == "volume" and m.get("source")]


def _real_name(project: str, key: str, node: Node) -> str:
    """A resource's name on the machine: its own, an external one's key, else project_key."""
    said = node.plain()
    external = said.get("external", False)
    if isinstance(external, dict):
        return str(said.get("name") or external.get("name") or key)
    return str(said.get("name") or (key if external else f"{project}_{key}"))


def _subnets(key: str, node: Node, findings: Findings) -> dict[int, list[dict[str, Any]]]:
    """The address settings by IP version."""
    found: dict[int, list[dict[str, Any]]] = {4: [], 6: []}
    configs = node.get("ipam", "config")
    for number, config in enumerate(configs.items if configs else ()):
        at, said = f"networks.{key}.ipam.config[{number}]", config.plain()
        version = ip_network(said["subnet"], strict=False).version if said.get("subnet") else 0
        if not version:
            findings.warn(config.mark, at, "has no effect without a subnet")
        elif version == 6 and found[6]:
            findings.warn(config.mark, at, "a network has one IPv6 subnet: it has no effect")
        else:
            found[version].append(said)
    return found


def _network(key: str, name: str, node: Node, findings: Findings) -> StackNetwork:
    said, subnets = node.plain(), _subnets(key, node, findings)
    for path, usual, why in _FIXED:
        told = node.get(*path)
        if told is not None and told.value not in usual:
            findings.warn(told.key, f"networks.{key}.{'.'.join(path)}", why)
    four, *more = subnets[4] or [{}]
    six = (subnets[6] or [{}])[0]
    aux = [config.get("aux_addresses", {}) for config in (*subnets[4], *subnets[6])]
    return StackNetwork(
        key=key,
        name=name,
        driver=said.get("driver") or "bridge",
        external=bool(said.get("external", False)),
        internal=said.get("internal", False),
        attachable=said.get("attachable", False),
        subnet=four.get("subnet", ""),
        gateway=four.get("gateway", ""),
        ip_range=four.get("ip_range", ""),
        more_subnets=tuple(
            Subnet(subnet=m["subnet"], gateway=m.get("gateway", ""), ip_range=m.get("ip_range", ""))
            for m in more
        ),
        ipv6=said.get("enable_ipv6", False),
        ipv6_subnet=six.get("subnet", ""),
        ipv6_gateway=six.get("gateway", ""),
        ipv6_range=six.get("ip_range", ""),
        aux_addresses={name: address for each in aux for name, address in each.items()},
        options=said.get("driver_opts", {}),
        labels={k: v or "" for k, v in said.get("labels", {}).items()},
    )


def _volume(key: str, name: str, said: dict[str, Any]) -> StackVolume:
    return StackVolume(
        key=key,
        name=name,
        driver=said.get("driver") or "local",
        external=bool(said.get("external", False)),
        options=said.get("driver_opts", {}),
        labels={k: v or "" for k, v in said.get("labels", {}).items()},
    )
