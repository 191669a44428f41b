"""`config`: check the stack file and print what it means, as Docker Compose prints it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.stack import config_parts, file, pins
from orchestrator.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from orchestrator.compose.load import Project
    from orchestrator.compose.phases import Phases

_SWITCHES = {
    "--services": "print the names of the services, one per line",
    "--volumes": "print the names of the volumes",
    "--networks": "print the names of the networks",
    "--models": "print the names of the models",
    "--images": "print the images",
    "--profiles": "print the names of the profiles",
    "--variables": "print the variables of the files, and their defaults",
    "--environment": "print the variables that the files were read with",
    "--no-consistency": "do not check that the parts fit together",
    "--no-env-resolution": "leave environment and env_file as they are",
    "--no-interpolate": "leave variables as they are",
    "--no-normalize": "add no defaults",
    "--no-path-resolution": "leave paths as they are",
    "--resolve-image-digests": "pin images to the digests that their registries give",
    "--lock-image-digests": "print an override file that pins the images to their digests",
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="only check it")
    add("--format", choices=("yaml", "json"), default="yaml", help="how to print it")
    add("-o", "--output", metavar="FILE", help="write it to a file")
    add("--hash", metavar="SERVICE", help="print the digest of a service, or of every one: *")
    for name, text in _SWITCHES.items():
        add(name, action="store_true", help=text)
    add("services_", nargs="*", metavar="SERVICE", help="only these services, and what they need")


def _config(session: Session, args: argparse.Namespace) -> int:
    project = file.project_of(session, args.services_, _phases(args))
    _known(project, args.services_)
    stack = _checked(session, project)
    if args.quiet:
        return 0
    lines = config_parts.asked(project, stack, args)
    if lines is not None:
        for line in lines:
            session.say(line)
        return 0
    _write(session, args, _form(session, project, args))
    return 0


def _phases(args: argparse.Namespace) -> Phases:
    from orchestrator.compose.phases import Phases  # noqa: PLC0415

    whole = not (args.no_interpolate or args.variables)
    return Phases(
        interpolate=whole,
        resolve_paths=not args.no_path_resolution,
        check=whole and not args.no_consistency,
    )


def _known(project: Project, names: list[str]) -> None:
    services = project.tree.get("services")
    for name in names:
        if not services or name not in services.entries:
            raise NotFound(f"no such service: {name}", code="no-such-service", about=name)


def _checked(session: Session, project: Project) -> Any:
    """The stack that the project makes, where all of it was asked for; warnings are printed."""
    from orchestrator.compose.load import loaded  # noqa: PLC0415
    from orchestrator.compose.phases import ALL  # noqa: PLC0415

    stack = loaded(project).stack if project.phases == ALL else None
    for warning in project.findings.warnings:
        session.note(f"warning: {warning}")
    return stack


def _form(session: Session, project: Project, args: argparse.Namespace) -> dict[str, Any]:
    from orchestrator.compose.canonical import canonical  # noqa: PLC0415

    form = canonical(
        project,
        services=args.services_,
        normalize=not args.no_normalize,
        resolve_environment=not args.no_env_resolution,
    )
    if args.lock_image_digests:
        return pins.locked(session, form)
    return pins.pinned(session, form) if args.resolve_image_digests else form


def _write(session: Session, args: argparse.Namespace, form: dict[str, Any]) -> None:
    from orchestrator.compose.output import as_json, as_yaml  # noqa: PLC0415

    text = as_json(form) if args.format == "json" else as_yaml(form)
    if not args.output:
        session.stdout.write(text)
        return
    try:
        Path(args.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"cannot write {args.output}: {error.strerror}",
            code="cannot-write",
            about=args.output,
            hint="name another file with -o",
        ) from None


COMMANDS = {"config": Command(_arguments, _config, short_options=True)}
