"""What `config` prints instead of the whole: names, digests, variables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.cli.table import table
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.model.config_hash import config_hash

if TYPE_CHECKING:
    from orchestrator.compose.load import Project
    from orchestrator.model.stack import Stack

_SECTIONS = ("services", "volumes", "networks", "models")
_HEADINGS = ("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")


def asked(project: Project, stack: Stack | None, args: argparse.Namespace) -> Iterable[str] | None:
    """The lines of the part that was asked for; None where the whole was.

    Raises: NotFound: there is no such service.
    """
    if args.variables:
        return _variables(project, as_json=args.format == "json")
    if args.environment:
        return [f"{name}={value}" for name, value in sorted(project.environ.items())]
    if args.profiles:
        return _profiles(project)
    if args.hash:
        return _hashes(stack, args.hash)
    part = next((name for name in (*_SECTIONS, "images") if getattr(args, name)), None)
    return None if part is None else _names(project, part, args.services_)


def _names(project: Project, part: str, services: list[str]) -> list[str]:
    from orchestrator.compose.canonical import canonical  # noqa: PLC0415

    form = canonical(project, services=services)
    if part != "images":
        return sorted(form.get(part) or ())
    return [image(form, name) for name in form["services"]]


def image(form: dict[str, Any], service: str) -> str:
    """The image of a service: its own, or the one that building it makes."""
    return str(form["services"][service].get("image") or f"{form['name']}-{service}")


def _profiles(project: Project) -> list[str]:
    from orchestrator.compose.profiles import profiles_of  # noqa: PLC0415

    services = project.tree.get("services")
    nodes = services.entries.values() if services else ()
    return sorted({name for node in nodes for name in profiles_of(node)})


def _hashes(stack: Stack | None, wanted: str) -> list[str]:
    if stack is None:
        raise InvalidInput(
            "--hash needs the whole stack",
            code="bad-flags",
            about="--hash",
            hint="leave out the --no-... options",
        )
    names = {name.strip() for name in wanted.split(",")}
    known = {service.name for service in stack.services}
    for name in sorted(names - known - {"*"}):
        raise NotFound(f"no such service: {name}", code="no-such-service", about=name)
    chosen = sorted(known if "*" in names else names)
    services = {service.name: service for service in stack.services}
    return [f"{name} {config_hash(services[name])}" for name in chosen]


def _variables(project: Project, *, as_json: bool) -> Iterable[str]:
    from orchestrator.compose.variables import variables_of  # noqa: PLC0415

    found = variables_of(project.tree)
    if as_json:
        rows = {
            v.name: {
                "Name": v.name,
                "DefaultValue": v.default,
                "PresenceValue": v.alternate,
                "Required": v.required,
            }
            for v in found
        }
        return [json.dumps(rows, indent=2)]
    return table(
        _HEADINGS, [(v.name, str(v.required).lower(), v.default, v.alternate) for v in found]
    )
