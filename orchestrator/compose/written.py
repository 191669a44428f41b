"""A canonical tree in the notation of Compose's canonical form: what `config` prints.

Byte counts become strings, durations Go's, host names a list; keys come in Compose's order.
Source: the output of `docker compose config` of Compose 2.26.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.order import ordered
from orchestrator.compose.schema.hosts import Hosts
from orchestrator.compose.schema.kinds import DURATION, Kind, Quantity
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct

# A key without a value has an empty one here; elsewhere it has none.
_EMPTY = ("labels", "annotations", "sysctls", "options", "driver_opts")


# Nothing, false and 0 are said of these; of the others their absence says the same.
_SAID = (
    *("attach", "command", "create_host_path", "enable_ipv4", "enable_ipv6", "entrypoint", "hard"),
    *("init", "max_attempts", "mem_swappiness", "parallelism", "replicas", "required", "retries"),
    *("scale", "soft"),
)


def written(kind: Kind, node: Node) -> Any:
    """The node's value as Compose writes it: mappings, lists and scalars."""
    match kind:
        case Struct() if isinstance(node.value, dict):
            return None if not node.entries and node.text else _struct(kind, node)
        case MapOf() if isinstance(node.value, dict):
            return {key: written(kind.value, node.entries[key]) for key in sorted(node.entries)}
        case ListOf() if isinstance(node.value, list):
            return [written(kind.item, item) for item in node.items]
        case Hosts() if isinstance(node.value, dict):
            return [f"{name}={a.string}" for name in sorted(node.entries) for a in _all(node, name)]
        case Quantity() if isinstance(node.value, int | float):
            return kind.write(node.value)
    return node.plain()


def _all(node: Node, name: str) -> list[Node]:
    return node.entries[name].items or [node.entries[name]]


def _left_out(kind: Kind | None, key: str, value: Any) -> bool:
    """Whether a value says no more than its absence would."""
    if key in _SAID or isinstance(kind, Struct):
        return value is None
    size = isinstance(kind, Quantity) and kind is not DURATION and value == "0"
    return size or value in (None, False, 0, "", [], {})


def _struct(kind: Struct, node: Node) -> Any:
    found: dict[str, Any] = {}
    for key, child in node.entries.items():
        attribute = kind.attributes.get(key)
        found[key] = written(attribute.kind, child) if attribute else child.plain()
        needed = attribute is None or attribute.required
        if attribute and not needed and _left_out(attribute.kind, key, found[key]):
            del found[key]
        elif key in _EMPTY and isinstance(found[key], dict):
            found[key] = {k: "" if v is None else v for k, v in found[key].items()}
    found = ordered(kind.name, found, tuple(kind.attributes))
    finish = _FINISH.get(kind.name)
    return finish(found) if finish else found


def _service(said: dict[str, Any]) -> dict[str, Any]:
    if isinstance(said.get("mem_swappiness"), int):
        said["mem_swappiness"] = str(said["mem_swappiness"])
    if said.get("pull_policy") == "if_not_present":
        said["pull_policy"] = "missing"
    if isinstance(said.get("deploy"), dict) and "scale" in said:
        said["deploy"].setdefault("replicas", said["scale"])
    if isinstance(said.get("secrets"), list):
        said["secrets"] = [_secret(secret) for secret in said["secrets"]]
    return said


def _secret(grant: Any) -> Any:
    if not isinstance(grant, dict) or "source" not in grant:
        return grant
    return ordered("secret_grant", {"target": f"/run/secrets/{grant['source']}", **grant})


def _build(said: dict[str, Any]) -> dict[str, Any]:
    if isinstance(said.get("ssh"), dict):
        said["ssh"] = [key if v is None else f"{key}={v}" for key, v in said["ssh"].items()]
    return said


def _ulimit(said: dict[str, Any]) -> Any:
    return said["soft"] if len(said) == 2 and said["soft"] == said.get("hard") else said


def _device_request(said: dict[str, Any]) -> dict[str, Any]:
    count = said.get("count")
    if count == "all":
        said["count"] = -1
    elif isinstance(count, str) and count.lstrip("-").isdigit():
        said["count"] = int(count)
    return said


def _resource(said: dict[str, Any]) -> dict[str, Any]:
    """A network, volume, config or secret: the old form of `external` has the name in it."""
    external = said.get("external")
    if isinstance(external, dict):
        said["external"] = True
        if "name" in external:
            said.setdefault("name", external["name"])
    elif external is False:
        del said["external"]
    return said


_FINISH: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "service": _service,
    "build": _build,
    "ulimit": _ulimit,
    "device_request": _device_request,
    "gpu": _device_request,
    "network": _resource,
    "volume": _resource,
    "config": _resource,
    "secret": _resource,
    "port": lambda said: ordered("port", {"mode": "ingress", "protocol": "tcp", **said}),
    "dependency": lambda said: ordered("dependency", {"required": True, **said}),
    "env_file": lambda said: {"required": True, **said},
}
