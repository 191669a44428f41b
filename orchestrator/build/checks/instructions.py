"""Checks of what the instructions of a stage say: variables, secrets, commands, paths."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from orchestrator.build import instructions as given
from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.variables import missing, words_of
from orchestrator.build.graph import Graph
from orchestrator.build.tree import Tree

_SECRET = re.compile(
    r"(?:^|_|-)(?:api_?key|auth|credentials?|key|pass(?:wd|word|phrase)?|pword|secret|token)s?(?:$|_|-)",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"(?:^|_)(?:public|path|file|dir|url)(?:_|$)", re.IGNORECASE)
# What a RUN's or a base image's environment may have without the Dockerfile saying so.
_ALWAYS = frozenset(
    {
        "PATH", "HOME", "HOSTNAME", "USER", "PWD", "SHELL", "SOURCE_DATE_EPOCH",
        *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "FTP", "NO", "ALL")),
        *(f"{kind}_proxy" for kind in ("http", "https", "ftp", "no", "all")),
    }
)  # fmt: skip
_PROXY_ARGS = frozenset(name for name in _ALWAYS if name.lower().endswith("_proxy"))


class InstructionChecks:
    """Checks stages one after the other, as each has the variables of the one it starts from."""

    def __init__(
        self,
        graph: Graph,
        build_args: Mapping[str, str],
        tree: Tree,
        bases: Mapping[str, Collection[str]],
        escape: str,
    ) -> None:
        self._graph = graph
        self._build_args = build_args
        self._tree = tree
        self._bases = bases
        self._escape = escape
        self._environments: dict[int, dict[str, str]] = {}
        self._placed: set[int] = set()

    def check(self, index: int) -> Iterator[Finding]:
        """The findings in one stage; those that it starts from must have been checked before."""
        stage = self._graph.stages[index]
        below = -1 if stage.base_stage is None else stage.base_stage
        environment = dict(self._environments.get(below, {}))
        environment.update(dict.fromkeys(self._bases.get(stage.base, ()), ""))
        known = stage.base_stage is not None or stage.base in self._bases or not stage.base
        last: dict[type[given.Instruction], given.Instruction] = {}
        placed = below in self._placed
        shell = False
        for instruction in stage.instructions:
            yield from self._variables(instruction, environment, known=known)
            yield from self._values(instruction)
            yield from self._commands(instruction, shell=shell)
            kind = type(instruction)
            if kind in (given.Cmd, given.Entrypoint, given.Health):
                if (earlier := last.get(kind)) is not None:
                    name = "HEALTHCHECK" if kind is given.Health else kind.__name__.upper()
                    message = (
                        f"Multiple {name} instructions should not be used in the same stage because"
                        " only the last one will be used"
                    )
                    yield Finding("MultipleInstructionsDisallowed", earlier.where, message)
                last[kind] = instruction
            if isinstance(instruction, given.Workdir):
                relative = not instruction.path.startswith(("/", "$", '"', "'"))
                if relative and not placed:
                    message = (
                        f'Relative workdir "{instruction.path}" can have unexpected results if the'
                        " base image changes"
                    )
                    yield Finding("WorkdirRelativePath", instruction.where, message)
                placed = True
            shell = shell or isinstance(instruction, given.Shell)
            self._define(instruction, environment)
        self._environments[index] = environment
        if placed:
            self._placed.add(index)

    def _variables(
        self, instruction: given.Instruction, values: Mapping[str, str], *, known: bool
    ) -> Iterator[Finding]:
        usual = dict.fromkeys(_ALWAYS, "")
        for text in words_of(instruction):
            for name in missing(text, {**usual, **values}, self._escape):
                near = _near(name, values)
                # The base image's own variables are not known here: this may be one of them.
                if not known and not near and name.isupper() and "_" in name:
                    continue
                message = f"Usage of undefined variable '${name}'"
                if near:
                    message += f" (did you mean ${near}?)"
                yield Finding("UndefinedVar", instruction.where, message)

    def _values(self, instruction: given.Instruction) -> Iterator[Finding]:
        names: Iterable[str] = ()
        if isinstance(instruction, given.Env):
            names = (name for name, _ in instruction.pairs)
        elif isinstance(instruction, given.Arg):
            names = (name for name, _ in instruction.arguments if name not in _PROXY_ARGS)
        for name in names:
            if _SECRET.search(name) and not _NOT_SECRET.search(name):
                kind = "ENV" if isinstance(instruction, given.Env) else "ARG"
                message = f'Do not use ARG or ENV instructions for sensitive data ({kind} "{name}")'
                yield Finding("SecretsUsedInArgOrEnv", instruction.where, message)
        if isinstance(instruction, given.Copy) and not instruction.origin:
            for source in instruction.sources:
                if self._ignored(source):
                    what = "Add" if instruction.add else "Copy"
                    message = (
                        f'Attempting to {what} file "{source}" that is excluded by .dockerignore'
                    )
                    yield Finding("CopyIgnoredFile", instruction.where, message)

    def _ignored(self, source: str) -> bool:
        if set(source) & set("*?[$") or posixpath.normpath(source) in (".", "/"):
            return False
        return self._tree.hides(source) and self._tree.find(source) is None

    def _commands(self, instruction: given.Instruction, *, shell: bool) -> Iterator[Finding]:
        if (
            isinstance(instruction, given.Cmd | given.Entrypoint)
            and instruction.command.shell
            and not shell
        ):
            kind = type(instruction).__name__.upper()
            message = (
                f"JSON arguments recommended for {kind} to prevent unintended behavior related"
                " to OS signals"
            )
            yield Finding("JSONArgsRecommended", instruction.where, message)
        if isinstance(instruction, given.Run):
            for document in instruction.heredocs:
                if document.word == instruction.command.words[0] and _unreachable(document.text):
                    message = "Lines after the script's exit are never run"
                    yield Finding("UnreachableCode", instruction.where, message)

    def _define(self, instruction: given.Instruction, values: dict[str, str]) -> None:
        if isinstance(instruction, given.Arg):
            for name, default in instruction.arguments:
                fallback = self._graph.global_args.get(name, "")
                values[name] = self._build_args.get(
                    name, default if default is not None else fallback
                )
        elif isinstance(instruction, given.Env):
            values.update(instruction.pairs)


def _near(name: str, values: Mapping[str, str]) -> str:
    import difflib  # noqa: PLC0415 (only where something is wrong)

    near = difflib.get_close_matches(name, list(values), n=1, cutoff=0.75)
    return near[0] if near else ""


def _unreachable(script: str) -> bool:
    """Whether a script has lines after one that ends it, outside of any block."""
    ended = False
    for line in script.splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if ended:
            return True
        ended = (
            line == line.lstrip()
            and words[0] in ("exit", "exec")
            and not (set("&|;") & set(line))
            and (words[0] == "exit" or (len(words) > 1 and not words[1][0].isdigit()))
        )
    return False
