"""`container prune`, `volume prune` and `system prune`: what nobody uses, removed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.confirm import confirmed
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.units import size

Removed = tuple[list[str], int]


def prune_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every `prune` takes."""
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    filter_argument(parser, short=False)


def pruned(session: Session, args: argparse.Namespace, warning: str, *kinds: Kind) -> int:
    """The exit code, once the user was asked, all of these kinds are removed and told of."""
    if not args.force and not confirmed(session, warning):
        return 0
    total = 0
    for kind in kinds:
        freed = _removed(session, kind, args.filter)
        total += freed
    session.say(f"Total reclaimed space: {size(total)}")
    return 0


class Kind:
    """What one endpoint removes: `told` makes lines of what it answers, under `heading`."""

    def __init__(
        self,
        path: str,
        heading: str,
        told: Callable[[Mapping[str, Any]], Sequence[str]],
        filters: Sequence[str] = (),
        without: Sequence[str] = (),
        **query: object,
    ) -> None:
        self.path, self.heading, self.told = path, heading, told
        self.filters = filters
        self.without = without
        self.query = query


def _removed(session: Session, kind: Kind, asked: Sequence[str]) -> int:
    texts = [text for text in asked if text.partition("=")[0].strip("!") not in kind.without]
    filters = encoded([*texts, *kind.filters])
    answer = session.engine.post(kind.path, **{"filters": filters, **kind.query}) or {}
    lines = kind.told(answer)
    if lines:
        session.say(f"{kind.heading}:")
        for line in lines:
            session.say(line)
        session.say()
    return int(answer.get("SpaceReclaimed") or 0)


def _listed(name: str) -> Callable[[Mapping[str, Any]], Sequence[str]]:
    return lambda answer: [str(each) for each in answer.get(name) or ()]


def _images(answer: Mapping[str, Any]) -> Sequence[str]:
    return [
        f"{word.lower()}: {name}"
        for line in answer.get("ImagesDeleted") or ()
        for word, name in line.items()
    ]


def containers_kind() -> Kind:
    """Containers that do not run."""
    return Kind("/containers/prune", "Deleted Containers", _listed("ContainersDeleted"))


def networks_kind() -> Kind:
    """Networks that no container is on."""
    return Kind("/networks/prune", "Deleted Networks", _listed("NetworksDeleted"))


def volumes_kind(*, every: bool) -> Kind:
    """Volumes that no container has: those without a name of their own, or every one."""
    return Kind(
        "/volumes/prune", "Deleted Volumes", _listed("VolumesDeleted"),
        ["all=true"] if every else [], without=["until"],
    )  # fmt: skip


def images_kind(*, every: bool) -> Kind:
    """Images without a tag that no container uses, or every one that none uses."""
    dangling = "false" if every else "true"
    return Kind("/images/prune", "Deleted Images", _images, [f"dangling={dangling}"])


def builds_kind(*, every: bool) -> Kind:
    """Build cache that no image needs, or all of it."""
    told = _listed("CachesDeleted")
    return Kind("/build/prune", "Deleted build cache objects", told, without=["label"], all=every)


def _containers(session: Session, args: argparse.Namespace) -> int:
    warning = "This will remove all stopped containers."
    return pruned(session, args, warning, containers_kind())


def _volume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="those with names, too")
    prune_arguments(parser)


def _volumes(session: Session, args: argparse.Namespace) -> int:
    if args.all and any(text.startswith("all=") for text in args.filter):
        raise UsageError("conflicting options: cannot specify both --all and --filter all=1")
    which = "all" if args.all else "anonymous"
    warning = f"This will remove {which} local volumes not used by at least one container."
    return pruned(session, args, warning, volumes_kind(every=args.all))


def _system_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="every image that no container uses")
    add("--volumes", action="store_true", help="anonymous volumes, too")
    prune_arguments(parser)


def _system(session: Session, args: argparse.Namespace) -> int:
    if args.volumes and any(text.startswith("until=") for text in args.filter):
        raise UsageError('the "until" filter is not supported with "--volumes"')
    items = [
        "all stopped containers",
        "all networks not used by at least one container",
        *(["all anonymous volumes not used by at least one container"] if args.volumes else []),
        "all images without at least one container associated to them"
        if args.all
        else "all dangling images",
        "all build cache" if args.all else "unused build cache",
    ]
    lines = ["This will remove:", *(f"  - {item}" for item in items), ""]
    if args.filter:
        lines += ["  Items to be pruned will be filtered with:"]
        lines += [f"  - {text}" for text in sorted(args.filter)] + [""]
    kinds = [
        containers_kind(),
        networks_kind(),
        *([volumes_kind(every=False)] if args.volumes else []),
        images_kind(every=args.all),
        builds_kind(every=args.all),
    ]
    return pruned(session, args, "\n".join(lines), *kinds)


COMMANDS = {
    "container": Command(prune_arguments, _containers),
    "volume": Command(_volume_arguments, _volumes),
    "system": Command(_system_arguments, _system),
}
