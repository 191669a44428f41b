"""What is wrong with a stack file, and what of it has no effect: collected, then told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.compose.node import Invalid, Mark, Node
from orchestrator.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where, at which key, what, and what to do about it."""

    mark: Mark
    path: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.mark}: {self.path}: " if self.path else f"{self.mark}: "
        return where + self.what + (f"; {self.hint}" if self.hint else "")


class StackInvalid(InvalidInput):
    """A stack cannot be loaded; the message has one line per problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            code="stack-invalid",
            about=self.problems[0].mark.file if self.problems else "",
            hint="mend the lines named above",
        )


@dataclass(slots=True)
class Findings:
    """The problems and warnings found so far, each only once, and the files that were read."""

    files: dict[str, None] = field(default_factory=dict)
    _problems: dict[Problem, None] = field(default_factory=dict)
    _warnings: dict[str, None] = field(default_factory=dict)

    def refuse(self, node: Node, path: str, what: str, hint: str = "") -> Node:
        """Note a problem with a node's value; what stands in the node's place from here on."""
        self.add(node.mark, path, what, hint)
        return node.holding(Invalid.INVALID)

    def add(self, mark: Mark, path: str, what: str, hint: str = "") -> None:
        self._problems[Problem(mark, path, what, hint)] = None

    def warn(self, mark: Mark, path: str, what: str) -> None:
        self._warnings[f"{mark}: {path}: {what}" if path else f"{mark}: {what}"] = None

    @property
    def failed(self) -> bool:
        return bool(self._problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def raise_any(self) -> None:
        """Raises: StackInvalid: there are problems; they come in the order of file and line."""
        if self._problems:
            files = {problem.mark.file: None for problem in self._problems}
            order = {name: number for number, name in enumerate(files)}
            raise StackInvalid(
                sorted(
                    self._problems,
                    key=lambda p: (order[p.mark.file], p.mark.line, p.mark.column),
                )
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like this one; "" when none is."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint naming the known name most like this one; "" when none is."""
    found = nearest(name, known)
    return f'did you mean "{found}"?' if found else ""


def one_of(names: Iterable[str]) -> str:
    """Names in a sentence: "a, b or c"."""
    *most, last = list(names)
    return f"{', '.join(most)} or {last}" if most else last
