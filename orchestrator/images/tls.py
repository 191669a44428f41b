"""Whose certificates a registry is trusted by, and which one we show it. Blocking."""

from __future__ import annotations

import ssl
from pathlib import Path

from orchestrator.errors import Failed
from orchestrator.images.endpoints import Endpoint


def tls_for(endpoint: Endpoint, certs_dir: Path) -> ssl.SSLContext | bool:
    """What aiohttp needs to know: True is the system's trust, False none at all.

    Below `certs_dir`, a directory named as the registry's host (and port) may hold CA certificates
    (`*.crt`) and client certificates (`NAME.cert` with `NAME.key`).

    Raises: Failed: a file is missing or malformed.
    Source: Docker's manual, "Verify repository client with certificates".
    """
    directory = certs_dir / endpoint.host
    found = sorted(directory.iterdir()) if directory.is_dir() else []
    authorities = [str(path) for path in found if path.suffix == ".crt"]
    if endpoint.ca_file:
        authorities.append(endpoint.ca_file)
    clients = [path for path in found if path.suffix == ".cert"]
    if not authorities and not clients:
        return endpoint.verify
    context = ssl.create_default_context()
    if not authorities and not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for authority in authorities:
        try:
            context.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:
            raise _unusable(authority, error, endpoint) from error
    for client in clients:
        try:
            context.load_cert_chain(client, client.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise _unusable(str(client), error, endpoint) from error
    return context


def _unusable(path: str, error: Exception, endpoint: Endpoint) -> Failed:
    return Failed(
        f"{path}: not a usable certificate: {error}",
        code="ca-file-invalid",
        about=path,
        hint=f'mend or remove the file, or ca_file of registries."{endpoint.host}" in the settings',
    )
