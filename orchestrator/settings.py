"""The settings of one engine: paths, registries, address pools.

Values come from a TOML file (`/etc/pystack/settings.toml`, or the user's own configuration
directory) and from `PYSTACK_*` variables, which win. Reads nothing but that file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How one registry host is reached."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPool:
    """A range of addresses that user-defined networks are cut from, `size` bits each.

    Where no IPv6 pool is set, one is derived from the machine's identity.
    """

    base: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the engine is told from outside; the defaults suit root on one machine."""

    data_dir: Path
    run_dir: Path
    socket: Path
    log_file: Path
    runtime: str = ""
    cgroup_parent: str = "pystack"
    registries: Mapping[str, Registry] = field(default_factory=dict)
    docker_config: Path = Path("~/.docker/config.json")
    address_pools: tuple[AddressPool, ...] = (
        AddressPool(base="10.210.0.0/16", size=24),
        AddressPool(base="172.28.0.0/14", size=24),
    )
    ipv6_pools: tuple[AddressPool, ...] = ()
    default_subnet: str = "10.209.0.0/16"
    max_parallel: int = 0
    certs_dir: Path = Path("/etc/docker/certs.d")
    max_downloads: int = 3
    max_uploads: int = 5
    # Bytes a request of a push may carry; 0 sends each blob whole.
    upload_chunk_bytes: int = 0
    max_manifest_bytes: int = 4 << 20
    max_layer_bytes: int = 64 << 30
    # What one layer may hold in files and directories, and an image archive in bytes.
    max_layer_entries: int = 4_000_000
    max_archive_bytes: int = 256 << 30
    # What the build cache may hold besides what images share with it; 0 is no bound.
    build_cache_max_bytes: int = 20 << 30
    log_max_bytes: int = 16 << 20
    kept_revisions: int = 50
    # Who besides its owner may use the socket, and with it be root: the members of this group.
    socket_group: str = ""
    # HOST:PORT where the API is had by TLS from clients whose certificate `tls_ca` has signed.
    tls_listen: str = ""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


_PATHS = (
    "data_dir", "run_dir", "socket", "log_file", "docker_config", "certs_dir",
    "tls_ca", "tls_cert", "tls_key",
)  # fmt: skip
_NUMBERS = (
    "max_parallel",
    "max_downloads",
    "max_uploads",
    "upload_chunk_bytes",
    "max_manifest_bytes",
    "max_layer_bytes",
    "max_layer_entries",
    "max_archive_bytes",
    "build_cache_max_bytes",
    "log_max_bytes",
    "kept_revisions",
)


def load_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force for this user.

    Raises: InvalidInput: the file is not TOML, or has an unknown key or a value of a wrong type.
    """
    root = os.geteuid() == 0
    path = Path(env.get("PYSTACK_SETTINGS") or _default_file(env, root))
    table = _read(path)
    values: dict[str, Any] = _default_paths(env, root)
    known = {f.name for f in fields(Settings)}
    for key, value in table.items():
        if key not in known:
            raise _invalid(path, key, f"unknown key; known keys are {', '.join(sorted(known))}")
        values[key] = _converted(path, key, value)
    for key in ("data_dir", "run_dir", "socket", "log_file", "runtime"):
        if override := env.get(f"PYSTACK_{key.upper()}"):
            values[key] = override
    if "socket" not in table and not env.get("PYSTACK_SOCKET"):
        values["socket"] = Path(values["run_dir"]) / "pystack.sock"
    if "log_file" not in table and not env.get("PYSTACK_LOG_FILE"):
        values["log_file"] = Path(values["data_dir"]) / "engine.log"
    for key in _PATHS:
        if key in values:
            values[key] = Path(values[key]).expanduser()
    docker = Path(env.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    values.setdefault("docker_config", docker / "config.json")
    return Settings(**values)


def _default_file(env: Mapping[str, str], root: bool) -> str:
    if root:
        return "/etc/pystack/settings.toml"
    return str(
        Path(env.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "pystack/settings.toml"
    )


def _default_paths(env: Mapping[str, str], root: bool) -> dict[str, Any]:
    if root:
        return {"data_dir": Path("/var/lib/pystack"), "run_dir": Path("/run/pystack")}
    data = Path(env.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "pystack"
    run = Path(env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "pystack"
    return {"data_dir": data, "run_dir": run}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, PermissionError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: not a TOML file: {error}",
            code="settings-invalid",
            about=str(path),
            hint="mend the file or remove it",
        ) from error


def _converted(path: Path, key: str, value: Any) -> Any:
    if key == "registries":
        return {host: _registry(path, host, entry) for host, entry in value.items()}
    if key in ("address_pools", "ipv6_pools"):
        return tuple(_pool(path, key, entry) for entry in _list(path, key, value))
    if key in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _invalid(path, key, "expected a whole number, 0 or more")
        return value
    if not isinstance(value, str):
        raise _invalid(path, key, "expected a string")
    return value


def _registry(path: Path, host: str, entry: Any) -> Registry:
    where = f'registries."{host}"'
    if not isinstance(entry, dict):
        raise _invalid(path, where, "expected a table with mirrors, insecure, ca_file")
    unknown = set(entry) - {"mirrors", "insecure", "ca_file"}
    if unknown:
        raise _invalid(path, where, f"unknown key {sorted(unknown)[0]}")
    return Registry(
        mirrors=tuple(entry.get("mirrors", ())),
        insecure=bool(entry.get("insecure", False)),
        ca_file=str(entry.get("ca_file", "")),
    )


def _list(path: Path, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(path, key, "expected a list of tables with base and size")
    return value


def _pool(path: Path, key: str, entry: Any) -> AddressPool:
    import ipaddress  # noqa: PLC0415

    version = 6 if key == "ipv6_pools" else 4
    try:
        base, size = ipaddress.ip_network(entry["base"]), int(entry["size"])
        if base.version != version or not base.prefixlen <= size <= base.max_prefixlen - 2:
            raise ValueError(f"no IPv{version} prefix that is cut into pieces of {size} bits")
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(path, key, f"{entry}: {error}") from error
    return AddressPool(base=str(base), size=size)


def _invalid(path: Path, key: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"{path}: {key}: {problem}", code="settings-invalid", about=key, hint=f"edit {path}"
    )
