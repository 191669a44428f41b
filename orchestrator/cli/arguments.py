"""Argument types that several commands take."""

from __future__ import annotations

import argparse

from orchestrator.cli.units import bytes_of, seconds_of


def seconds(text: str) -> float:
    """A duration in seconds: `10`, `1m30s`; argparse's error where it is none."""
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def yes_or_no(text: str) -> bool:
    """What `--flag=true` means; argparse's error where it is neither true nor false."""
    word = text.lower()
    if word not in ("1", "t", "true", "0", "f", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, not {text!r}")
    return word in ("1", "t", "true")


def moment(text: str, now: float) -> str:
    """The Unix time that `--since 10m`, `--since 2026-01-31T10:00:00` or `--since 1700000000` mean.

    Raises: ValueError: it is none of these.
    """
    if text.replace(".", "", 1).isdigit():
        return text
    if "-" not in text:
        return f"{now - seconds_of(text):.6f}"
    from datetime import datetime  # noqa: PLC0415

    return f"{datetime.fromisoformat(text).astimezone().timestamp():.6f}"


def nanoseconds(text: str) -> int:
    """A duration in nanoseconds; argparse's error where it is none."""
    return round(seconds(text) * 1_000_000_000)


def signed_byte_count(text: str) -> int:
    """A size in bytes, or -1; argparse's error where it is neither."""
    return -1 if text == "-1" else byte_count(text)


def byte_count(text: str) -> int:
    """A size in bytes: `512m`; argparse's error where it is none."""
    try:
        return bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
