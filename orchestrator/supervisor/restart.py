"""Whether and when an ended container is started again. Pure.  Source: Docker's policies."""

from __future__ import annotations

from orchestrator.model.container import RestartPolicy

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 60.0
SETTLED_S = 10.0


def settled_s(policy: RestartPolicy) -> float:
    """How long (seconds) a container must run for its restarts to be forgotten."""
    return policy.window_s or SETTLED_S


def next_restart(
    policy: RestartPolicy,
    *,
    exit_code: int,
    ran_for_s: float,
    attempts: int,
    stopped_by_user: bool,
) -> float | None:
    """Seconds until the container is to be started again; None means it stays down.

    `attempts` are the restarts since it last ran for 10 s, which begin the count anew: the delay
    doubles from 0.1 s with each, up to a minute. The policy may have a time and a delay of its own.
    """
    if ran_for_s >= settled_s(policy):
        attempts = 0
    if stopped_by_user or policy.name == "no":
        return None
    if policy.name == "on-failure" and exit_code == 0:
        return None
    if policy.max_retries and attempts >= policy.max_retries:
        return None
    if policy.delay_s:
        return policy.delay_s
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempts, 20))


def starts_with_engine(policy: RestartPolicy, *, stopped_by_user: bool) -> bool:
    """Whether a container that does not run is to be started when the engine starts.

    `always` comes back even if a person stopped it, `unless-stopped` does not.
    """
    return policy.name == "always" or (policy.name == "unless-stopped" and not stopped_by_user)
