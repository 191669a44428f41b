"""What commands that talk to registries share: who the user is there."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.session import Session
from orchestrator.client.logins import Logins
from orchestrator.wire.credentials import domain_of, to_header


def logins(session: Session) -> Logins:
    """The user's logins."""
    return Logins(Path(session.places.docker_config))


def auth_headers(session: Session, name: str) -> dict[str, str]:
    """The request headers that tell the engine who the user is at the registry of an image."""
    host = domain_of(name)
    found = logins(session).find(host)
    return {"X-Registry-Auth": to_header(found, host)} if found else {}
