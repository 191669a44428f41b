"""The build context: a directory, what its `.dockerignore` leaves of it, and the Dockerfile's text.

Blocking: the callers use a worker thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build.ignore import IgnoreRules, parse_ignore
from orchestrator.build.tree import Tree
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.model.stack import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a build is given: files, and the Dockerfile with the name messages give it."""

    tree: Tree
    dockerfile: str
    name: str


def open_context(build: Build) -> Context:
    """The context of a build.

    Raises: NotFound: no such directory or Dockerfile.  InvalidInput: they cannot be read as text.
    Source: Docker's "Build context"; `NAME.dockerignore` goes before `.dockerignore`.
    """
    root = Path(build.context)
    if not root.is_dir():
        raise NotFound(
            f"{root}: no such directory",
            code="no-such-context",
            about=str(root),
            hint="build.context must name an existing directory",
        )
    root = root.resolve()
    dockerfile = root / build.dockerfile
    rules = _rules(dockerfile.with_name(dockerfile.name + ".dockerignore"))
    if rules is None:
        rules = _rules(root / ".dockerignore")
    tree = Tree(root, rules)
    if build.dockerfile_inline:
        return Context(tree=tree, dockerfile=build.dockerfile_inline, name="dockerfile_inline")
    return Context(tree=tree, dockerfile=_text(dockerfile), name=build.dockerfile)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFound(
            f"{path}: no such Dockerfile",
            code="no-such-dockerfile",
            about=str(path),
            hint="write it, or name another in build.dockerfile",
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise InvalidInput(
            f"{path}: {error}", code="dockerfile-unreadable", about=str(path), hint="mend the file"
        ) from error


def _rules(path: Path) -> IgnoreRules | None:
    if not path.is_file():
        return None
    try:
        return parse_ignore(_text(path))
    except re.error as error:
        raise InvalidInput(
            f"{path}: {error}",
            code="dockerignore-invalid",
            about=str(path),
            hint="mend the pattern",
        ) from error
