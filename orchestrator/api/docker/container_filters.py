"""Which containers a list shows and a prune removes. Pure.

Source: the Docker Engine API reference, "ContainerList" and "ContainerPrune", filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from orchestrator.errors import NotFound
from orchestrator.model.image import Image
from orchestrator.model.observed import Container
from orchestrator.wire.container_list import exposed_ports, labels_of, published_at
from orchestrator.wire.filters import Filters
from orchestrator.wire.times import moment_of

LISTING = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
    "label!", "name", "network", "publish", "since", "status", "volume",
)  # fmt: skip
PRUNING = ("label", "label!", "until")
_STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What filters refer to: containers and images by name or id, the image of an id, every one."""

    container: Callable[[str], Container]
    image: Callable[[str], Image]
    image_of: Callable[[str], Image | None]
    images: Sequence[Image]


def listed(
    containers: Iterable[Container],
    filters: Filters,
    known: Known,
    *,
    every: bool = False,
    limit: int = 0,
) -> list[Container]:
    """The containers that pass, newest first as given: those that run, or `every` one.

    A limit or a status asked for makes it every one as well.
    Raises: InvalidInput: a filter's value is wrong; NotFound: before or since name nobody.
    """
    every = every or limit > 0 or "status" in filters
    passing = _passing(containers, filters, known, every)
    return list(islice(passing, limit) if limit > 0 else passing)


def _passing(
    containers: Iterable[Container], filters: Filters, known: Known, every: bool
) -> Iterator[Container]:
    tests = list(_tests(filters, known))
    for container in containers:
        # One that waits for its restart counts as running.
        up = container.running or container.state.status == "restarting"
        if (every or up) and all(test(container) for test in tests):
            yield container


def _tests(filters: Filters, known: Known) -> Iterator[Callable[[Container], bool]]:
    statuses = filters.one_of("status", _STATUSES)
    yield lambda c: not statuses or c.state.status in statuses
    health = filters.one_of("health", _HEALTH)
    yield lambda c: not health or _health(c) in health
    codes = filters.each("exited", int, "an exit code")
    yield (
        lambda c: (
            not codes or (not c.running and c.state.started_at > 0 and c.state.exit_code in codes)
        )
    )
    yield lambda c: filters.pattern("name", c.name, f"/{c.name}")
    yield lambda c: filters.pattern("id", c.id)
    yield lambda c: filters.labels(labels_of(c, known.image_of(c.image_id)))
    yield lambda c: filters.exact(
        "network",
        *(each for e in c.endpoints for each in (e.network_id, e.network_name)),
        *([c.spec.network_mode] if c.spec.network_mode else []),
    )
    yield lambda c: filters.exact(
        "volume", *(each for m in c.mounts for each in (m.source, m.target))
    )
    # No container here is the task of a service.
    tasks = filters.flag("is-task")
    yield lambda _c: not tasks
    if "ancestor" in filters:
        ids = _descendants(filters["ancestor"], known)
        yield lambda c: c.image_id in ids
    for name, find in (("expose", _exposed(known)), ("publish", published_at)):
        if name in filters:
            wanted = frozenset[str]().union(*filters.each(name, _ports, "a port"))
            yield partial(_any_of, find, wanted)
    if "before" in filters:
        before = known.container(filters["before"][-1])
        yield lambda c: c.created_at < before.created_at
    if "since" in filters:
        since = known.container(filters["since"][-1])
        yield lambda c: c.created_at > since.created_at


def _health(container: Container) -> str:
    return container.state.health if container.running else "none"


def _exposed(known: Known) -> Callable[[Container], frozenset[str]]:
    return lambda container: exposed_ports(container, known.image_of(container.image_id))


def _any_of(
    find: Callable[[Container], frozenset[str]], wanted: frozenset[str], container: Container
) -> bool:
    return not wanted.isdisjoint(find(container))


def _ports(text: str) -> frozenset[str]:
    """`80`, `80/udp`, `8000-8010/tcp` as single ports.  Raises: ValueError."""
    match = _PORTS.fullmatch(text)
    if match is None:
        raise ValueError(text)
    first, last, protocol = int(match[1]), int(match[2] or match[1]), match[3] or "tcp"
    if not 0 < first <= last <= 65535:
        raise ValueError(text)
    return frozenset(f"{number}/{protocol}" for number in range(first, last + 1))


def _descendants(names: Iterable[str], known: Known) -> set[str]:
    """The ids of these images and of all that were made from one of them; nobody's name is none."""
    ids: set[str] = set()
    for name in names:
        try:
            image = known.image(name)
        except NotFound:
            continue
        chain = [layer.chain_id for layer in image.layers]
        ids.add(image.id)
        if chain:
            ids |= {i.id for i in known.images if chain[-1] in (la.chain_id for la in i.layers)}
    return ids


def prunable(
    containers: Iterable[Container],
    filters: Filters,
    image_of: Callable[[str], Image | None],
    now: float,
) -> list[Container]:
    """The containers that do not run, pass the filters and may go.

    Raises: InvalidInput: a filter's value is wrong.
    """
    until = filters.each("until", lambda text: moment_of(text, now), "a time")
    return [
        c
        for c in containers
        if c.state.status in ("created", "exited", "dead")
        and filters.labels(labels_of(c, image_of(c.image_id)))
        and all(c.created_at < moment for moment in until)
    ]
