"""The flags of `run` and `create`, and the body of the request they make.

Source: Docker's reference, "docker container run"; Docker Engine API 1.45, ContainerCreate.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from orchestrator.cli.container.options import (
    health,
    isolation,
    limits,
    networking,
    process,
    storage,
    variables,
)
from orchestrator.cli.container.options.table import declare

_TABLES = (
    process.FLAGS,
    networking.FLAGS,
    storage.FLAGS,
    limits.FLAGS,
    isolation.FLAGS,
    health.FLAGS,
)


def container_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare everything that says what a container is, and how it is made."""
    parser.usage = f"{parser.prog} [OPTIONS] IMAGE [COMMAND] [ARG...]"
    add = parser.add_argument
    for flags in _TABLES:
        declare(parser, flags)
    add("--name", default="", metavar="NAME", help="its name")
    add("--cidfile", default="", metavar="FILE", help="where to write its id")
    add("--pull", choices=("always", "missing", "never"), default="missing", help="when to pull")
    add("-q", "--quiet", action="store_true", help="no progress of the pull")
    add("--platform", default="", metavar="OS/ARCH", help="which of the image's platforms")
    add("--disable-content-trust", action="store_true", help=argparse.SUPPRESS)
    add("image", metavar="IMAGE", help="the image")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND …", help="instead of the image's")


def create_body(
    args: argparse.Namespace, environ: Mapping[str, str], *, attached: bool
) -> dict[str, Any]:
    """The body of POST /containers/create.

    Raises: InvalidInput: a flag is malformed, or a file that is named cannot be read.
    """
    body: dict[str, Any] = {"Image": args.image, "Cmd": args.command or None, "HostConfig": {}}
    process.process(body, args, environ, attached=attached)
    networking.networking(body, args)
    storage.storage(body, args)
    limits.limits(body, args)
    isolation.isolation(body, args)
    health.health(body, args)
    return body


def environment(args: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    """The variables of --env-file and --env, those without a value taken from `environ`.

    Raises: InvalidInput: malformed, or a file cannot be read.
    """
    return variables.environment(args.env_file, args.env, environ)
