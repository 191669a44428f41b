"""The first look at a project's files: what they hold as YAML, where the project lies, and what it
is called. Enough for every command that needs a stack by name alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.compose import project as projects
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.source import read_file, read_text

STDIN = "-"


class Opened(NamedTuple):
    """A project's documents by file (absolute paths, or `-`), its name, its directory and the
    variables that it is read with."""

    documents: Mapping[str, list[Node]]
    name: str
    directory: Path
    variables: Mapping[str, str]


def opened(
    files: Sequence[str],
    *,
    project_name: str | None,
    project_dir: str | None,
    env_files: Sequence[str],
    environ: Mapping[str, str],
    findings: Findings,
) -> Opened:
    """The files read, nothing in them checked; what cannot be read goes to `findings`.

    Raises: InvalidInput: the project name that was told is none.
    """
    paths = [file if file == STDIN else str(Path(file).absolute()) for file in files]
    directory = projects.directory_of(paths, project_dir)
    variables = projects.variables(directory, env_files, environ, findings)
    read = {path: documents(path, findings) for path in paths}
    name = projects.name_of(
        [document for path in paths for document in read[path]],
        explicit=project_name,
        directory=directory,
        environ=variables,
        findings=findings,
    )
    return Opened(read, name, directory, {**variables, "COMPOSE_PROJECT_NAME": name})


def documents(path: str, findings: Findings) -> list[Node]:
    """The documents of a stack file, or of standard input."""
    if path == STDIN:
        return read_text(sys.stdin.buffer.read(), "stdin", findings)
    return read_file(Path(path), projects.shown(Path(path)), findings)
