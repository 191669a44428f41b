"""Health checks as Docker's JSON, both ways; durations there are nanoseconds.

Source: the Docker Engine API reference, version 1.45, "HealthConfig".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.container import Healthcheck

_NS = 1_000_000_000
_LEAST_NS = 1_000_000
_DURATIONS = {
    "Interval": "interval_s",
    "Timeout": "timeout_s",
    "StartPeriod": "start_period_s",
    "StartInterval": "start_interval_s",
}


def healthcheck_from(shown: Mapping[str, Any] | None) -> Healthcheck | None:
    """The check that was asked for, None where nothing was; what was left open in it is 0.

    Raises: InvalidInput: a duration is less than a millisecond and not 0.
    """
    if not shown:
        return None
    values: dict[str, Any] = {}
    for key, field in _DURATIONS.items():
        duration_ns = int(shown.get(key) or 0)
        if duration_ns and duration_ns < _LEAST_NS:
            raise InvalidInput(
                f"the health check's {key} is less than a millisecond",
                code="health-duration-invalid",
                about=key,
                hint="give at least 1ms, or 0 for the image's own or the usual one",
            )
        values[field] = duration_ns / _NS
    retries = int(shown.get("Retries") or 0)
    if retries < 0:
        raise InvalidInput(
            "the health check's Retries are less than 0",
            code="health-retries-invalid",
            about="Retries",
            hint="give at least 1, or 0 for the image's own or the usual 3",
        )
    check = Healthcheck(test=tuple(shown.get("Test") or ()), retries=retries, **values)
    empty = not check.test and not check.retries and not any(values.values())
    return None if empty else check


def healthcheck_shown(check: Healthcheck | None) -> dict[str, Any] | None:
    """Config's Healthcheck, None for none."""
    if check is None:
        return None
    shown: dict[str, Any] = {"Test": list(check.test)}
    for key, field in _DURATIONS.items():
        if seconds := getattr(check, field):
            shown[key] = round(seconds * _NS)
    return {**shown, "Retries": check.retries} if check.retries else shown
