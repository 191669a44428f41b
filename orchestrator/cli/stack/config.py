"""`config`: check the stack file and print what it means."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="only check it")
    add("--format", choices=("yaml", "json"), default="yaml", help="how to print it")
    add("--services", action="store_true", help="print the names of the services")
    add("--volumes", action="store_true", help="print the names of the volumes")
    add("--networks", action="store_true", help="print the names of the networks")
    add("--images", action="store_true", help="print the images")


def _config(session: Session, args: argparse.Namespace) -> int:
    stack = file.load(session)
    lists = {
        "services": [service.name for service in stack.services],
        "volumes": [volume.key for volume in stack.volumes],
        "networks": [network.key for network in stack.networks],
        "images": [service.container.image for service in stack.services],
    }
    asked = [key for key in lists if getattr(args, key)]
    if args.quiet:
        return 0
    if asked:
        for key in asked:
            for line in lists[key]:
                session.say(line)
        return 0
    value = _without_defaults(stack)
    if args.format == "json":
        session.say(json.dumps(value, indent=2))
        return 0
    import yaml  # noqa: PLC0415

    text = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    session.say(text.rstrip())
    return 0


def _without_defaults(value: Any) -> Any:
    """A model value as plain JSON values, leaving out what is as it would be unsaid."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for field in dataclasses.fields(value):
            present = getattr(value, field.name)
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if present != default:
                plain[field.name] = _without_defaults(present)
        return plain
    if isinstance(value, dict):
        return {str(key): _without_defaults(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_defaults(each) for each in value]
    return value


COMMANDS = {"config": Command(_arguments, _config, short_options=True)}
