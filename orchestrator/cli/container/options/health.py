"""Flags about the container's health check."""

from __future__ import annotations

import argparse

from orchestrator.cli.container.options.table import Body, Flag, fill
from orchestrator.errors import InvalidInput

FLAGS = (
    Flag("--health-cmd", "text", "", "what tells whether it is well", "COMMAND"),
    Flag("--health-interval", "duration", "Healthcheck.Interval", "between probes", "TIME"),
    Flag("--health-timeout", "duration", "Healthcheck.Timeout", "how long one may take", "TIME"),
    Flag("--health-retries", "number", "Healthcheck.Retries", "failures until unhealthy", "N"),
    Flag("--health-start-period", "duration", "Healthcheck.StartPeriod", "to start in", "TIME"),
    Flag(
        "--health-start-interval", "duration", "Healthcheck.StartInterval", "while starting", "TIME"
    ),
    Flag("--no-healthcheck", "switch", "", "without the image's check"),
)


def health(body: Body, args: argparse.Namespace) -> None:
    """Put the health check into the body.

    Raises: InvalidInput: a check and --no-healthcheck exclude each other.
    """
    fill(body, args, FLAGS)
    if args.health_cmd:
        body.setdefault("Healthcheck", {})["Test"] = ["CMD-SHELL", args.health_cmd]
    if not args.no_healthcheck:
        return
    if body.get("Healthcheck"):
        raise InvalidInput(
            "--no-healthcheck and the other --health- flags exclude each other",
            code="flags-conflict",
            about="--no-healthcheck",
            hint="leave one of them out",
        )
    body["Healthcheck"] = {"Test": ["NONE"]}
