"""The user's logins to registries: Docker's configuration file and its credential helpers.

What else the file holds stays as it is. Standard library only: every pull and push comes by here.
Source: docker/cli, "docker login", "docker logout"; docker/docker-credential-helpers, the protocol.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import Failed, Unavailable
from orchestrator.wire.credentials import (
    Credentials,
    entry_of,
    from_answer,
    helper_of,
    key_of,
    read_config,
    stored,
    stored_keys,
)

_HELPER_S = 60.0
_TOKEN_USER = "<token>"


class Logins:
    """The logins of one configuration file, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, host: str) -> Credentials | None:
        """The credentials for a registry host, None where there are none; a helper that is missing
        or fails knows nothing.

        Raises: InvalidInput: the file is not Docker's JSON.
        """
        config = read_config(self.path)
        if helper := helper_of(config, host):
            with suppress(Unavailable, Failed, ValueError):
                if found := from_answer(json.loads(_ask(helper, "get", key_of(host)))):
                    return found
        return stored(config, host)

    def save(self, host: str, credentials: Credentials) -> bool:
        """Whether the password is now in the file itself, for anybody to read who can read the
        file; where a helper is configured, it keeps the password.

        Raises: InvalidInput: the file is malformed. Unavailable: the helper is missing. Failed: it
        refuses, or the file cannot be written.
        """
        config = read_config(self.path)
        auths = dict(config.get("auths") or {})
        for old in stored_keys(config, host):
            del auths[old]
        helper = helper_of(config, host)
        if helper:
            token = credentials.identity_token
            wanted = {
                "ServerURL": key_of(host),
                "Username": _TOKEN_USER if token else credentials.username,
                "Secret": token or credentials.password,
            }
            _ask(helper, "store", json.dumps(wanted))
            auths[key_of(host)] = {}
        else:
            auths[key_of(host)] = entry_of(credentials)
        self._write(config | {"auths": auths})
        return not helper

    def forget(self, host: str) -> bool:
        """Whether there was a login, which is gone now.

        Raises: as save.
        """
        config = read_config(self.path)
        found = False
        if helper := helper_of(config, host):
            try:
                _ask(helper, "get", key_of(host))
                found = True
            except Failed:
                found = False
            if found:
                _ask(helper, "erase", key_of(host))
        keys = stored_keys(config, host)
        if keys:
            auths = {key: value for key, value in config["auths"].items() if key not in keys}
            self._write(config | {"auths": auths})
        return found or bool(keys)

    def _write(self, config: dict[str, Any]) -> None:
        """Nothing, once the file says this: by rename, so that it is never half written, to where
        a symbolic link points, and for its owner alone."""
        import tempfile  # noqa: PLC0415  (as below)

        target = self.path.resolve()
        text = json.dumps(config, indent="\t", ensure_ascii=False) + "\n"
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(new).rename(target)
            except BaseException:
                Path(new).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Failed(
                f"{target} cannot be written: {error.strerror}",
                code="docker-config-unwritable",
                about=str(target),
                hint="see who owns the file and its directory",
            ) from error


def _ask(helper: str, verb: str, text: str) -> bytes:
    """What a helper answers.

    Raises: Unavailable: it is not installed. Failed: it refuses.
    """
    import subprocess  # noqa: PLC0415  (20 ms that only those with a helper should pay)

    program = f"docker-credential-{helper}"
    try:
        if "/" in helper:
            raise FileNotFoundError
        done = subprocess.run(
            [program, verb],
            input=text.encode(),
            capture_output=True,
            timeout=_HELPER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"the credential helper {program} does not work: {error or 'not found'}",
            code="credential-helper-missing",
            about=program,
            hint="install it, or take it out of Docker's config.json",
        ) from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise Failed(
            f"the credential helper {program} refuses to {verb}: {said or done.returncode}",
            code="credential-helper-failed",
            about=program,
            hint=f"try it by hand: {program} list",
        )
    return done.stdout
