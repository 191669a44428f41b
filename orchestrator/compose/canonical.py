"""A project in Compose's canonical form: every default, name and dependency written out.

Source: the output of `docker compose config` of Compose 2.26.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.compose.dependencies import implied
from orchestrator.compose.environment import environment_of, labels_of, resolved
from orchestrator.compose.load import Project
from orchestrator.compose.networking import DEFAULT, network_keys
from orchestrator.compose.node import Node
from orchestrator.compose.order import ordered
from orchestrator.compose.profiles import takes_part
from orchestrator.compose.schema.stack import STACK
from orchestrator.compose.written import written

_RESOURCES = ("networks", "volumes", "secrets", "configs")


def canonical(
    project: Project,
    *,
    services: Sequence[str] = (),
    normalize: bool = True,
    resolve_environment: bool = True,
) -> dict[str, Any]:
    """The project as `docker compose config` writes it, of these services and what they need; the
    networks and such are those of every service that takes part.

    Without `normalize` nothing is added to what the files say. With variables left in it, the
    form holds what is declared and not used as well, as nobody can tell.
    Raises: StackInvalid: a file of variables cannot be read.
    """
    tree = project.tree
    whole = project.phases.interpolate
    said: dict[str, Any] = written(STACK, tree)
    said.pop("version", None)
    nodes = tree.get("services")
    entries = nodes.entries if nodes else {}
    taking_part, chosen = (_chosen(project, entries, asked) for asked in ((), services))
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(chosen):
        service = found[name] = said["services"][name]
        if not isinstance(service, dict):
            continue  # a variable
        service.pop("extends", None)
        if whole and resolve_environment:
            _resolve(project, name, entries[name], service)
        if normalize:
            _normalize(project, service, entries[name])
    form: dict[str, Any] = {"name": project.name} if whole or normalize else {}
    form["services"] = found
    for section in _RESOURCES:
        resources = _mapping(said.get(section))
        if normalize and section == "networks":
            _add_default(resources, taking_part.values())
        everyone = {name: said["services"][name] for name in taking_part}
        used = _used(section, taking_part.values(), everyone) if whole else set(resources)
        form[section] = {
            key: _named(project, key, value) if normalize else value or {}
            for key, value in sorted(resources.items())
            if key in used
        }
        if not form[section]:
            del form[section]
    form |= {k: v for k, v in said.items() if k.startswith("x-") or (k == "models" and v)}
    project.findings.raise_any()
    return _escaped(form) if whole else form


def _mapping(said: Any) -> dict[str, Any]:
    """What is said where that is a mapping; a variable may stand in its place."""
    return dict(said) if isinstance(said, dict) else {}


def _chosen(project: Project, services: dict[str, Node], asked: Sequence[str]) -> dict[str, Node]:
    """The services that take part; of those only the ones asked for and what they depend on."""
    # A profile that is a variable may be any.
    everything = not project.phases.interpolate
    taking_part = {k: v for k, v in services.items() if everything or takes_part(v, project.active)}
    if not asked:
        return taking_part
    found: dict[str, Node] = {}
    left = list(asked)
    while left:
        name = left.pop()
        if name in found or name not in taking_part:
            continue
        node = found[name] = taking_part[name]
        declared = node.get("depends_on")
        left += [*(declared.entries if declared else ()), *(other for other, _, _ in implied(node))]
    return found


def _resolve(project: Project, name: str, node: Node, service: dict[str, Any]) -> None:
    """The variables and labels of files, and what the environment says, are written out."""
    at = f"services.{name}"
    known = environment_of(node, at, project.environ, project.findings)
    own = node.get("environment")
    missing = {key: None for key in (own.entries if own else {}) if key not in known}
    service.pop("env_file", None)
    if everything := {**known, **missing}:
        service["environment"] = dict(sorted(everything.items()))
    if service.pop("label_file", None):
        service["labels"] = dict(sorted(labels_of(node, at, project.findings).items()))


def _normalize(project: Project, service: dict[str, Any], node: Node) -> None:
    depends_on = _mapping(service.get("depends_on"))
    for other, key, _ in implied(node):
        restart = {} if key.startswith("volumes_from") else {"restart": True}
        implicit = {"condition": "service_started", **restart, "required": True}
        depends_on.setdefault(other, implicit)
    if depends_on:
        service["depends_on"] = dict(sorted(depends_on.items()))
    keys = network_keys(node)
    if keys == [DEFAULT] and not service.get("networks"):
        service["networks"] = {DEFAULT: None}
    build = _mapping(service.get("build"))
    if build and "dockerfile_inline" not in build:
        build.setdefault("dockerfile", "Dockerfile")
    if project.phases.interpolate and build.pop("args", None):
        args = resolved(node.get("build", "args"), project.environ)
        build |= {"args": dict(sorted(args.items()))} if args else {}
    if build:
        service["build"] = ordered("build", build)


def _add_default(networks: dict[str, Any], services: Iterable[Node]) -> None:
    if any(DEFAULT in network_keys(service) for service in services):
        networks.setdefault(DEFAULT, {})


def _used(section: str, services: Iterable[Node], found: dict[str, dict[str, Any]]) -> set[str]:
    """The keys of a section that services refer to."""
    if section == "networks":
        return {key for service in services for key in network_keys(service)}
    used: set[str] = set()
    for service in map(_mapping, found.values()):
        if section == "volumes":
            mounts = [m for m in service.get("volumes") or () if isinstance(m, dict)]
            used |= {m["source"] for m in mounts if m.get("type") == "volume" and "source" in m}
            continue
        granted = [
            *(service.get(section) or ()),
            *(_mapping(service.get("build")).get(section) or ()),
        ]
        used |= {grant["source"] for grant in granted if isinstance(grant, dict)}
    return used


def _named(project: Project, key: str, resource: Any) -> dict[str, Any]:
    """A resource with its name on the machine first."""
    said = _mapping(resource)
    default = key if said.get("external") else f"{project.name}_{key}"
    return {"name": said.get("name", default), **said}


def _escaped(value: Any) -> Any:
    """The value with its dollars doubled, so that reading it again gives the same."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value
