"""The rules of a `.dockerignore`: which paths of the context do not exist for the build.

Pure: it reads no directory.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    exception: bool
    literal: str  # what the pattern begins with, up to its first wildcard


Matched = tuple[bool, ...]
"""Which rules match a directory or one above it, in the rules' order."""


class IgnoreRules:
    """The rules in their order: the last one that matches a path, or a directory above it, wins."""

    def __init__(self, patterns: list[str]) -> None:
        self._rules = [rule for rule in map(_rule, patterns) if rule is not None]
        self.nothing: Matched = (False,) * len(self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Whether path (relative to the context, with slashes) is hidden from the build."""
        above, _, _ = path.rpartition("/")
        matched = self.nothing
        at = ""
        for part in above.split("/") if above else ():
            at = f"{at}/{part}" if at else part
            matched = self.matched(at, matched)
        return self.hides(path, matched)

    def matched(self, path: str, above: Matched) -> Matched:
        """The rules that match path, given those that match the directory it is in."""
        return tuple(
            known or rule.regex.fullmatch(path) is not None
            for rule, known in zip(self._rules, above, strict=True)
        )

    def hides(self, path: str, above: Matched) -> bool:
        """As `excludes`, given the rules that match the directory that path is in."""
        for index in range(len(self._rules) - 1, -1, -1):
            rule = self._rules[index]
            if above[index] or rule.regex.fullmatch(path) is not None:
                return not rule.exception
        return False

    def may_show_below(self, directory: str) -> bool:
        """Whether an exception may bring back something below an excluded directory."""
        below = f"{directory}/"
        return any(
            rule.literal.startswith(below) or below.startswith(rule.literal)
            for rule in self._rules
            if rule.exception
        )


def parse_ignore(text: str) -> IgnoreRules:
    """The rules in the text of a `.dockerignore`.

    Raises: re.error: a pattern has a bad character range.
    Source: Docker's "Build context", ".dockerignore files"; Go's filepath.Match.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    return IgnoreRules([line.strip() for line in lines if not line.startswith("#")])


def _rule(pattern: str) -> _Rule | None:
    exception = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip()
    if not pattern:
        return None
    # A path that climbs ends at the context's root, as everything outside it does not exist.
    cleaned = posixpath.normpath("/" + pattern.lstrip("/")).lstrip("/")
    if not cleaned:
        return None
    literal = re.split(r"[*?\[\\]", cleaned, maxsplit=1)[0]
    return _Rule(re.compile(translate(cleaned), re.DOTALL), exception, literal)


def translate(pattern: str) -> str:
    """The regular expression for a pattern of `*`, `**`, `?`, `[…]` and escapes."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                out.append("(?:.*/)?")
            else:
                out.append(".*")
            continue
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        elif char == "[" and (end := _class_end(pattern, at)) > 0:
            out.append(_character_class(pattern[at + 1 : end]))
            at = end
        else:
            out.append(re.escape(char))
        at += 1
    return "".join(out)


def _class_end(pattern: str, start: int) -> int:
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    first = position
    while position < len(pattern):
        if pattern[position] == "\\":
            position += 1
        elif pattern[position] == "]" and position > first:
            return position
        position += 1
    return -1


def _character_class(inner: str) -> str:
    negated = inner.startswith("^")
    body = inner[1:] if negated else inner
    safe = (
        body.replace("[", "\\[").replace("&&", "&\\&").replace("||", "|\\|").replace("~~", "~\\~")
    )
    return f"(?!/)[{'^' if negated else ''}{safe}]"
