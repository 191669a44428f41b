"""Where the stack file is, when nobody says."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import NotFound

NAMES = (
    "stack.yml",
    "stack.yaml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
)


def find_stack_file(cwd: Path) -> Path:
    """The stack file in this directory or the nearest one above; the order of names decides.

    Raises: NotFound(code="no-stack-file").
    """
    for directory in (cwd, *cwd.parents):
        for name in NAMES:
            if (directory / name).is_file():
                return directory / name
    raise NotFound(
        f"no stack file in {cwd} or above",
        code="no-stack-file",
        about=str(cwd),
        hint=f"make one named {NAMES[0]}, or name it with -f (also found: {', '.join(NAMES[1:])})",
    )


def find_override(file: Path) -> Path | None:
    """The override file that belongs to a found stack file: `compose.override.yaml` and such."""
    for suffix in (".yml", ".yaml"):
        candidate = file.with_name(f"{file.stem}.override{suffix}")
        if candidate.is_file():
            return candidate
    return None
