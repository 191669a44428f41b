"""The stack a command is about: loaded from its files, or known to the engine by name alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.session import Session
from orchestrator.compose.told import told, told_list
from orchestrator.errors import NotFound, PystackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.compose.load import Loaded, Project
    from orchestrator.compose.phases import Phases
    from orchestrator.model.stack import Stack


def load(session: Session, services: Sequence[str] = ()) -> Stack:
    """The stack that the options or the working directory choose, its warnings printed. The
    profiles of the `services` that a command names are active too.

    Raises: StackInvalid: its files have problems. NotFound: there is no file.
    """
    loaded = read(session, services)
    for warning in loaded.warnings:
        session.note(f"warning: {warning}")
    return loaded.stack


def read(session: Session, services: Sequence[str] = ()) -> Loaded:
    """The same with its warnings as values, nothing printed."""
    # YAML is imported by the commands that read a file, and by no other.
    from orchestrator.compose.load import loaded  # noqa: PLC0415

    return loaded(project_of(session, services))


def project_of(
    session: Session, services: Sequence[str] = (), phases: Phases | None = None
) -> Project:
    """What its files say before it becomes a stack; the profiles of `services` are active too.

    Raises: as `load`.
    """
    from orchestrator.compose.load import load_project  # noqa: PLC0415
    from orchestrator.compose.phases import ALL  # noqa: PLC0415

    options = session.options
    environ = _with_dotenv(session)
    return load_project(
        _files(session, environ),
        project_name=options.project_name or None,
        project_dir=options.project_directory or None,
        env_files=tuple(options.env_file),
        profiles=tuple(options.profile),
        services=services,
        environ=environ,
        phases=phases or ALL,
    )


def files(session: Session) -> list[str]:
    """The files the stack is read from, `-` for stdin.

    Raises: NotFound: none was named and none is found upwards.
    """
    return _files(session, _with_dotenv(session))


def _files(session: Session, environ: Mapping[str, str]) -> list[str]:
    if session.options.file:
        return session.options.file
    if named := told_list(environ, "FILE", told(environ, "PATH_SEPARATOR") or os.pathsep):
        return named
    from orchestrator.compose.find import find_override, find_stack_file  # noqa: PLC0415

    directory = session.options.project_directory
    found = find_stack_file(Path(directory or ".").resolve())
    override = find_override(found)
    return [str(found), *([str(override)] if override else [])]


def project(session: Session) -> str:
    """The name of the stack, for commands that need no more of it.

    A name alone will do, whatever became of the file: what else is wrong in it is not looked at.
    Where the file is gone, the engine is asked which stack was made from it.
    Raises: StackInvalid: it is not YAML. NotFound: there is none; both when the engine knows no
    stack of that file either.
    """
    options = session.options
    if name := options.project_name or told(session.environ, "PROJECT_NAME"):
        return name
    try:
        return _name(session)
    except PystackError as error:
        if not isinstance(error, NotFound) and not _file_is_gone(session):
            raise
        if name := _known_by_file(session):
            return name
        raise


def _name(session: Session) -> str:
    from orchestrator.compose.opening import opened  # noqa: PLC0415
    from orchestrator.compose.problems import Findings  # noqa: PLC0415

    options, findings = session.options, Findings()
    environ = _with_dotenv(session)
    found = opened(
        _files(session, environ),
        project_name=None,
        project_dir=options.project_directory or None,
        env_files=tuple(options.env_file),
        environ=environ,
        findings=findings,
    )
    findings.raise_any()
    return found.name


def has_file(session: Session) -> bool:
    """Whether a stack file is in scope."""
    try:
        return bool(files(session))
    except NotFound:
        return False


def as_json(stack: Stack) -> dict[str, Any]:
    """The stack as the engine takes it."""
    # dataclasses.asdict copies deeply, which takes 10 ms for 100 services.
    found: dict[str, Any] = _plain(stack)
    return found


_SCALARS = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if fields := getattr(type(value), "__dataclass_fields__", None):
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    raise TypeError(f"no part of a stack: {value!r}")


def _with_dotenv(session: Session) -> Mapping[str, str]:
    """The environment, and what the `.env` here says where the environment says nothing: it may
    say which files, profiles and name the stack has.

    Raises: StackInvalid: it is malformed.
    """
    options, environ = session.options, session.environ
    if options.file or told(environ, "FILE"):
        return environ  # then the `.env` beside the first file is read, with the file
    directory = Path(options.project_directory or ".").absolute()
    named = options.env_file or told(environ, "ENV_FILES")
    if not named and not (directory / ".env").is_file():
        return environ
    from orchestrator.compose.problems import Findings  # noqa: PLC0415
    from orchestrator.compose.project import variables  # noqa: PLC0415

    findings = Findings()
    found = variables(directory, options.env_file, environ, findings)
    findings.raise_any()
    return found if told(found, "FILE") else environ


def _file_is_gone(session: Session) -> bool:
    return any(name != "-" and not Path(name).exists() for name in session.options.file)


def _known_by_file(session: Session) -> str:
    """The one stack whose file was the one named, or lay in this directory or above it."""
    named = {str(Path(name).absolute()) for name in session.options.file if name != "-"}
    here = Path(session.options.project_directory or ".").absolute()
    above = {str(directory) for directory in (here, *here.parents)}
    found = {
        str(stack["name"])
        for stack in session.engine.get("/pystack/v1/stacks") or ()
        for path in stack.get("files") or ()
        if (path in named if named else str(Path(path).parent) in above)
    }
    return found.pop() if len(found) == 1 else ""
