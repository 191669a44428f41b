"""How a service's containers live, as the model has it: health, restarts, updates, hooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from orchestrator.compose.environment import resolved
from orchestrator.compose.limiting import below
from orchestrator.compose.node import Node
from orchestrator.model.container import Healthcheck, Hook, RestartName, RestartPolicy
from orchestrator.model.stack import Rollout, WatchRule

_CONDITIONS = {"none": "no", "any": "always"}
_PERIODS = {"daily": "1d", "weekly": "1w"}
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_PART = re.compile(r"([0-9]+)([wdhms])")
_SAME = ("parallelism", "failure_action", "max_failure_ratio", "order")


def healthcheck(said: Mapping[str, Any] | None) -> Healthcheck | None:
    """The health check; None leaves the image's own."""
    if said is None:
        return None
    if said.get("disable"):
        return Healthcheck(test=("NONE",))
    names = ("interval", "timeout", "start_period", "start_interval")
    periods = {f"{name}_s": said[name] for name in names if said.get(name)}
    retries = {"retries": said["retries"]} if said.get("retries") else {}
    return Healthcheck(test=tuple(said.get("test", ())), **periods, **retries)


def restart_policy(said: Mapping[str, Any]) -> RestartPolicy:
    """The restart policy: `restart`, else `deploy.restart_policy`, under which a container that is
    unhealthy has failed."""
    if said.get("restart"):
        name, _, limit = said["restart"].partition(":")
        return RestartPolicy(name=cast(RestartName, name), max_retries=int(limit or 0))
    policy = below(said, "deploy", "restart_policy")
    if not policy:
        return RestartPolicy()
    condition = policy.get("condition", "any")
    return RestartPolicy(
        name=cast(RestartName, _CONDITIONS.get(condition, condition)),
        max_retries=policy.get("max_attempts", 0),
        delay_s=policy.get("delay", 0.0),
        window_s=policy.get("window", 0.0),
        unhealthy=condition != "none",
    )


def pull_age(policy: str, after: str = "") -> float:
    """The age in seconds at which an image is pulled again, 0 where its age does not matter.

    Source: compose specification, "pull_policy": daily, weekly, every_<duration>; refresh with
    `pull_refresh_after`.
    """
    period = after if policy == "refresh" else policy.removeprefix("every_")
    if policy in _PERIODS:
        period = _PERIODS[policy]
    if policy not in _PERIODS and not policy.startswith(("every_", "refresh")):
        return 0.0
    return float(sum(int(n) * _UNITS[unit] for n, unit in _PART.findall(period)))


def rollout(said: Mapping[str, Any] | None) -> Rollout | None:
    """How updates go, or how they go back; None where nothing is said of it."""
    if said is None:
        return None
    values = {key: said[key] for key in _SAME if key in said}
    values |= {f"{key}_s": said[key] for key in ("delay", "monitor") if key in said}
    return Rollout(**values)


def hooks(node: Node | None, environ: Mapping[str, str]) -> tuple[Hook, ...]:
    """The commands to run at a turn of a container's life."""
    return tuple(_hook(each, environ) for each in (node.items if node else ()))


def _hook(node: Node, environ: Mapping[str, str]) -> Hook:
    said = node.plain()
    return Hook(
        command=tuple(said["command"]),
        user=said.get("user", ""),
        working_dir=said.get("working_dir", ""),
        privileged=said.get("privileged", False),
        environment=resolved(node.get("environment"), environ),
    )


def watch_rules(node: Node | None, environ: Mapping[str, str]) -> tuple[WatchRule, ...]:
    """What changes to the source do."""
    return tuple(_watch_rule(each, environ) for each in (node.items if node else ()))


def _watch_rule(node: Node, environ: Mapping[str, str]) -> WatchRule:
    said = node.plain()
    run = node.get("exec")
    return WatchRule(
        path=said["path"],
        action=said["action"],
        target=said.get("target", ""),
        ignore=_texts(said.get("ignore", ())),
        include=_texts(said.get("include", ())),
        initial_sync=said.get("initial_sync", False),
        exec=_hook(run, environ) if run is not None else None,
    )


def _texts(said: str | Sequence[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
