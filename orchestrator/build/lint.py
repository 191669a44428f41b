"""What is questionable in a Dockerfile that can be built: the checks of `--check`, under the names
that Docker gives them. Pure but for asking the context what is there.

Source: Docker's "Build checks".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.build import instructions as given
from orchestrator.build.expand import BadExpansionError, expand
from orchestrator.build.graph import SCRATCH, Graph
from orchestrator.build.parser import Dockerfile, Statement
from orchestrator.build.problems import Where
from orchestrator.build.tree import Tree
from orchestrator.build.words import split_words

_SECRET = re.compile(
    r"(?:^|_|-)(?:api_?key|auth|credentials?|key|pass(?:wd|word|phrase)?|pword|secret|token)s?(?:$|_|-)",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"(?:^|_)(?:public|path|file|dir|url)(?:_|$)", re.IGNORECASE)
_RESERVED = ("scratch", "context")
# What a RUN's or a base image's environment may have without the Dockerfile saying so.
_ALWAYS = frozenset(
    {
        "PATH", "HOME", "HOSTNAME", "USER", "PWD", "SHELL", "SOURCE_DATE_EPOCH",
        *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "FTP", "NO", "ALL")),
        *(f"{kind}_proxy" for kind in ("http", "https", "ftp", "no", "all")),
    }
)  # fmt: skip
_PROXY_ARGS = frozenset(name for name in _ALWAYS if name.lower().endswith("_proxy"))
_PORT = re.compile(r"\$|^\d+(-\d+)?(/[A-Za-z]+)?$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One questionable thing: the rule it is against, where, and what is the matter."""

    rule: str
    where: Where
    message: str


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


def lint(
    dockerfile: Dockerfile,
    instructions: Sequence[given.Instruction],
    graph: Graph,
    build_args: Mapping[str, str],
    tree: Tree,
    bases: Mapping[str, Collection[str]],
) -> list[Finding]:
    """Every finding, by line, without those that the file's check directive skips. `bases` are the
    names of the variables that base images have, as far as the images are at hand."""
    checker = _Checker(dockerfile, instructions, graph, build_args, tree, bases)
    skipped, _ = _directive(dockerfile, build_args)
    if "all" in skipped:
        return []
    found = [f for f in checker.all() if f.rule.lower() not in skipped]
    return sorted(dict.fromkeys(found), key=lambda f: (f.where.line, f.rule))


