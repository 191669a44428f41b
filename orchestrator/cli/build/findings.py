"""What the checks found in a Dockerfile, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MARK = ">>>"


def report(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of a whole report."""
    if not findings:
        yield "Check complete, no warnings found."
        return
    count = "1 warning has" if len(findings) == 1 else f"{len(findings)} warnings have"
    yield f"Check complete, {count} been found!"
    for finding in findings:
        yield ""
        yield f"WARNING: {finding.get('rule')}"
        yield str(finding.get("message"))
        yield from excerpt(finding)


def brief(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of what a build tells besides its result."""
    if findings:
        count = "1 warning" if len(findings) == 1 else f"{len(findings)} warnings"
        yield f" {count} found (use --check to expand):"
    for finding in findings:
        yield f" - {finding.get('rule')}: {finding.get('message')} (line {finding.get('line')})"


def excerpt(finding: Mapping[str, Any]) -> Iterator[str]:
    """The place, and the instruction as it stands there."""
    line = int(finding.get("line") or 0)
    yield f"{finding.get('file')}:{line}"
    yield "-" * 20
    for number, text in enumerate(str(finding.get("source") or "").split("\n"), line):
        yield f"{number:>4} | {_MARK} {text}"
    yield "-" * 20
