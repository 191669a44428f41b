"""What a registry's challenge asks for, and the Authorization header that answers it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Denied
from orchestrator.images.credentials import Credentials

_CHALLENGE = re.compile(r"\s*,?\s*([A-Za-z]+)(?=[\s,]|$)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

# (method, url, query or form, Authorization or "") -> the token server's JSON
TokenRequest = Callable[[str, str, Mapping[str, str], str], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate challenge: its scheme in lower case, its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header, in order; what is malformed ends the list.

    Source: RFC 9110, 11.6.1.
    """
    found: list[Challenge] = []
    position = 0
    while match := _CHALLENGE.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            quoted, plain = parameter[2], parameter[3]
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters[parameter[1].lower()] = value
        found.append(Challenge(match[1].lower(), parameters))
    return found


async def answer(
    challenges: list[Challenge],
    credentials: Credentials | None,
    scope: str,
    request_token: TokenRequest,
    host: str,
) -> str:
    """The Authorization header for the challenge that can be met.

    Raises: Denied: none can, or the token server says no.
    Source: the distribution project's "Token Authentication Specification" and "OAuth2 Token
    Authentication".
    """
    for challenge in challenges:
        if challenge.scheme == "bearer":
            if credentials and credentials.access_token:
                return "Bearer " + credentials.access_token
            return "Bearer " + await _token(challenge, credentials, scope, request_token, host)
        if challenge.scheme == "basic" and credentials and credentials.basic:
            return credentials.basic
    raise denied(host, credentials)


def denied(host: str, credentials: Credentials | None) -> Denied:
    """The error of a registry that does not let us in."""
    if credentials is None:
        return Denied(
            f"{host} wants credentials, or the image does not exist there",
            code="registry-denied",
            about=host,
            hint=f"check the name, or log in with: docker login {host}",
        )
    name = f" of {credentials.username}" if credentials.username else ""
    return Denied(
        f"{host} refused the credentials{name}",
        code="registry-denied",
        about=host,
        hint=f"log in again with: docker login {host}",
    )


async def _token(
    challenge: Challenge,
    credentials: Credentials | None,
    scope: str,
    request_token: TokenRequest,
    host: str,
) -> str:
    realm = challenge.parameters.get("realm", "")
    asked = {"scope": challenge.parameters.get("scope") or scope}
    if service := challenge.parameters.get("service"):
        asked["service"] = service
    if credentials and credentials.identity_token:
        form = asked | {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "client_id": "pystack",
        }
        found = await request_token("POST", realm, form, "")
    else:
        basic = credentials.basic if credentials else ""
        found = await request_token("GET", realm, asked, basic)
    token = found.get("token") or found.get("access_token")
    if not token:
        raise denied(host, credentials)
    return str(token)
