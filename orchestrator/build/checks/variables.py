"""Which variables words use, and which of them have no value. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.build import instructions as given
from orchestrator.build.expand import BadExpansionError, expand


def missing(text: str, values: Mapping[str, str], escape: str) -> list[str]:
    """The variables in text that have no value, but for those that say what they are then."""
    recorder = _Recorder(values)
    try:
        expand(_without_defaults(text), recorder, escape)
    except BadExpansionError:
        return []
    return [name for name in recorder.missing if name.isidentifier()]


def expanded(text: str, values: Mapping[str, str], escape: str) -> str:
    """The text with its variables replaced; as it is where it cannot be read."""
    try:
        return expand(text, values, escape)
    except BadExpansionError:
        return text


def words_of(instruction: given.Instruction) -> Iterable[str]:
    """The words of an instruction in which variables are replaced at build time."""
    words: tuple[str, ...] = ()
    match instruction:
        case given.Copy():
            words = (*instruction.sources, instruction.destination, instruction.owner)
        case given.Env() | given.Label():
            words = tuple(value for _, value in instruction.pairs)
        case given.Arg():
            words = tuple(default for _, default in instruction.arguments if default)
        case given.Workdir():
            words = (instruction.path,)
        case given.User():
            words = (instruction.user,)
        case given.Expose():
            words = instruction.ports
        case given.Volume():
            words = instruction.paths
        case given.StopSignal():
            words = (instruction.signal,)
    return words


class _Recorder(Mapping[str, str]):
    """Variables, of which it is written down which were asked for and missing."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.missing: list[str] = []

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if name not in self._values:
            self.missing.append(name)
        return self._values.get(name, default)


def _without_defaults(text: str) -> str:
    """The text without variables that say themselves what they are when unset."""
    return re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?[-+?][^}]*\}", "", text)
