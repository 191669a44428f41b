"""`ps` of all containers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.columns import Column, Columns, Shown, format_argument, preferred
from orchestrator.cli.command import Command
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.session import Session

_TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_MOUNT_WIDTH = 15
_RAW = (
    "container_id: {{.ID}}\\nimage: {{.Image}}\\ncommand: {{.Command}}\\n"
    "created_at: {{.CreatedAt}}\\nstate: {{.State}}\\nstatus: {{.Status}}\\nnames: {{.Names}}\\n"
    "labels: {{.Labels}}\\nports: {{.Ports}}\\n"
)


def columns(*, whole: bool = False, size: bool = False) -> Columns:
    """What a list of containers can show.  Source: docker/cli's `formatter.ContainerContext`."""
    return Columns(
        Column("ID", "CONTAINER ID", lambda c: containers.identifier(c, whole=whole)),
        Column("Image", "IMAGE", lambda c: containers.image(c, whole=whole)),
        Column("Command", "COMMAND", lambda c: containers.command(c, whole=whole)),
        Column("CreatedAt", "CREATED AT", _created_at),
        Column("RunningFor", "CREATED", containers.created),
        Column("State", "STATE", lambda c: str(c.get("State", ""))),
        Column("Status", "STATUS", lambda c: str(c.get("Status", ""))),
        Column("Ports", "PORTS", containers.ports),
        Column("Names", "NAMES", containers.name),
        Column("Size", "SIZE", containers.written),
        Column("Labels", "LABELS", _labels),
        Column("Mounts", "MOUNTS", lambda c: ",".join(_mounts(c, whole=whole))),
        Column("LocalVolumes", "LOCAL VOLUMES", _local_volumes),
        Column("Networks", "NETWORKS", lambda c: ",".join(sorted(_networks(c)))),
        table=(*_TABLE, *(["Size"] if size else [])),
        quiet="ID",
        methods={
            "Label": containers.label,
            "Mount": lambda c, name: next((m for m in _mounts(c, whole=True) if m == name), ""),
        },
        raw=_RAW + ("size: {{.Size}}\\n" if size else ""),
    )


def _created_at(container: Mapping[str, Any]) -> str:
    moment = time.localtime(float(container.get("Created") or 0))
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", moment)


def _labels(container: Mapping[str, Any]) -> str:
    labels = container.get("Labels") or {}
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


def _mounts(container: Mapping[str, Any], *, whole: bool) -> list[str]:
    mounts = container.get("Mounts") or ()
    names = [str(m.get("Name") or m.get("Source")) for m in mounts if m.get("Type") != "tmpfs"]
    if whole:
        return names
    return [n if len(n) <= _MOUNT_WIDTH else n[: _MOUNT_WIDTH - 1] + "…" for n in names]


def _local_volumes(container: Mapping[str, Any]) -> str:
    return str(sum(m.get("Driver") == "local" for m in container.get("Mounts") or ()))


def _networks(container: Mapping[str, Any]) -> Mapping[str, Any]:
    networks: Mapping[str, Any] = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return networks


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those that do not run, too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("-n", "--last", type=int, default=0, metavar="N", help="the N newest, running or not")
    add("-l", "--latest", action="store_true", help="the newest, running or not")
    add("-s", "--size", action="store_true", help="what they have written")
    add("--no-trunc", action="store_true", help="whole commands and ids")
    filter_argument(parser)
    format_argument(parser)


def _ps(session: Session, args: argparse.Namespace) -> int:
    form = preferred(session, args, "psFormat")
    shown = Shown(columns(whole=args.no_trunc, size=args.size), form, quiet=args.quiet)
    last = 1 if args.latest else max(0, args.last)
    query: dict[str, object] = {
        "all": args.all or last > 0,
        "limit": last or None,
        "size": args.size or (shown.template and shown.uses("Size")) or False,
        "filters": encoded(args.filter),
    }
    shown.say(session, session.engine.get("/containers/json", **query) or [])
    return 0


COMMANDS = {"ps": Command(_arguments, _ps)}
