"""The difference between what is wanted and what is, as a plan. Pure, total, sorted.

Level-triggered: nothing here knows what was done before, only what is there now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from orchestrator.controller.desired import container_name, container_spec, namespace_owner
from orchestrator.controller.observed import Observed, number_of
from orchestrator.controller.plan import (
    Action,
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Gate,
    Plan,
    PullImage,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    ReplaceContainer,
    StartContainer,
    StopContainer,
)
from orchestrator.model.container import ContainerSpec
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container
from orchestrator.model.stack import Service, Stack
from orchestrator.state import labels
from orchestrator.state.stacks import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A stack and how it is wanted.

    `since` (Unix seconds) is when the wish was made: a container that ended by itself after it is
    left ended, one that ended before it is started. `refresh` names the services whose image is
    pulled or built again though it is there; `recreate` those whose containers are replaced though
    nothing differs ("force") or left though something does ("never").
    """

    stack: Stack
    wish: Wish = "running"
    since: float = 0.0
    refresh: frozenset[str] = frozenset()
    force: frozenset[str] = frozenset()
    never_recreate: bool = False
    only: frozenset[str] = frozenset()
    remove_orphans: bool = False
    remove_volumes: bool = False
    grace_s: float | None = None


def diff(desired: Desired, observed: Observed) -> Plan:
    """What must be done so that `observed` becomes `desired`; empty where nothing differs."""
    match desired.wish:
        case "removed":
            return _removal(desired, observed)
        case "stopped":
            return _stopping(desired, observed)
        case _:
            return _running(desired, observed)


# -- up ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    """The plan as it grows; `done_by` maps a thing to the key of the action that makes it."""

    actions: list[Action] = field(default_factory=list)
    done_by: dict[str, str] = field(default_factory=dict)

    def add(self, action: Action, makes: str) -> None:
        self.actions.append(action)
        self.done_by[makes] = action.key

    def needs(self, things: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.done_by[t] for t in things if t in self.done_by))


def _running(desired: Desired, observed: Observed) -> Plan:
    draft = _Draft()
    services = ordered(desired.stack, desired.only)
    for service in services:
        _image(draft, desired, observed, service)
    used_networks = {a.network for s in services for a in s.container.attachments}
    used_volumes = {m.source for s in services for m in s.container.mounts if m.kind == "volume"}
    project = {labels.PROJECT: desired.stack.name}
    for network in desired.stack.networks:
        wanted = network.name in used_networks and not network.external
        if wanted and network.name not in observed.networks:
            own = {**network.labels, **project, labels.NETWORK: network.key}
            draft.add(CreateNetwork(network=network, labels=own), f"network {network.name}")
    for volume in desired.stack.volumes:
        wanted = volume.name in used_volumes and not volume.external
        if wanted and volume.name not in observed.volumes:
            own = {**volume.labels, **project, labels.VOLUME: volume.key}
            draft.add(CreateVolume(volume=volume, labels=own), f"volume {volume.name}")
    orphans = _orphans(desired, observed)
    if desired.remove_orphans:
        for orphan in orphans:
            draft.add(
                RemoveContainer(name=orphan.name, id=orphan.id, reason="not in the stack file"),
                f"gone {orphan.name}",
            )
    for service in services:
        _service(draft, desired, observed, service)
    warnings = _warnings(desired, observed, [] if desired.remove_orphans else orphans)
    return Plan(actions=tuple(draft.actions), warnings=warnings)


def ordered(stack: Stack, only: frozenset[str] = frozenset()) -> list[Service]:
    """The services, each after those it depends on; with `only`, those and what they need."""
    result: dict[str, Service] = {}

    def visit(name: str) -> None:
        service = stack.service(name)
        if service is None or name in result:
            return
        for needed in _needed(service):
            visit(needed)
        result[name] = service

    for service in stack.services:
        if not only or service.name in only:
            visit(service.name)
    return list(result.values())


def _needed(service: Service) -> list[str]:
    owner = namespace_owner(service)
    return [d.service for d in service.depends_on] + ([owner] if owner else [])