def is_strict(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> bool:
    """Whether the file wants findings to be errors."""
    return _directive(dockerfile, build_args)[1]


def _directive(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> tuple[set[str], bool]:
    """The rules that are skipped, in small letters, and whether findings are errors."""
    skipped: set[str] = set()
    error = False
    text = build_args.get("BUILDKIT_DOCKERFILE_CHECK") or dockerfile.directives.get("check", "")
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "skip":
            skipped |= {rule.strip().lower() for rule in value.split(",")}
        elif name.strip().lower() == "error":
            error = value.strip().lower() == "true"
    return skipped, error


class _Checker:
    def __init__(
        self,
        dockerfile: Dockerfile,
        instructions: Sequence[given.Instruction],
        graph: Graph,
        build_args: Mapping[str, str],
        tree: Tree,
        bases: Mapping[str, Collection[str]],
    ) -> None:
        self._dockerfile = dockerfile
        self._instructions = instructions
        self._graph = graph
        self._build_args = build_args
        self._tree = tree
        self._bases = bases
        self._environments: dict[int, dict[str, str]] = {}
        self._placed: set[int] = set()

    def all(self) -> Iterator[Finding]:
        yield from self._casing()
        for statement in self._dockerfile.statements:
            yield from self._statement(statement)
        yield from self._global_args()
        yield from self._stages()
        for stage in self._graph.stages.values():
            yield from self._in_stage(stage.index)

    # -- how it is written

    def _casing(self) -> Iterator[Finding]:
        words = [s.written for s in self._dockerfile.statements]
        lower, upper = sum(w.islower() for w in words), sum(w.isupper() for w in words)
        majority = "lowercase" if lower > upper else "uppercase"
        for statement in self._dockerfile.statements:
            word = statement.written
            if word != (word.lower() if majority == "lowercase" else word.upper()):
                yield Finding(
                    "ConsistentInstructionCasing",
                    statement.where,
                    f"Command '{word}' should match the case of the command majority ({majority})",
                )

    def _statement(self, statement: Statement) -> Iterator[Finding]:
        where = statement.where
        if statement.gaps:
            yield Finding("NoEmptyContinuation", where, "Empty continuation line")
        if statement.keyword == "MAINTAINER":
            message = "Maintainer instruction is deprecated in favor of using label"
            yield Finding("MaintainerDeprecated", where, message)
        words = split_words(statement.rest, self._dockerfile.escape)
        if statement.keyword in ("ENV", "LABEL") and words and "=" not in words[0]:
            kind = statement.keyword
            message = (
                f'"{kind} key=value" should be used instead of legacy "{kind} key value" format'
            )
            yield Finding("LegacyKeyValueFormat", where, message)
        if statement.keyword == "FROM" and len(words) == 3:
            if words[1].isupper() != statement.written.isupper():
                message = f"'{words[1]}' and '{statement.written}' keywords' casing do not match"
                yield Finding("FromAsCasing", where, message)
            if words[2] != words[2].lower():
                message = f"Stage name '{words[2]}' should be lowercase"
                yield Finding("StageNameCasing", where, message)
        if statement.keyword == "EXPOSE":
            yield from self._ports(words, where)

    def _ports(self, words: Sequence[str], where: Where) -> Iterator[Finding]:
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

    # -- stages and their bases

    def _global_args(self) -> Iterator[Finding]:
        """FROM lines with the arguments that stand before the first of them."""
        declared, defaults = self._declared()
        for stage in self._graph.stages.values():
            start = stage.start
            for text in (start.image, start.platform):
                for name in self._missing(text, declared):
                    message = f"FROM argument '{name}' is not declared"
                    yield Finding("UndefinedArgInFrom", start.where, message)
            if "$" in start.image and self._empty(start.image, defaults):
                message = (
                    f"Default value for ARG {start.image} results in empty or invalid base image"
                    " name"
                )
                yield Finding("InvalidDefaultArgInFrom", start.where, message)

    def _declared(self) -> tuple[dict[str, str], dict[str, str]]:
        """The arguments before the first FROM, and those of them that have a value when the caller
        gives none."""
        predefined = {
            name: value
            for name, value in self._graph.global_args.items()
            if name.startswith(("BUILD", "TARGET"))
        }
        declared, defaults = dict(predefined), dict(predefined)
        for instruction in self._instructions:
            if isinstance(instruction, given.From):
                break
            if isinstance(instruction, given.Arg):
                for name, default in instruction.arguments:
                    declared[name] = ""
                    if default is not None:
                        defaults[name] = self._expanded(default, defaults)
        return declared, defaults

    def _empty(self, text: str, values: Mapping[str, str]) -> bool:
        name = self._expanded(text, values)
        return not name or name.endswith((":", "/", "@")) or name.startswith((":", "/"))

    def _stages(self) -> Iterator[Finding]:
        seen: dict[str, Where] = {}
        for stage in self._graph.stages.values():
            where = stage.start.where
            if stage.name in seen:
                message = f"Duplicate stage name '{stage.name}', stage names should be unique"
                yield Finding("DuplicateStageName", where, message)
            elif stage.name:
                seen[stage.name] = where
            if stage.name in _RESERVED:
                message = (
                    f"Stage name should not use the same name as reserved stage '{stage.name}'"
                )
                yield Finding("ReservedStageName", where, message)
            runs = any(isinstance(i, given.Cmd | given.Entrypoint) for i in stage.instructions)
            # What can be run is there to be built by its name.
            if stage.index not in self._graph.needed and not (runs and stage.name):
                message = f"Stage '{stage.label}' is used by no other and is not built"
                yield Finding("UnusedStage", where, message)
            yield from self._platform(stage.start)

    def _platform(self, start: given.From) -> Iterator[Finding]:
        if start.platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            message = (
                f"Setting platform to predefined {start.platform} in FROM is redundant as this is"
                " the default behavior"
            )
            yield Finding("RedundantTargetPlatform", start.where, message)
        elif start.platform and "$" not in start.platform and start.image != SCRATCH:
            message = f'FROM --platform flag should not use constant value "{start.platform}"'
            yield Finding("FromPlatformFlagConstDisallowed", start.where, message)

    # -- within one stage

    def _in_stage(self, index: int) -> Iterator[Finding]:
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
        for text in _words_of(instruction):
            for name in self._missing(text, {**usual, **values}):
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

    def _missing(self, text: str, values: Mapping[str, str]) -> list[str]:
        recorder = _Recorder(values)
        try:
            expand(_without_defaults(text), recorder, self._dockerfile.escape)
        except BadExpansionError:
            return []
        return [name for name in recorder.missing if name.isidentifier()]

    def _expanded(self, text: str, values: Mapping[str, str]) -> str:
        try:
            return expand(text, values, self._dockerfile.escape)
        except BadExpansionError:
            return text


def _words_of(instruction: given.Instruction) -> Iterable[str]:
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


def _without_defaults(text: str) -> str:
    """The text without variables that say themselves what they are when unset."""
    return re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?[-+?][^}]*\}", "", text)


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
