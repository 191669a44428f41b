"""What a project is called, where it lies, and the variables it is read with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.compose.dotenv import read_dotenv
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.template import TemplateError, substitute
from orchestrator.compose.told import told, told_list, told_to
from orchestrator.errors import InvalidInput

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HINT = "use small letters, digits, - and _, a letter or digit first"


def directory_of(files: Sequence[str], project_dir: str | None) -> Path:
    """The absolute directory that relative paths start from: as told, else the first file's."""
    if project_dir:
        return Path(project_dir).absolute()
    first = files[0]
    return Path.cwd() if first == "-" else Path(first).absolute().parent


def variables(
    directory: Path, env_files: Sequence[str], environ: Mapping[str, str], findings: Findings
) -> dict[str, str]:
    """The variables for interpolation: the environment, then the files or `.env`.

    The files are those told, else those of COMPOSE_ENV_FILES.
    """
    files = [Path(name) for name in env_files or told_list(environ, "ENV_FILES")]
    wanted = not files and not told_to(environ, "DISABLE_ENV_FILE")
    if wanted and (directory / ".env").is_file():
        files = [directory / ".env"]
    found: dict[str, str] = {}
    for path in files:
        found |= read_dotenv(path, shown(path), {**found, **environ}, findings)
    return {**found, **environ}


def name_of(
    documents: Sequence[Node],
    *,
    explicit: str | None,
    directory: Path,
    environ: Mapping[str, str],
    findings: Findings,
) -> str:
    """The project's name: as told, COMPOSE_PROJECT_NAME, the file's `name`, the directory's.

    The last of these is normalised, the others must be names already.
    Raises: InvalidInput(code="invalid-name"): the name that was told is none.
    """
    if given := explicit or told(environ, "PROJECT_NAME"):
        if not _NAME.fullmatch(given):
            raise InvalidInput(
                f'"{given}" is not a project name', code="invalid-name", about=given, hint=_HINT
            )
        return given
    name = ""
    for document in documents:
        node = document.get("name")
        if node is None or not node.string:
            continue
        try:
            name = substitute(node.string, environ.get)
        except TemplateError:
            continue  # reported where the whole file is interpolated
        if not _NAME.fullmatch(name):
            plain = normalised(name)
            if not plain:
                findings.add(node.mark, "name", f'"{name}" is not a project name', _HINT)
            else:
                findings.warn(
                    node.mark, "name", f'"{name}" is not a project name: "{plain}" is used'
                )
            name = plain
    return name or normalised(directory.name) or normalised(directory.parent.name) or "default"


def normalised(name: str) -> str:
    """A directory's name as a project's: small letters, digits, - and _ are kept."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def shown(path: Path) -> str:
    """How messages name a file: from the working directory where it lies below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
