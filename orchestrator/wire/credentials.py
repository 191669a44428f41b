"""Who somebody is at a registry, in the three forms that Docker gives it: an entry of
`config.json`, the X-Registry-Auth header, and an Authorization header. Pure but for `read_config`;
standard library only, because the command line reads it too.

Source: docker/cli, "docker login"; Engine API reference, "Authentication".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import InvalidInput

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password; or an identity token, to be traded for access; or an access
    token itself."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    access_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header, "" without a user name."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def read_config(path: Path) -> dict[str, Any]:
    """Docker's configuration, empty where there is no file. Blocking.

    Raises: InvalidInput: it is not a JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        problem = "not a JSON object"
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (ValueError, RecursionError) as error:
        problem = f"not JSON: {error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise InvalidInput(
        f"{path}: {problem}", code="docker-config-invalid", about=str(path), hint=f"mend {path}"
    )


def host_of(text: str) -> str:
    """The registry host in what somebody types or a key of `config.json`, Docker Hub's by its one
    name: "" and `https://index.docker.io/v1/` are `docker.io`."""
    host = text.rpartition("://")[2].partition("/")[0]
    return HUB if not host or host in _HUB_HOSTS else host


def domain_of(name: str) -> str:
    """The registry host of an image's name, as a reference has it.

    Source: the "distribution" project's reference package, "splitDockerDomain".
    """
    first, slash, _ = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return host_of(first) if slash and is_host else HUB


def key_of(host: str) -> str:
    """The name under which a host's credentials are kept."""
    return HUB_KEY if host in _HUB_HOSTS else host


def helper_of(config: Mapping[str, Any], host: str) -> str:
    """The name of the helper that keeps this host's credentials, "" for none."""
    helpers = config.get("credHelpers") or {}
    for key in _keys(host):
        if key in helpers:
            return str(helpers[key])
    return str(config.get("credsStore") or "")


def stored(config: Mapping[str, Any], host: str) -> Credentials | None:
    """The credentials that the configuration itself holds for this host."""
    auths = config.get("auths") or {}
    for key in stored_keys(config, host):
        entry = auths[key]
        if isinstance(entry, dict) and (found := _from_entry(entry)):
            return found
    return None


def stored_keys(config: Mapping[str, Any], host: str) -> list[str]:
    """The keys under which the configuration has this host, the best first."""
    auths = config.get("auths") or {}
    wanted = _keys(host)
    exact = [key for key in wanted if key in auths]
    return exact + [key for key in sorted(auths) if key not in exact and _bare_host(key) in wanted]


def entry_of(credentials: Credentials) -> dict[str, str]:
    """The entry of `auths` that holds these credentials."""
    pair = f"{credentials.username}:{'' if credentials.identity_token else credentials.password}"
    entry = {"auth": base64.b64encode(pair.encode()).decode()}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    return entry


def from_answer(answer: Any) -> Credentials | None:
    """What a credential helper's answer says; None where it is none."""
    try:
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (KeyError, TypeError):
        return None
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username, secret) if username else None


def to_header(credentials: Credentials, host: str) -> str:
    """The X-Registry-Auth header with these credentials for a registry."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.access_token,
        "serveraddress": key_of(host),
    }
    text = json.dumps({key: value for key, value in fields.items() if value})
    return base64.urlsafe_b64encode(text.encode()).decode()


def from_header(text: str) -> Credentials | None:
    """The credentials in an X-Registry-Auth header, None where it holds none.

    Raises: InvalidInput: it is not JSON in base64.
    """
    if not text:
        return None
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        found = json.loads(base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)))
    except (ValueError, RecursionError):
        found = text
    if found is None:
        return None
    if not isinstance(found, dict):
        raise InvalidInput(
            "the X-Registry-Auth header is not a JSON object in base64url",
            code="registry-auth-invalid",
            about="X-Registry-Auth",
            hint="log in anew: pystack login",
        )
    return from_fields(found)


def from_fields(fields: Mapping[str, Any]) -> Credentials | None:
    """The credentials in a JSON object of the Engine API (AuthConfig), None where there are
    none."""
    return _from_entry(fields)


def _from_entry(entry: Mapping[str, Any]) -> Credentials | None:
    username = str(entry.get("username") or "")
    password = str(entry.get("password") or "")
    try:
        pair = base64.b64decode(str(entry.get("auth") or "")).decode().rstrip("\0")
    except (binascii.Error, ValueError):
        pair = ""
    if ":" in pair:
        username, _, password = pair.partition(":")
    found = Credentials(
        username=username,
        password=password,
        identity_token=str(entry.get("identitytoken") or ""),
        access_token=str(entry.get("registrytoken") or ""),
    )
    return found if found != Credentials() else None


def _keys(host: str) -> tuple[str, ...]:
    if host in _HUB_HOSTS:
        return (HUB_KEY, *sorted(_HUB_HOSTS))
    return (host,)


def _bare_host(key: str) -> str:
    return key.rpartition("://")[2].partition("/")[0]
