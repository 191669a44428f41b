"""The attributes of a service's `deploy`."""

from __future__ import annotations

from orchestrator.compose.schema.kinds import (
    CPUS,
    DURATION,
    SIZE,
    TEXT,
    WHOLE,
    Choice,
    Number,
    Whole,
)
from orchestrator.compose.schema.limits import GENERIC_RESOURCE, RESERVED_DEVICE
from orchestrator.compose.schema.pending import GPUS, SWARM
from orchestrator.compose.schema.shapes import PAIRS, TEXTS, Attribute, ListOf, Struct

_LIMITS = Struct(
    "deploy_limits",
    {
        "cpus": Attribute(CPUS, "At most this many CPUs."),
        "memory": Attribute(SIZE, "At most this much memory."),
        "pids": Attribute(Whole(-1), "At most this many processes."),
    },
)
_RESERVATIONS = Struct(
    "deploy_reservations",
    {
        "cpus": Attribute(CPUS, "CPUs set aside.", SWARM),
        "memory": Attribute(SIZE, "Memory that is given up last."),
        "devices": Attribute(ListOf(RESERVED_DEVICE), "Devices set aside.", GPUS),
        "generic_resources": Attribute(ListOf(GENERIC_RESOURCE), "Other resources.", SWARM),
    },
)


def _rollout(name: str) -> Struct:
    return Struct(
        name,
        {
            "parallelism": Attribute(WHOLE, "How many containers at a time; 0 is all."),
            "delay": Attribute(DURATION, "The time between two groups."),
            "failure_action": Attribute(
                Choice(("continue", "pause", "rollback")), "What to do on failure."
            ),
            "monitor": Attribute(DURATION, "How long each container is watched."),
            "max_failure_ratio": Attribute(Number(), "The failures that are borne."),
            "order": Attribute(Choice(("stop-first", "start-first")), "What is done first."),
        },
    )


_PLACEMENT = Struct(
    "placement",
    {
        "constraints": Attribute(TEXTS, "What a node must satisfy."),
        "preferences": Attribute(
            ListOf(Struct("placement_preference", {"spread": Attribute(TEXT, "A node label.")})),
            "How containers are spread.",
        ),
        "max_replicas_per_node": Attribute(WHOLE, "At most this many on one node."),
    },
)
_RESTART = Struct(
    "deploy_restart",
    {
        "condition": Attribute(
            Choice(("none", "on-failure", "any", "always", "unless-stopped")), "When to restart."
        ),
        "delay": Attribute(DURATION, "The time between attempts."),
        "max_attempts": Attribute(WHOLE, "How often to try; 0 is without end."),
        "window": Attribute(DURATION, "When a restart counts as a success."),
    },
)
DEPLOY = Struct(
    "deploy",
    {
        "mode": Attribute(
            Choice(("replicated", "global", "replicated-job", "global-job")), "How many containers."
        ),
        "replicas": Attribute(WHOLE, "How many containers."),
        "resources": Attribute(
            Struct(
                "deploy_resources",
                {
                    "limits": Attribute(_LIMITS, "What a container may use."),
                    "reservations": Attribute(_RESERVATIONS, "What a container is promised."),
                },
            ),
            "What a container may use.",
        ),
        "restart_policy": Attribute(_RESTART, "When to restart; `restart` comes first."),
        "labels": Attribute(PAIRS, "Labels of the service, not of its containers.", SWARM),
        "endpoint_mode": Attribute(Choice(("vip", "dnsrr")), "How its name resolves.", SWARM),
        "placement": Attribute(_PLACEMENT, "Which nodes.", SWARM),
        "update_config": Attribute(_rollout("update_config"), "How updates go."),
        "rollback_config": Attribute(_rollout("rollback_config"), "How updates go back."),
    },
    nullable=True,
)