def _image(draft: _Draft, desired: Desired, observed: Observed, service: Service) -> None:
    reference = service.container.image
    thing = f"image {reference}"
    there = reference in observed.images
    refresh = service.name in desired.refresh
    if thing in draft.done_by or (there and not refresh) or service.scale == 0:
        return
    reason = "asked for" if there else ""
    if service.build is not None:
        draft.add(BuildImage(reference=reference, build=service.build, reason=reason), thing)
    elif service.pull_policy != "never":
        draft.add(PullImage(reference=reference, always=refresh, reason=reason), thing)


def _service(draft: _Draft, desired: Desired, observed: Observed, service: Service) -> None:
    present = {number_of(c): c for c in observed.of_service(service.name)}
    gates = tuple(
        Gate(service=d.service, condition=d.condition)
        for d in service.depends_on
        if d.required or desired.stack.service(d.service) is not None
    )
    for number in range(1, service.scale + 1):
        _container(draft, desired, observed, service, number, present.pop(number, None), gates)
    for surplus in present.values():
        draft.add(
            RemoveContainer(
                name=surplus.name, id=surplus.id, reason=f"{service.name} has scale {service.scale}"
            ),
            f"gone {surplus.name}",
        )


def _container(
    draft: _Draft,
    desired: Desired,
    observed: Observed,
    service: Service,
    number: int,
    container: Container | None,
    gates: tuple[Gate, ...],
) -> None:
    name = container_name(desired.stack, service, number)
    spec = container_spec(desired.stack, service, number)
    needs = draft.needs(_ingredients(desired.stack, service))
    if container is None:
        draft.add(CreateContainer(name=name, spec=spec, needs=needs), f"container {name}")
    else:
        reasons = _differences(desired, observed, container, name, spec)
        if service.name in desired.force and container.created_at < desired.since:
            reasons.insert(0, "asked for")
        if desired.never_recreate:
            reasons = []
        if not reasons:
            if _to_be_started(desired, container):
                draft.add(
                    StartContainer(name=name, needs=needs, gates=gates, reason=_ended(container)),
                    f"started {name}",
                )
            return
        kept = _anonymous(observed, container)
        draft.add(
            ReplaceContainer(
                name=name, old_id=container.id, spec=spec, kept_volumes=kept, needs=needs,
                reason="; ".join(reasons),
            ),
            f"container {name}",
        )  # fmt: skip
    owner = namespace_owner(service)
    owners = [f"started {n}" for n in _names(desired.stack, owner)] if owner else []
    needs = draft.needs([f"container {name}", *owners])
    draft.add(StartContainer(name=name, needs=needs, gates=gates), f"started {name}")


def _ingredients(stack: Stack, service: Service) -> list[str]:
    spec = service.container
    return [
        f"image {spec.image}",
        *(f"network {a.network}" for a in spec.attachments),
        *(f"volume {m.source}" for m in spec.mounts if m.kind == "volume" and m.source),
    ]


def _names(stack: Stack, service_name: str) -> list[str]:
    service = stack.service(service_name)
    if service is None:
        return []
    return [container_name(stack, service, n) for n in range(1, service.scale + 1)]


def _to_be_started(desired: Desired, container: Container) -> bool:
    state = container.state
    match state.status:
        case "running" | "paused" | "restarting" | "removing":
            return False
        case "created":
            return True
        case _:
            return state.finished_at < desired.since


def _ended(container: Container) -> str:
    if container.state.status == "created":
        return ""
    return f"it ended with exit code {container.state.exit_code}"


_COMPARED = tuple(f.name for f in fields(ContainerSpec))
# The file's place and the hash say nothing that the other fields do not say.
_IGNORED_LABELS = {
    labels.CONFIG_HASH,
    labels.CONFIG_FILES,
    labels.WORKING_DIR,
    labels.DEPENDS_ON,
}


def _differences(
    desired: Desired, observed: Observed, container: Container, name: str, spec: ContainerSpec
) -> list[str]:
    found: list[str] = []
    if container.name != name:
        found.append(f"name {container.name} -> {name}")
    for attribute in _COMPARED:
        was, now = getattr(container.spec, attribute), getattr(spec, attribute)
        if was != now:
            found += _changed(attribute, was, now)
    image = observed.images.get(spec.image)
    if image is not None and image != container.image_id and container.spec.image == spec.image:
        found.append(f"image {spec.image} {short_id(container.image_id)} -> {short_id(image)}")
    return found


