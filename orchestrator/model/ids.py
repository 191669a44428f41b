"""Identifiers: how they are made and shortened."""

from __future__ import annotations

import secrets

SHORT = 12


def new_id() -> str:
    """A new random identifier: 64 lower-case hexadecimal digits, as Docker's."""
    return secrets.token_hex(32)


def short_id(identifier: str) -> str:
    """The first 12 digits of an identifier, without a `sha256:` prefix."""
    return identifier.removeprefix("sha256:")[:SHORT]
