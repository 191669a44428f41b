"""The meaning of an instruction: a changed configuration, and perhaps an operation on files.

Pure: the solver folds `advance` over a stage's instructions and performs the operations.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch

from orchestrator.build import instructions as given
from orchestrator.build.expand import BadExpansionError, expand, expand_document
from orchestrator.build.modes import BadModeError, read_mode
from orchestrator.build.operations import (
    CopyOperation,
    DirectoryOperation,
    Document,
    Operation,
    RunOperation,
)
from orchestrator.build.parser import Heredoc
from orchestrator.build.words import split_words
from orchestrator.model.image import ImageConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?\Z", re.IGNORECASE)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is the same for the whole build: the caller's arguments and the file's own."""

    build_args: Mapping[str, str]
    global_args: Mapping[str, str]
    escape: str = "\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """A stage part of the way: the image's configuration so far, and the arguments declared.

    `command_given` says that this stage has a CMD of its own, which an ENTRYPOINT leaves alone.
    """

    config: ImageConfig
    args: Mapping[str, str] = field(default_factory=dict)
    command_given: bool = False

    @property
    def environment(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in self.config.environment)
        return {name: value for name, _, value in pairs}

    @property
    def values(self) -> dict[str, str]:
        """The variables that words may use; ENV goes before ARG."""
        return {**self.args, **self.environment}


Step = tuple[StageState, Operation | None]


@singledispatch
def advance(instruction: given.Instruction, state: StageState, scope: Scope) -> Step:
    """The state after the instruction, and the operation that it asks for.

    Raises: InvalidInput: a variable or a value is wrong.  Source: Dockerfile reference.
    """
    raise instruction.where.unsupported(type(instruction).__name__.upper(), "leave it out")


@advance.register
def _arg(instruction: given.Arg, state: StageState, scope: Scope) -> Step:
    args = dict(state.args)
    for name, default in instruction.arguments:
        if name in scope.build_args:
            args[name] = scope.build_args[name]
        elif default is not None:
            visible = {**args, **state.environment}
            args[name] = _word(instruction, default, visible, scope)
        elif name in scope.global_args:
            args[name] = scope.global_args[name]
    return replace(state, args=args), None


@advance.register
def _env(instruction: given.Env, state: StageState, scope: Scope) -> Step:
    # All names of one line are expanded before any of them is set.
    pairs = _expanded_pairs(instruction, instruction.pairs, state, scope)
    environment = {**state.environment, **pairs}
    entries = tuple(f"{name}={value}" for name, value in environment.items())
    return _configured(state, environment=entries), None


@advance.register
def _label(instruction: given.Label, state: StageState, scope: Scope) -> Step:
    pairs = _expanded_pairs(instruction, instruction.pairs, state, scope)
    return _configured(state, labels={**state.config.labels, **pairs}), None


@advance.register
def _maintainer(instruction: given.Maintainer, state: StageState, _scope: Scope) -> Step:
    return _configured(state, author=instruction.name), None


@advance.register
def _run(instruction: given.Run, state: StageState, scope: Scope) -> Step:
    arguments, script = _run_arguments(instruction, state)
    environment = {"PATH": DEFAULT_PATH, **state.values}
    proxies = {
        name: value
        for name, value in scope.build_args.items()
        if name.upper() in _PROXIES and name not in state.args
    }
    mounts = tuple(_run_mount(instruction, mount, state, scope) for mount in instruction.mounts)
    operation = RunOperation(
        where=instruction.where,
        text=instruction.text,
        arguments=arguments,
        environment=tuple(f"{name}={value}" for name, value in environment.items()),
        user=state.config.user,
        working_dir=state.config.working_dir or "/",
        mounts=mounts,
        network=instruction.network,
        script=script,
        proxies=proxies,
    )
    return state, operation


def _run_mount(
    instruction: given.Run, mount: given.RunMount, state: StageState, scope: Scope
) -> given.RunMount:
    values = state.values
    target = _word(instruction, mount.target, values, scope)
    return replace(
        mount,
        target=_absolute(state, target) if target else "",
        source=_word(instruction, mount.source, values, scope),
        origin=_word(instruction, mount.origin, scope.global_args, scope),
        id=_word(instruction, mount.id, values, scope),
    )


def _run_arguments(
    instruction: given.Run, state: StageState
) -> tuple[tuple[str, ...], Document | None]:
    command = instruction.command
    if not command.shell:
        return command.words, None
    shell = state.config.shell or _SHELL
    line = command.words[0]
    heredocs = instruction.heredocs
    if len(heredocs) == 1 and line == heredocs[0].word:
        text = heredocs[0].text
        if text.startswith("#!"):
            return (f"/dev/pipes/{heredocs[0].name}",), Document(
                name=heredocs[0].name, content=text
            )
        return (*shell, text), None
    if heredocs:
        # The shell reads the here-documents itself, as it would from a script.
        line = f"{line}\n" + "".join(f"{h.content}{h.name}\n" for h in heredocs)
    return (*shell, line), None


@advance.register
def _copy(instruction: given.Copy, state: StageState, scope: Scope) -> Step:
    values = state.values
    destination = _word(instruction, instruction.destination, values, scope)
    mode = _word(instruction, instruction.mode, values, scope)
    if mode:
        try:
            read_mode(mode)
        except BadModeError as error:
            raise instruction.where.invalid(f"--chmod: {error}") from None
    count = len(instruction.sources) + len(instruction.heredocs)
    absolute = _absolute(state, destination)
    if destination.endswith("/") or posixpath.basename(destination) in (".", "..", ""):
        absolute = absolute.rstrip("/") + "/"
    elif instruction.parents:
        absolute += "/"
    elif count > 1:
        raise instruction.where.invalid(
            f"{destination}: more than one source needs a directory", "end the destination with /"
        )
    operation = CopyOperation(
        where=instruction.where,
        text=instruction.text,
        sources=tuple(_word(instruction, s, values, scope) for s in instruction.sources),
        documents=tuple(_document(instruction, h, values, scope) for h in instruction.heredocs),
        destination=absolute,
        origin=instruction.origin,
        owner=_word(instruction, instruction.owner, values, scope),
        mode=mode,
        link=instruction.link,
        parents=instruction.parents,
        exclude=tuple(_word(instruction, e, values, scope) for e in instruction.exclude),
        remote=instruction.add,
        unpack=instruction.unpack if instruction.add else False,
        checksum=_word(instruction, instruction.checksum, values, scope),
        keep_git_dir=instruction.keep_git_dir,
    )
    return state, operation


def _document(
    instruction: given.Instruction, heredoc: Heredoc, values: Mapping[str, str], scope: Scope
) -> Document:
    if not heredoc.expand:
        return Document(name=heredoc.name, content=heredoc.text)
    try:
        content = expand_document(heredoc.text, values, scope.escape)
    except BadExpansionError as error:
        raise instruction.where.invalid(f"in {heredoc.name}: {error}") from None
    return Document(name=heredoc.name, content=content)


@advance.register
def _workdir(instruction: given.Workdir, state: StageState, scope: Scope) -> Step:
    path = _absolute(state, _word(instruction, instruction.path, state.values, scope))
    operation = DirectoryOperation(
        where=instruction.where, text=instruction.text, path=path, owner=state.config.user
    )
    return _configured(state, working_dir=path), operation


@advance.register
def _user(instruction: given.User, state: StageState, scope: Scope) -> Step:
    user = _word(instruction, instruction.user, state.values, scope)
    if not user:
        raise instruction.where.invalid("USER is empty")
    return _configured(state, user=user), None


@advance.register
def _expose(instruction: given.Expose, state: StageState, scope: Scope) -> Step:
    ports = set(state.config.exposed_ports)
    for written in instruction.ports:
        for text in split_words(_word(instruction, written, state.values, scope)):
            match = _PORT.match(text)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
            if match is None or not 0 < first <= last < 1 << 16:
                raise instruction.where.invalid(f"EXPOSE {text}: expected a port like 80 or 53/udp")
            protocol = (match[3] or "tcp").lower()
            ports.update(f"{port}/{protocol}" for port in range(first, last + 1))
    return _configured(state, exposed_ports=tuple(sorted(ports))), None


@advance.register
def _volume(instruction: given.Volume, state: StageState, scope: Scope) -> Step:
    paths = (_word(instruction, path, state.values, scope) for path in instruction.paths)
    volumes = {*state.config.volumes, *(posixpath.normpath(path) for path in paths)}
    return _configured(state, volumes=tuple(sorted(volumes))), None


@advance.register
def _shell(instruction: given.Shell, state: StageState, _scope: Scope) -> Step:
    return _configured(state, shell=instruction.words), None


@advance.register
def _stop_signal(instruction: given.StopSignal, state: StageState, scope: Scope) -> Step:
    signal = _word(instruction, instruction.signal, state.values, scope).upper()
    if re.fullmatch(r"(SIG)?[A-Z0-9+-]+", signal) is None:
        raise instruction.where.invalid(f"STOPSIGNAL {signal}: expected a name or a number")
    return _configured(state, stop_signal=signal), None


@advance.register
def _health(instruction: given.Health, state: StageState, _scope: Scope) -> Step:
    return _configured(state, healthcheck=instruction.check), None


@advance.register
def _onbuild(instruction: given.OnBuild, state: StageState, _scope: Scope) -> Step:
    return _configured(state, onbuild=(*state.config.onbuild, instruction.trigger)), None


@advance.register
def _cmd(instruction: given.Cmd, state: StageState, _scope: Scope) -> Step:
    command = _command(instruction.command, state)
    return replace(_configured(state, command=command), command_given=True), None


@advance.register
def _entrypoint(instruction: given.Entrypoint, state: StageState, _scope: Scope) -> Step:
    entrypoint = _command(instruction.command, state)
    # The base image's CMD was written for the base image's ENTRYPOINT.
    command = state.config.command if state.command_given else ()
    return _configured(state, entrypoint=entrypoint, command=command), None


def _command(command: given.Command, state: StageState) -> tuple[str, ...]:
    if not command.shell:
        return command.words
    return (*(state.config.shell or _SHELL), *command.words)


def _configured(state: StageState, **changes: object) -> StageState:
    return replace(state, config=replace(state.config, **changes))  # type: ignore[arg-type]


def _absolute(state: StageState, path: str) -> str:
    joined = posixpath.normpath(posixpath.join("/", state.config.working_dir, path))
    return "/" + joined.lstrip("/")


def _expanded_pairs(
    instruction: given.Instruction,
    pairs: tuple[tuple[str, str], ...],
    state: StageState,
    scope: Scope,
) -> dict[str, str]:
    values = state.values
    return {
        _word(instruction, name, values, scope): _word(instruction, value, values, scope)
        for name, value in pairs
    }


def _word(
    instruction: given.Instruction, text: str, values: Mapping[str, str], scope: Scope
) -> str:
    try:
        word = expand(text, values, scope.escape)
    except BadExpansionError as error:
        raise instruction.where.invalid(str(error)) from None
    if "\0" in word:
        raise instruction.where.invalid("a NUL character, which no file or variable can have")
    return word
