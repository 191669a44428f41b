"""Whether a registry accepts credentials."""

from __future__ import annotations

import anyio.to_thread

from orchestrator.errors import InvalidInput
from orchestrator.images.connect import open_session
from orchestrator.images.endpoints import server
from orchestrator.images.tls import tls_for
from orchestrator.images.transport import Transport
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials, host_of


async def check_login(credentials: Credentials, address: str, settings: Settings) -> str:
    """Once the registry at address ("" is Docker Hub) has accepted the credentials: the token to
    keep instead of the password, "" where it gives none.

    Raises: InvalidInput: there is no user name. Denied: the registry refuses. Unavailable: it does
    not answer.
    """
    if not (credentials.username or credentials.identity_token):
        raise InvalidInput(
            "a login needs a user name and a password",
            code="credentials-missing",
            about=address,
            hint="give them with --username and --password-stdin",
        )
    endpoint = server(host_of(address), settings.registries)
    tls = await anyio.to_thread.run_sync(tls_for, endpoint, settings.certs_dir)
    async with open_session(settings.registry_timeout_s) as session:
        return await Transport(session, endpoint, credentials, tls).identity_token()
