"""`system df`: the room that everything takes, and what of it can go."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.cli import containers
from orchestrator.cli.columns import Column, Columns, Shown, format_argument
from orchestrator.cli.command import Command
from orchestrator.cli.image.rows import columns as image_columns
from orchestrator.cli.image.rows import rows as image_rows
from orchestrator.cli.image.rows import since
from orchestrator.cli.session import Session
from orchestrator.cli.units import size

Usage = Mapping[str, Any]
_UP = ("running", "paused", "restarting")
_SUMMARY = Columns(
    Column("Type", "TYPE", lambda row: row[0]),
    Column("TotalCount", "TOTAL", lambda row: str(row[1])),
    Column("Active", "ACTIVE", lambda row: str(row[2])),
    Column("Size", "SIZE", lambda row: size(row[3], 4)),
    Column("Reclaimable", "RECLAIMABLE", lambda row: _share(row[4], row[3], row[0])),
    table=("Type", "TotalCount", "Active", "Size", "Reclaimable"),
)
_CONTAINERS = Columns(
    Column("ID", "CONTAINER ID", containers.identifier),
    Column("Image", "IMAGE", containers.image),
    Column("Command", "COMMAND", containers.command),
    Column("LocalVolumes", "LOCAL VOLUMES", lambda c: str(_local_volumes(c))),
    Column("Size", "SIZE", lambda c: size(c.get("SizeRw") or 0)),
    Column("CreatedAt", "CREATED", containers.created),
    Column("Status", "STATUS", lambda c: str(c.get("Status", ""))),
    Column("Names", "NAMES", containers.name),
    table=("ID", "Image", "Command", "LocalVolumes", "Size", "CreatedAt", "Status", "Names"),
)
_VOLUMES = Columns(
    Column("Name", "VOLUME NAME", lambda v: v["Name"]),
    Column("Links", "LINKS", lambda v: str(v["UsageData"]["RefCount"])),
    Column("Size", "SIZE", lambda v: size(v["UsageData"]["Size"], 4)),
    table=("Name", "Links", "Size"),
)
_BUILD = Columns(
    Column("ID", "CACHE ID", lambda e: e["ID"][:12]),
    Column("CacheType", "CACHE TYPE", lambda e: e["Type"]),
    Column("Size", "SIZE", lambda e: size(e["Size"], 4)),
    Column("CreatedSince", "CREATED", lambda e: _since(e["CreatedAt"])),
    Column("LastUsedSince", "LAST USED", lambda e: _since(e["LastUsedAt"])),
    Column("UsageCount", "USAGE", lambda e: str(e["UsageCount"])),
    Column("Shared", "SHARED", lambda e: str(e["Shared"]).lower()),
    table=("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true", help="every thing by itself")
    format_argument(parser)


def _df(session: Session, args: argparse.Namespace) -> int:
    usage = session.engine.get("/system/df") or {}
    if not args.verbose:
        Shown(_SUMMARY, args.format).say(session, _summary(usage))
    elif args.format in ("", "table"):
        for line in _verbose(usage):
            session.say(line)
    elif args.format == "json":
        session.say(json.dumps(usage))
    else:
        from orchestrator.cli.format import Format  # noqa: PLC0415

        session.say(Format(args.format).line(usage))
    return 0


def _summary(usage: Usage) -> list[tuple[str, int, int, int, int]]:
    images, boxes = usage.get("Images") or [], usage.get("Containers") or []
    volumes, cache = usage.get("Volumes") or [], usage.get("BuildCache") or []
    up = [c for c in boxes if c.get("State") in _UP]
    written = sum(c.get("SizeRw") or 0 for c in boxes)
    of_volumes = sum(v["UsageData"]["Size"] for v in volumes)
    loose = sum(v["UsageData"]["Size"] for v in volumes if not v["UsageData"]["RefCount"])
    cached = sum(e["Size"] for e in cache)
    free = sum(e["Size"] for e in cache if not e["InUse"] and not e["Shared"])
    return [
        (
            "Images",
            len(images),
            sum(image["Containers"] > 0 for image in images),
            usage.get("LayersSize") or 0,
            usage.get("LayersReclaimable") or 0,
        ),
        (
            "Containers",
            len(boxes),
            len(up),
            written,
            written - sum(c.get("SizeRw") or 0 for c in up),
        ),
        (
            "Local Volumes",
            len(volumes),
            sum(v["UsageData"]["RefCount"] > 0 for v in volumes),
            of_volumes,
            loose,
        ),
        ("Build Cache", len(cache), sum(e["InUse"] for e in cache), cached, free),
    ]


def _share(part: int, whole: int, kind: str) -> str:
    """An amount and how much of the whole it is; the build cache's is told without, as Docker
    does."""
    if not whole or kind == "Build Cache":
        return size(part, 4)
    return f"{size(part, 4)} ({part * 100 // whole}%)"


def _verbose(usage: Usage) -> Iterable[str]:
    rows = [row for image in usage.get("Images") or () for row in image_rows(image, digests=False)]
    columns = image_columns(whole=False, digests=False)
    columns.table = (
        "Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers",
    )  # fmt: skip
    yield "Images space usage:\n"
    yield from columns.lines(rows)
    yield "\nContainers space usage:\n"
    yield from _CONTAINERS.lines(usage.get("Containers") or ())
    yield "\nLocal Volumes space usage:\n"
    yield from _VOLUMES.lines(usage.get("Volumes") or ())
    cache = usage.get("BuildCache") or []
    yield f"\nBuild cache usage: {size(sum(e['Size'] for e in cache if not e['Shared']), 4)}\n"
    yield from _BUILD.lines(cache)


def _local_volumes(container: Mapping[str, Any]) -> int:
    return sum(mount.get("Type") == "volume" for mount in container.get("Mounts") or ())


def _since(moment: str) -> str:
    from datetime import datetime  # noqa: PLC0415

    return since(datetime.fromisoformat(moment).timestamp())


COMMANDS = {"df": Command(_arguments, _df)}
