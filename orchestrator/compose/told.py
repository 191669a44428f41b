"""What environment variables tell of a stack: `PYSTACK_NAME`, else Docker Compose's `COMPOSE_NAME`.

Imports nothing, as the command line asks before it knows whether a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping

_YES = ("1", "t", "true", "y", "yes", "on")


def told(environ: Mapping[str, str], name: str) -> str:
    """The value of the variable with that name behind its prefix; "" where it is not set."""
    return environ.get(f"PYSTACK_{name}") or environ.get(f"COMPOSE_{name}") or ""


def told_to(environ: Mapping[str, str], name: str) -> bool:
    """Whether the variable says yes."""
    return told(environ, name).lower() in _YES


def told_list(environ: Mapping[str, str], name: str, separator: str = ",") -> list[str]:
    """The items of the variable's value."""
    return [item.strip() for item in told(environ, name).split(separator) if item.strip()]
