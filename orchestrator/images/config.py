"""Image configurations: OCI and Docker JSON to the model and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.errors import Failed
from orchestrator.images.digest import split_digest
from orchestrator.model.container import Healthcheck
from orchestrator.model.image import History, ImageConfig

_NS = 1_000_000_000
_SAID_MAX = 300


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """What an image configuration says: how to run it, its layers' diff ids, its history."""

    config: ImageConfig
    diff_ids: tuple[str, ...]
    history: tuple[History, ...]


def parse_config(data: bytes) -> ParsedConfig:
    """The meaning of a configuration blob; members that pystack does not use are passed over.

    Raises: Failed: data is not an image configuration.
    Source: OCI image specification, "Image Configuration", and Docker's image specification 1.2,
    which adds Healthcheck, OnBuild and Shell.
    """
    try:
        top = json.loads(data)
        return _parsed(top)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as e:
        raise Failed(
            f"not an image configuration: {e!r}"[:_SAID_MAX],
            code="image-config-invalid",
            hint="the image is damaged, or is not a container image",
        ) from e


def timestamp(text: str) -> float:
    """Unix seconds of an RFC 3339 time, 0 where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _parsed(top: Any) -> ParsedConfig:
    inner = top.get("config") or {}
    rootfs = top.get("rootfs") or {}
    config = ImageConfig(
        architecture=_text(top, "architecture"),
        os=_text(top, "os") or "linux",
        variant=_text(top, "variant"),
        created=_text(top, "created"),
        author=_text(top, "author"),
        user=_text(inner, "User"),
        environment=_texts(inner, "Env"),
        entrypoint=_texts(inner, "Entrypoint"),
        command=_texts(inner, "Cmd"),
        working_dir=_text(inner, "WorkingDir"),
        labels={_clean(k): _clean(v) for k, v in (inner.get("Labels") or {}).items()},
        exposed_ports=_names(inner, "ExposedPorts"),
        volumes=_names(inner, "Volumes"),
        stop_signal=_text(inner, "StopSignal"),
        shell=_texts(inner, "Shell"),
        onbuild=_texts(inner, "OnBuild"),
        healthcheck=_healthcheck(inner.get("Healthcheck")),
    )
    history = tuple(
        History(
            created=_text(line, "created"),
            created_by=_text(line, "created_by"),
            comment=_text(line, "comment"),
            empty=bool(line.get("empty_layer", False)),
        )
        for line in top.get("history") or ()
    )
    return ParsedConfig(config, _diff_ids(rootfs), history)


def encode_config(
    config: ImageConfig, diff_ids: Sequence[str], history: Sequence[History] = ()
) -> bytes:
    """The configuration blob: the same input gives the same bytes, so the same image id."""
    top: dict[str, Any] = {
        "architecture": config.architecture,
        "os": config.os,
        "config": _run_config(config),
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }
    for key, value in (
        ("variant", config.variant),
        ("created", config.created),
        ("author", config.author),
    ):
        if value:
            top[key] = value
    if history:
        top["history"] = [_history_line(line) for line in history]
    return json.dumps(top, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _run_config(config: ImageConfig) -> dict[str, Any]:
    members: dict[str, Any] = {
        "User": config.user,
        "Env": list(config.environment),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Volumes": {path: {} for path in config.volumes},
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell),
        "OnBuild": list(config.onbuild),
    }
    if config.healthcheck is not None:
        members["Healthcheck"] = _healthcheck_json(config.healthcheck)
    return {key: value for key, value in members.items() if value}


def _healthcheck(value: Any) -> Healthcheck | None:
    """A health check; 0 in the JSON stands for the default."""
    if not value or not value.get("Test"):
        return None
    plain = Healthcheck()
    return Healthcheck(
        test=_texts(value, "Test"),
        interval_s=(value.get("Interval") or 0) / _NS or plain.interval_s,
        timeout_s=(value.get("Timeout") or 0) / _NS or plain.timeout_s,
        start_period_s=(value.get("StartPeriod") or 0) / _NS,
        start_interval_s=(value.get("StartInterval") or 0) / _NS or plain.start_interval_s,
        retries=int(value.get("Retries") or 0) or plain.retries,
    )


def _healthcheck_json(check: Healthcheck) -> dict[str, Any]:
    plain = Healthcheck()
    found: dict[str, Any] = {"Test": list(check.test)}
    for key, value, default in (
        ("Interval", check.interval_s, plain.interval_s),
        ("Timeout", check.timeout_s, plain.timeout_s),
        ("StartPeriod", check.start_period_s, plain.start_period_s),
        ("StartInterval", check.start_interval_s, plain.start_interval_s),
    ):
        if value != default:
            found[key] = round(value * _NS)
    if check.retries != plain.retries:
        found["Retries"] = check.retries
    return found


def _history_line(line: History) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in (
        ("created", line.created),
        ("created_by", line.created_by),
        ("comment", line.comment),
    ):
        if value:
            found[key] = value
    if line.empty:
        found["empty_layer"] = True
    return found


def _diff_ids(rootfs: Mapping[str, Any]) -> tuple[str, ...]:
    found = rootfs.get("diff_ids") or ()
    if isinstance(found, str):
        raise TypeError("diff_ids is no list")
    for digest in found:
        split_digest(str(digest))
    return tuple(found)


def _text(table: Mapping[str, Any], key: str) -> str:
    return _clean(table.get(key) or "")


def _clean(value: Any) -> str:
    """Text that can be written again: JSON's escapes can say halves of characters."""
    return str(value).encode("utf-8", "replace").decode()


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The member names of an object that stands for a set."""
    found = table.get(key) or {}
    if not isinstance(found, Mapping):
        raise TypeError(f"{key} is no object")
    return tuple(sorted(_clean(name) for name in found))


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key) or ()
    if isinstance(value, str):
        return (_clean(value),)
    return tuple(_clean(part) for part in value)
