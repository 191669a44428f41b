"""`volume create`, `ls`, `inspect`, `rm` and `update`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.columns import Column, Columns, Shown, format_argument, preferred
from orchestrator.cli.command import Command
from orchestrator.cli.filters import encoded, filter_argument
from orchestrator.cli.inspect import inspect, inspect_arguments, one
from orchestrator.cli.options import UsageError
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote

_UNKNOWN = "N/A"


def _label(volume: Mapping[str, Any], name: str) -> str:
    return str((volume.get("Labels") or {}).get(name, ""))


def _labels(volume: Mapping[str, Any]) -> str:
    labels = volume.get("Labels") or {}
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


# Source: docker/cli's `formatter/volume.go`.
COLUMNS = Columns(
    Column("Name", "VOLUME NAME", lambda v: v["Name"]),
    Column("Driver", "DRIVER", lambda v: v.get("Driver", "local")),
    Column("Scope", "SCOPE", lambda v: v.get("Scope", "local")),
    Column("Mountpoint", "MOUNTPOINT", lambda v: v.get("Mountpoint", "")),
    Column("Labels", "LABELS", _labels),
    Column("Links", "LINKS", lambda _v: _UNKNOWN),
    Column("Size", "SIZE", lambda _v: _UNKNOWN),
    Column("Availability", "AVAILABILITY", lambda _v: _UNKNOWN),
    Column("Group", "GROUP", lambda _v: _UNKNOWN),
    Column("Status", "STATUS", lambda _v: _UNKNOWN),
    table=("Driver", "Name"),
    quiet="Name",
    methods={"Label": _label},
    raw="name: {{.Name}}\\ndriver: {{.Driver}}\\n",
)


def _ls_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    filter_argument(parser)
    format_argument(parser)


def _ls(session: Session, args: argparse.Namespace) -> int:
    form = preferred(session, args, "volumesFormat")
    shown = Shown(COLUMNS, form, quiet=args.quiet)
    volumes = (session.engine.get("/volumes", filters=encoded(args.filter)) or {}).get("Volumes")
    shown.say(session, sorted(volumes or [], key=lambda volume: str(volume["Name"])))
    return 0


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--driver", default="local", metavar="DRIVER", help="local, the one there is")
    add("-o", "--opt", action="append", default=[], metavar="KEY=VALUE",
        help="what is mounted: type=tmpfs, device=…, o=…")  # fmt: skip
    add("--label", action="append", default=[], metavar="KEY=VALUE", help="a label")
    add("--name", default="", metavar="NAME", help=argparse.SUPPRESS)
    add("volume", nargs="?", default="", metavar="VOLUME", help="a name (or one is made up)")


def _create(session: Session, args: argparse.Namespace) -> int:
    if args.name and args.volume:
        raise UsageError("conflicting options: either specify --name or provide positional arg")
    body = {
        "Name": args.volume or args.name,
        "Driver": args.driver,
        "DriverOpts": _pairs(args.opt),
        "Labels": _pairs(args.label),
    }
    session.say(str(session.engine.post("/volumes/create", body)["Name"]))
    return 0


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def _inspect_arguments(parser: argparse.ArgumentParser) -> None:
    inspect_arguments(parser, "VOLUME")


def _inspect(session: Session, args: argparse.Namespace) -> int:
    return inspect(session, args.names, one(session, "volume"), args.format)


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="it is fine if it is gone")
    parser.add_argument("volumes", nargs="+", metavar="VOLUME", help="names")


def _rm(session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        session.engine.delete(f"/volumes/{quote(name)}", force=args.force)
        session.say(name)

    return each(session, args.volumes, remove)


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--availability", default="active", help="active, pause or drain")
    parser.add_argument("volume", metavar="VOLUME", help="a cluster volume")


def _update(session: Session, args: argparse.Namespace) -> int:
    body = {"Spec": {"Availability": args.availability}}
    path = f"/volumes/{quote(args.volume)}"
    session.engine.open("PUT", path, query={"version": "0"}, body=_encoded(body)).close()
    return 0


def _encoded(body: object) -> bytes:
    import json  # noqa: PLC0415

    return json.dumps(body).encode()


COMMANDS = {
    "create": Command(_create_arguments, _create),
    "ls": Command(_ls_arguments, _ls),
    "inspect": Command(_inspect_arguments, _inspect, names="names"),
    "rm": Command(_rm_arguments, _rm, names="volumes"),
    "update": Command(_update_arguments, _update, names="volume"),
}
