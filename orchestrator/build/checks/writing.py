"""Checks of how a Dockerfile is written: letters, old forms, lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.build.checks.finding import Finding
from orchestrator.build.parser import Dockerfile, Statement
from orchestrator.build.problems import Where
from orchestrator.build.words import split_words

_PORT = re.compile(r"\$|^\d+(-\d+)?(/[A-Za-z]+)?$")


def check_writing(dockerfile: Dockerfile) -> Iterator[Finding]:
    """The findings, in no order."""
    yield from _casing(dockerfile)
    for statement in dockerfile.statements:
        yield from _statement(statement, dockerfile.escape)


def _casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    words = [s.written for s in dockerfile.statements]
    lower, upper = sum(w.islower() for w in words), sum(w.isupper() for w in words)
    majority = "lowercase" if lower > upper else "uppercase"
    for statement in dockerfile.statements:
        word = statement.written
        if word != (word.lower() if majority == "lowercase" else word.upper()):
            yield Finding(
                "ConsistentInstructionCasing",
                statement.where,
                f"Command '{word}' should match the case of the command majority ({majority})",
            )


def _statement(statement: Statement, escape: str) -> Iterator[Finding]:
    where = statement.where
    if statement.gaps:
        yield Finding("NoEmptyContinuation", where, "Empty continuation line")
    if statement.keyword == "MAINTAINER":
        message = "Maintainer instruction is deprecated in favor of using label"
        yield Finding("MaintainerDeprecated", where, message)
    words = split_words(statement.rest, escape)
    if statement.keyword in ("ENV", "LABEL") and words and "=" not in words[0]:
        kind = statement.keyword
        message = f'"{kind} key=value" should be used instead of legacy "{kind} key value" format'
        yield Finding("LegacyKeyValueFormat", where, message)
    if statement.keyword == "FROM" and len(words) == 3:
        if words[1].isupper() != statement.written.isupper():
            message = f"'{words[1]}' and '{statement.written}' keywords' casing do not match"
            yield Finding("FromAsCasing", where, message)
        if words[2] != words[2].lower():
            message = f"Stage name '{words[2]}' should be lowercase"
            yield Finding("StageNameCasing", where, message)
    if statement.keyword == "EXPOSE":
        yield from _ports(words, where)


def _ports(words: Sequence[str], where: Where) -> Iterator[Finding]:
    for word in words:
        protocol = word.partition("/")[2]
        if protocol and protocol != protocol.lower() and "$" not in protocol:
            message = f"Defined protocol '{protocol}' in EXPOSE instruction should be lowercase"
            yield Finding("ExposeProtoCasing", where, message)
        if not _PORT.search(word):
            message = (
                "EXPOSE instruction should not define an IP address or host-port mapping,"
                f" found '{word}'"
            )
            yield Finding("ExposeInvalidFormat", where, message)
