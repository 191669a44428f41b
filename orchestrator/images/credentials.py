"""Who we are at a registry: Docker's configuration file and its credential helpers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from orchestrator.aio.process import run_process
from orchestrator.errors import InvalidInput

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HELPER_S = 30.0


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


async def find_credentials(path: Path, host: str) -> Credentials | None:
    """The credentials for a registry host, None where there are none.

    Raises: InvalidInput: the file is not Docker's JSON.
    Source: docker/cli, "docker login", and the docker-credential-helpers protocol.
    """
    config = await anyio.to_thread.run_sync(read_config, path)
    if (helper := helper_of(config, host)) and (found := await _ask(helper, host)):
        return found
    return stored(config, host)


def read_config(path: Path) -> Mapping[str, Any]:
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
    except ValueError as error:
        problem = f"not JSON: {error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise InvalidInput(
        f"{path}: {problem}", code="docker-config-invalid", about=str(path), hint=f"mend {path}"
    )


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
    wanted = _keys(host)
    for key in (*wanted, *sorted(auths)):
        entry = auths.get(key)
        if not isinstance(entry, dict) or not {key, _host_of(key)}.intersection(wanted):
            continue
        if found := _from_entry(entry):
            return found
    return None


def _from_entry(entry: Mapping[str, Any]) -> Credentials | None:
    username = str(entry.get("username") or "")
    password = str(entry.get("password") or "")
    try:
        pair = base64.b64decode(str(entry.get("auth") or "")).decode().rstrip("\0")
    except (binascii.Error, UnicodeDecodeError):
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


async def _ask(helper: str, host: str) -> Credentials | None:
    """What a helper answers; a helper that is missing or fails knows nothing."""
    if "/" in helper:
        return None
    server = _HUB_KEY if host in _HUB_HOSTS else host
    try:
        done = await run_process(
            [f"docker-credential-{helper}", "get"], stdin=server.encode(), timeout_s=_HELPER_S
        )
        if done.exit_code:
            return None
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return None
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username, secret) if username else None


def _keys(host: str) -> tuple[str, ...]:
    if host in _HUB_HOSTS:
        return (_HUB_KEY, *sorted(_HUB_HOSTS))
    return (host,)


def _host_of(key: str) -> str:
    return key.rpartition("://")[2].partition("/")[0]
