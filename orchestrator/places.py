"""Where one engine's files lie: what a client must know before it can ask for anything.

It stands apart from the settings because every command pays for its imports before the first byte
is sent: the file is parsed only where it is there and speaks of places at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from orchestrator.errors import InvalidInput

KEYS = ("data_dir", "run_dir", "socket", "log_file", "docker_config")


class Places:
    """The paths of this user's engine, absolute or as they were given; each is looked up when it
    is asked for.

    `PYSTACK_*` variables win, then the settings file, then the defaults.
    Raises: InvalidInput(settings-invalid): the file is not TOML, or a path in it is not a string.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._root = os.geteuid() == 0

    @cached_property
    def settings_file(self) -> str:
        own = self._own("/etc/pystack", "XDG_CONFIG_HOME", "~/.config")
        return self._env.get("PYSTACK_SETTINGS") or os.path.join(own, "settings.toml")

    @cached_property
    def data_dir(self) -> str:
        return self._said("data_dir") or self._own(
            "/var/lib/pystack", "XDG_DATA_HOME", "~/.local/share"
        )

    @cached_property
    def run_dir(self) -> str:
        return self._said("run_dir") or self._own(
            "/run/pystack", "XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}"
        )

    @cached_property
    def socket(self) -> str:
        return self._said("socket") or os.path.join(self.run_dir, "pystack.sock")

    @cached_property
    def log_file(self) -> str:
        return self._said("log_file") or os.path.join(self.data_dir, "engine.log")

    @cached_property
    def docker_config(self) -> str:
        """Docker's configuration file, whose logins and preferences are this user's."""
        return self._table_path("docker_config") or self._below(
            "DOCKER_CONFIG", "~/.docker", "config.json"
        )

    def _said(self, key: str) -> str:
        override = self._env.get(f"PYSTACK_{key.upper()}")
        return os.path.expanduser(override) if override else self._table_path(key)

    def _table_path(self, key: str) -> str:
        value = self._table.get(key) or ""
        if not isinstance(value, str):
            raise invalid(self.settings_file, key, "expected a string")
        return os.path.expanduser(value)

    @cached_property
    def _table(self) -> Mapping[str, Any]:
        return read_table(self.settings_file, speaking_of=KEYS)

    def _own(self, of_root: str, variable: str, otherwise: str) -> str:
        return of_root if self._root else self._below(variable, otherwise, "pystack")

    def _below(self, variable: str, otherwise: str, name: str) -> str:
        return os.path.join(os.path.expanduser(self._env.get(variable) or otherwise), name)


def read_table(path: str, *, speaking_of: tuple[str, ...] = ("",)) -> dict[str, Any]:
    """What a settings file says; nothing where it is not there, may not be read by this user, or
    has none of the words.

    Raises: InvalidInput(settings-invalid): it is not TOML.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, PermissionError):
        return {}
    if not any(word.encode() in content for word in speaking_of):
        return {}
    import tomllib  # noqa: PLC0415

    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: not a TOML file: {error}",
            code="settings-invalid",
            about=path,
            hint="mend the file or remove it",
        ) from error


def invalid(path: str, key: str, problem: str) -> InvalidInput:
    """The error for one key of a settings file."""
    return InvalidInput(
        f"{path}: {key}: {problem}", code="settings-invalid", about=key, hint=f"edit {path}"
    )
