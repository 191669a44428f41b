"""What a container differs in from what it should be, and whether it can be changed as it runs.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from orchestrator.controller.plan import Change
from orchestrator.model.container import ContainerSpec, GrantedFile, Resources
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container
from orchestrator.state import labels

_COMPARED = tuple(f.name for f in fields(ContainerSpec))
_LIMITS = tuple(f.name for f in fields(Resources))
# What the engine changes while the container runs.
_LIVE = {
    "labels",
    "ports",
    "restart",
    "healthcheck",
    "stop_signal",
    "stop_grace_s",
    "log_options",
}
_LIVE_LIMITS = {
    "memory_bytes",
    "memory_reservation_bytes",
    "memory_swap_bytes",
    "nano_cpus",
    "cpu_shares",
    "cpu_period_us",
    "cpu_quota_us",
    "cpuset_cpus",
    "cpuset_mems",
    "pids_limit",
    "blkio_weight",
}
# The values of the others may be secret or long: the name is enough to know what changed.
_SHOWN = {"image", "hostname", "user", "working_dir", "network_mode", "stop_signal", "stop_grace_s"}
# The file's place and the hash say nothing that the other attributes do not say.
_IGNORED_LABELS = {
    labels.CONFIG_HASH,
    labels.CONFIG_FILES,
    labels.WORKING_DIR,
    labels.DEPENDS_ON,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The attributes that differ; `live` where all of them can change without a new container."""

    changes: tuple[Change, ...] = ()
    live: bool = True


def difference(container: Container, spec: ContainerSpec, image_id: str) -> Difference:
    """What must change for the container to be `spec` from the image `image_id` ("": any)."""
    changes = [] if container.spec == spec else spec_changes(container.spec, spec)
    swapped = _swapped(container.spec.files, spec.files)
    live = all(
        c.field.partition(".")[0] in _LIVE or c.field in _LIVE_LIMITS or c.field in swapped
        for c in changes
    )
    same_name = container.spec.image == spec.image
    if image_id and image_id != container.image_id and same_name:
        was, now = short_id(container.image_id), short_id(image_id)
        changes.append(Change(field=f"image {spec.image}", was=was, now=now))
        live = False
    return Difference(changes=tuple(changes), live=live)


def spec_changes(before: ContainerSpec, after: ContainerSpec) -> list[Change]:
    """The attributes in which two specifications differ, limits and pairs by their own names."""
    changes: list[Change] = []
    for attribute in _COMPARED:
        was, now = getattr(before, attribute), getattr(after, attribute)
        if attribute == "resources":
            names = [n for n in _LIMITS if getattr(was, n) != getattr(now, n)]
            changes += [_shown(n, getattr(was, n), getattr(now, n)) for n in names]
        elif attribute == "files":
            changes += _changed_files(was, now)
        elif was != now:
            changes += _changed(attribute, was, now)
    return changes


def _changed(attribute: str, was: object, now: object) -> list[Change]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = sorted(k for k in {*was, *now} if was.get(k) != now.get(k))
        return [Change(field=f"{attribute}.{k}") for k in keys if k not in _IGNORED_LABELS]
    if attribute in _SHOWN:
        return [_shown(attribute, was, now)]
    return [Change(field=attribute)]


def _swapped(was: Iterable[GrantedFile], now: Iterable[GrantedFile]) -> set[str]:
    """The sources of the files that differ in their content alone, and do not ask for a new
    container when that changes."""
    before = {f.source: f for f in was}
    return {
        file.source
        for file in now
        if file.on_change != "roll"
        and file.source in before
        and replace(before[file.source], version=file.version) == file
    }


def _changed_files(was: Iterable[GrantedFile], now: Iterable[GrantedFile]) -> list[Change]:
    """The configs and secrets that differ, by their names; never a word of what is in them."""
    before, after = {f.source: f for f in was}, {f.source: f for f in now}
    sources = sorted(s for s in {*before, *after} if before.get(s) != after.get(s))
    return [Change(field=source) for source in sources]


def _shown(name: str, was: object, now: object) -> Change:
    return Change(field=name, was=_text(was), now=_text(now))


def _text(value: object) -> str:
    if not value:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
