"""`version`: this command line's and the engine's."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping
from typing import Any

from orchestrator import __version__
from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.table import fields

_API_VERSION = "1.45"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--format", default="", metavar="FORMAT", help="json or a Go template"
    )


def client_version() -> dict[str, Any]:
    """What this command line is."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "Version": __version__,
        "ApiVersion": _API_VERSION,
        "DefaultAPIVersion": _API_VERSION,
        "GitCommit": "",
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": sys.platform,
        "Arch": machine,
        "Context": "default",
    }


def _version(session: Session, args: argparse.Namespace) -> int:
    client = client_version()
    if args.format:
        from orchestrator.cli.format import Format  # noqa: PLC0415

        shape = Format(args.format)
        session.say(shape.line({"Client": client, "Server": session.engine.get("/version")}))
        return 0
    session.say("Client:")
    _say(session, " ", _client_fields(client))
    # An engine that cannot be had is an error, but not before the client's half was told.
    session.stdout.flush()
    server = session.engine.get("/version")
    session.say()
    session.say(f"Server: {(server.get('Platform') or {}).get('Name') or 'engine'}")
    components = server.get("Components") or [{"Name": "Engine", **server, "Details": server}]
    for component in components:
        session.say(f" {component['Name']}:")
        _say(session, "  ", _component_fields(component))
    return 0


def _client_fields(client: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Version", client["Version"]),
        ("API version", client["ApiVersion"]),
        ("Python version", client["PythonVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
        ("Context", client["Context"]),
    ]


def _component_fields(component: Mapping[str, Any]) -> list[tuple[str, str]]:
    details = component.get("Details") or {}
    shown = [("Version", str(component.get("Version", "")))]
    if "ApiVersion" in details:
        least = details.get("MinAPIVersion", "")
        shown.append(("API version", f"{details['ApiVersion']} (minimum version {least})"))
    names = {"PythonVersion": "Python version", "KernelVersion": "Kernel version", "Path": "Path"}
    shown += [(label, str(details[name])) for name, label in names.items() if details.get(name)]
    if "Os" in details:
        shown.append(("OS/Arch", f"{details['Os']}/{details.get('Arch', '')}"))
    if "Experimental" in details:
        shown.append(("Experimental", str(details["Experimental"]).lower()))
    return shown


def _say(session: Session, indent: str, pairs: list[tuple[str, str]]) -> None:
    for line in fields(pairs, indent):
        session.say(line)


COMMANDS = {"version": Command(_arguments, _version)}
