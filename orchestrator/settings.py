"""The settings of one engine: paths, registries, address pools.

Values come from a TOML file (`/etc/pystack/settings.toml`, or the user's own configuration
directory) and from `PYSTACK_*` variables, which win. Reads nothing but that file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.places import KEYS, Places, invalid, read_table


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
    # Seconds after which a call of the OCI runtime that does not answer is ended: to create, start
    # and exec, where it may wait for an image's disk, and for all else.
    runtime_start_timeout_s: int = 120
    runtime_timeout_s: int = 10
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
    # Seconds in which a registry must send, or take, something more; after a write, ten times that.
    registry_timeout_s: int = 60
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
_SECONDS = ("runtime_start_timeout_s", "runtime_timeout_s", "registry_timeout_s")


def load_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force for this user.

    Raises: InvalidInput: the file is not TOML, or has an unknown key or a value of a wrong type.
    """
    places = Places(env)
    path = places.settings_file
    values: dict[str, Any] = {}
    known = {f.name for f in fields(Settings)}
    for key, value in read_table(path).items():
        if key not in known:
            raise invalid(path, key, f"unknown key; known keys are {', '.join(sorted(known))}")
        values[key] = _converted(path, key, value)
    values |= {key: getattr(places, key) for key in KEYS}
    if runtime := env.get("PYSTACK_RUNTIME"):
        values["runtime"] = runtime
    for key in _PATHS:
        if key in values:
            values[key] = Path(values[key]).expanduser()
    return Settings(**values)


def _converted(path: str, key: str, value: Any) -> Any:
    if key == "registries":
        return {host: _registry(path, host, entry) for host, entry in value.items()}
    if key in ("address_pools", "ipv6_pools"):
        return tuple(_pool(path, key, entry) for entry in _list(path, key, value))
    if key in _SECONDS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(path, key, "expected a whole number of seconds, 1 or more")
        return value
    if key in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise invalid(path, key, "expected a whole number, 0 or more")
        return value
    if not isinstance(value, str):
        raise invalid(path, key, "expected a string")
    return value


def _registry(path: str, host: str, entry: Any) -> Registry:
    where = f'registries."{host}"'
    if not isinstance(entry, dict):
        raise invalid(path, where, "expected a table with mirrors, insecure, ca_file")
    unknown = set(entry) - {"mirrors", "insecure", "ca_file"}
    if unknown:
        raise invalid(path, where, f"unknown key {sorted(unknown)[0]}")
    return Registry(
        mirrors=tuple(entry.get("mirrors", ())),
        insecure=bool(entry.get("insecure", False)),
        ca_file=str(entry.get("ca_file", "")),
    )


def _list(path: str, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(path, key, "expected a list of tables with base and size")
    return value


def _pool(path: str, key: str, entry: Any) -> AddressPool:
    import ipaddress  # noqa: PLC0415

    version = 6 if key == "ipv6_pools" else 4
    try:
        base, size = ipaddress.ip_network(entry["base"]), int(entry["size"])
        if base.version != version or not base.prefixlen <= size <= base.max_prefixlen - 2:
            raise ValueError(f"no IPv{version} prefix that is cut into pieces of {size} bits")
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(path, key, f"{entry}: {error}") from error
    return AddressPool(base=str(base), size=size)