def _changed(attribute: str, was: object, now: object) -> list[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = sorted(k for k in {*was, *now} if was.get(k) != now.get(k))
        # Values of variables may be secrets: the name is enough to know what changed.
        return [f"{attribute}.{k}" for k in keys if k not in _IGNORED_LABELS]
    if attribute in ("image", "hostname", "user", "working_dir", "network_mode", "stop_signal"):
        return [f"{attribute} {was or '(none)'} -> {now or '(none)'}"]
    return [attribute]


def _anonymous(observed: Observed, container: Container) -> dict[str, str]:
    named = {m.target for m in container.spec.mounts if m.source}
    return {
        m.target: m.source for m in container.mounts if m.kind == "volume" and m.target not in named
    }


def _orphans(desired: Desired, observed: Observed) -> list[Container]:
    known = {s.name for s in desired.stack.services}
    return [
        c
        for _, c in sorted(observed.containers.items())
        if c.spec.labels.get(labels.SERVICE) not in known
        and c.spec.labels.get(labels.ONEOFF) != "True"
    ]


def _warnings(desired: Desired, observed: Observed, orphans: list[Container]) -> tuple[str, ...]:
    found: list[str] = []
    if orphans:
        names = ", ".join(c.name for c in orphans)
        found.append(
            f"{names}: not in the stack file any more; --remove-orphans removes such containers"
        )
    for network in desired.stack.networks:
        real = observed.networks.get(network.name)
        if real is None or network.external:
            continue
        for attribute in ("driver", "internal", "subnet", "gateway", "ip_range"):
            was, now = getattr(real, attribute), getattr(network, attribute)
            if now and was != now:
                found.append(
                    f"network {network.name} has {attribute} {was}, the file says {now};"
                    " it changes with `down` and `up`"
                )
    return tuple(found)


# -- stop and down -------------------------------------------------------------------------


def _stopping(desired: Desired, observed: Observed) -> Plan:
    draft = _Draft()
    for service, container in _reversed(desired, observed):
        if container.running or container.state.status == "restarting":
            needs = _dependents(draft, desired.stack, service, observed, "stopped")
            action = StopContainer(
                name=container.name, id=container.id, grace_s=desired.grace_s, needs=needs
            )
            draft.add(action, f"stopped {container.name}")
    return Plan(actions=tuple(draft.actions))


def _removal(desired: Desired, observed: Observed) -> Plan:
    draft = _Draft()
    for service, container in _reversed(desired, observed):
        needs = _dependents(draft, desired.stack, service, observed, "gone")
        action = RemoveContainer(
            name=container.name, id=container.id, grace_s=desired.grace_s,
            volumes=desired.remove_volumes, needs=needs,
        )  # fmt: skip
        draft.add(action, f"gone {container.name}")
    gone = tuple(draft.done_by.values())
    external = {n.name for n in desired.stack.networks if n.external}
    external |= {v.name for v in desired.stack.volumes if v.external}
    for network in sorted(observed.networks):
        if network not in external:
            draft.add(RemoveNetwork(name=network, needs=gone), f"no network {network}")
    if desired.remove_volumes:
        for volume in sorted(observed.volumes):
            if volume not in external:
                draft.add(RemoveVolume(name=volume, needs=gone), f"no volume {volume}")
    return Plan(actions=tuple(draft.actions))


def _reversed(desired: Desired, observed: Observed) -> list[tuple[str, Container]]:
    """The containers, each before those of the services that its own depends on."""
    result = [(c.spec.labels.get(labels.SERVICE, ""), c) for c in _orphans(desired, observed)]
    for service in reversed(ordered(desired.stack)):
        result += [(service.name, c) for c in reversed(observed.of_service(service.name))]
    known = {c.id for _, c in result}
    result += [("", c) for _, c in sorted(observed.containers.items()) if c.id not in known]
    return result


def _dependents(
    draft: _Draft, stack: Stack, service: str, observed: Observed, made: str
) -> tuple[str, ...]:
    """The keys of what happens to the containers of the services that depend on this one."""
    names = [
        c.name
        for other in stack.services
        if service in _needed(other)
        for c in observed.of_service(other.name)
    ]
    return draft.needs(f"{made} {n}" for n in names)
