"""What a registry's challenge asks for, and the Authorization header that answers it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Denied
from orchestrator.wire.credentials import Credentials

_CLIENT = "pystack"
_CHALLENGE = re.compile(r"\s*,?\s*([A-Za-z]+)(?=[\s,]|$)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

Pairs = Sequence[tuple[str, str]]
# (method, url, query or form, Authorization or "") -> the token server's JSON
TokenRequest = Callable[[str, str, Pairs, str], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate challenge: its scheme in lower case, its parameters."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """An Authorization header, and the token that a password was traded for, if it was."""

    authorization: str
    refresh_token: str = ""


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


def joined_scopes(scopes: Sequence[str], challenges: Sequence[Challenge]) -> tuple[str, ...]:
    """What a token is asked for: the scopes that are needed anyway and, first, those that the
    registry names. Where both are about one repository ours count: a request that only reads is
    challenged for reading, and would be again before it writes."""
    ours = {scope.rpartition(":")[0] for scope in scopes}
    named = [
        scope
        for challenge in challenges
        for scope in challenge.parameters.get("scope", "").split()
        if scope.rpartition(":")[0] not in ours
    ]
    return (*dict.fromkeys(named), *scopes)


async def answer(
    challenges: list[Challenge],
    credentials: Credentials | None,
    scopes: Sequence[str],
    request_token: TokenRequest,
    host: str,
) -> Answer:
    """The answer to the challenge that can be met; a token is asked for `scopes`.

    Raises: Denied: none can, or the token server says no.
    Source: the distribution project's "Token Authentication Specification" and "OAuth2 Token
    Authentication".
    """
    for challenge in challenges:
        if challenge.scheme == "bearer":
            if credentials and credentials.access_token:
                return Answer("Bearer " + credentials.access_token)
            return await _token(challenge, credentials, scopes, request_token, host)
        if challenge.scheme == "basic" and credentials and credentials.basic:
            return Answer(credentials.basic)
    raise denied(host, credentials)


def denied(host: str, credentials: Credentials | None) -> Denied:
    """The error of a registry that does not let us in."""
    if credentials is None:
        return Denied(
            f"{host} wants credentials, or the image does not exist there",
            code="registry-denied",
            about=host,
            hint=f"check the name, or log in with: pystack login {host}",
        )
    name = f" of {credentials.username}" if credentials.username else ""
    return Denied(
        f"{host} refused the credentials{name}",
        code="registry-denied",
        about=host,
        hint=f"log in again with: pystack login {host}",
    )


async def _token(
    challenge: Challenge,
    credentials: Credentials | None,
    scopes: Sequence[str],
    request_token: TokenRequest,
    host: str,
) -> Answer:
    realm = challenge.parameters.get("realm", "")
    service = challenge.parameters.get("service", "")
    if credentials and credentials.identity_token:
        form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", credentials.identity_token),
            ("client_id", _CLIENT),
            ("service", service),
            ("scope", " ".join(scopes)),
        ]
        found = await request_token("POST", realm, [(k, v) for k, v in form if v], "")
    else:
        query = [("scope", scope) for scope in scopes]
        if service:
            query.append(("service", service))
        if credentials and credentials.username:
            query += [("account", credentials.username)]
            if not scopes:
                # This is a login: the password may be traded for a token to keep.
                query += [("client_id", _CLIENT), ("offline_token", "true")]
        basic = credentials.basic if credentials else ""
        found = await request_token("GET", realm, query, basic)
    token = found.get("token") or found.get("access_token")
    if not token:
        raise denied(host, credentials)
    return Answer(f"Bearer {token}", str(found.get("refresh_token") or ""))
