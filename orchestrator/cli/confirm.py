"""Asking before something is lost."""

from __future__ import annotations

import sys

from orchestrator.cli.session import Session


def confirmed(session: Session, warning: str) -> bool:
    """Whether the user, told what is about to happen, says y; the end of stdin is no."""
    session.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    session.stdout.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        session.say()
    return answer.strip().lower() == "y"
