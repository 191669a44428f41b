"""From statements to instructions: what each keyword takes, and what is wrong with a line.

Adding an instruction: a dataclass in `instructions`, a reader here, its meaning in `evaluate`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orchestrator.build.instructions import (
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Health,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from orchestrator.build.mountflag import read_mount
from orchestrator.build.parser import Dockerfile, Heredoc, Statement, parse
from orchestrator.build.remote import is_remote
from orchestrator.build.words import split_words, unquote
from orchestrator.model.container import Healthcheck

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_instructions(dockerfile: Dockerfile) -> tuple[Instruction, ...]:
    """The instructions of a parsed Dockerfile.

    Raises: InvalidInput: a keyword, flag or argument is wrong, or not supported.
    Source: Dockerfile reference.
    """
    return tuple(read_instruction(s, dockerfile.escape) for s in dockerfile.statements)


def read_trigger(text: str, parent: Instruction, escape: str = "\\") -> Instruction:
    """The instruction in an image's ONBUILD trigger; its place is the FROM that pulled it in.

    Raises: InvalidInput: the trigger is malformed, or an instruction that cannot be one.
    """
    statements = parse(text, parent.where.file).statements
    if len(statements) != 1:
        raise parent.where.invalid(f"the base image has a malformed ONBUILD trigger: {text}")
    statement = replace(statements[0], where=parent.where)
    if statement.keyword in ("FROM", "ONBUILD", "MAINTAINER"):
        raise parent.where.invalid(f"{statement.keyword} cannot be an ONBUILD trigger")
    return read_instruction(statement, escape)


def read_instruction(statement: Statement, escape: str) -> Instruction:
    """The instruction that a statement holds.  Raises: InvalidInput: as `read_instructions`."""
    reader = _READERS.get(statement.keyword)
    if reader is None:
        raise statement.where.invalid(
            f"unknown instruction {statement.keyword}", f"known are {', '.join(sorted(_READERS))}"
        )
    if not statement.rest and statement.keyword not in ("CMD", "ENTRYPOINT"):
        raise statement.where.invalid(f"{statement.keyword} needs an argument")
    return reader(statement, escape)


def _from(statement: Statement, escape: str) -> From:
    flags = _flags(statement, ("platform",))
    words = split_words(statement.rest, escape)
    name = ""
    if len(words) == 3 and words[1].upper() == "AS":
        name = words[2].lower()
        if _STAGE_NAME.match(name) is None:
            raise statement.where.invalid(
                f"{words[2]} is no name for a stage", "use letters, digits and . _ -"
            )
    elif len(words) != 1:
        raise statement.where.invalid("FROM takes an image, or an image AS a name")
    return From(
        where=statement.where,
        text=statement.text,
        image=words[0],
        name=name,
        platform=_last(flags, "platform"),
    )


def _arg(statement: Statement, escape: str) -> Arg:
    arguments: list[tuple[str, str | None]] = []
    for word in split_words(statement.rest, escape):
        name, equals, value = word.partition("=")
        if not name:
            raise statement.where.invalid(f"{word}: an argument needs a name")
        arguments.append((name, value if equals else None))
    return Arg(where=statement.where, text=statement.text, arguments=tuple(arguments))


def _env(statement: Statement, escape: str) -> Env:
    return Env(where=statement.where, text=statement.text, pairs=_pairs(statement, escape))


def _label(statement: Statement, escape: str) -> Label:
    return Label(where=statement.where, text=statement.text, pairs=_pairs(statement, escape))


def _pairs(statement: Statement, escape: str) -> tuple[tuple[str, str], ...]:
    words = split_words(statement.rest, escape)
    if "=" not in words[0]:  # The old form: one name, and the rest of the line is its value.
        value = statement.rest[len(words[0]) :].strip()
        if not value:
            raise statement.where.invalid(f"{words[0]}: a value is missing", "write name=value")
        return ((words[0], value),)
    pairs: list[tuple[str, str]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise statement.where.invalid(f"{word}: expected name=value", "quote the whole value")
        pairs.append((name, value))
    return tuple(pairs)


def _run(statement: Statement, _escape: str) -> Run:
    mounts = tuple(
        read_mount(flag.removeprefix("--mount="), statement.where)
        for flag in statement.flags
        if flag.startswith("--mount=")
    )
    others = tuple(f for f in statement.flags if not f.startswith("--mount="))
    flags = _flags(replace(statement, flags=others), ("mount", "network", "security", "device"))
    if "mount" in flags:
        raise statement.where.invalid("--mount needs a value", "write --mount=type=…,target=…")
    network = _last(flags, "network", "default")
    if network not in ("default", "none", "host"):
        raise statement.where.invalid(
            f"--network={network}: no such network", "use default, none or host"
        )
    security = _last(flags, "security", "sandbox")
    if security not in ("sandbox", "insecure"):
        raise statement.where.invalid(f"--security={security}: use sandbox")
    if security == "insecure":
        raise statement.where.unsupported(
            "RUN --security=insecure", "builds run confined; do what needs more in a container"
        )
    if "device" in flags:
        raise statement.where.unsupported("RUN --device", "build without the device")
    return Run(
        where=statement.where,
        text=statement.text,
        command=_command(statement),
        heredocs=statement.heredocs,
        mounts=mounts,
        network=network,
    )


def _copy(statement: Statement, escape: str) -> Copy:
    flags = _flags(
        statement, ("from", "chown", "chmod", "link", "parents", "exclude"), several=("exclude",)
    )
    origin = _last(flags, "from")
    if origin and statement.heredocs:
        raise statement.where.invalid("a here-document cannot be copied --from elsewhere")
    if "$" in origin:
        raise statement.where.invalid(
            f"--from={origin}: variables mean nothing here",
            "begin a stage with FROM, which takes ARGs from before the first one, and name it",
        )
    return _transfer(statement, flags, escape)


def _add(statement: Statement, escape: str) -> Copy:
    known = ("chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack")
    flags = _flags(statement, known, several=("exclude",))
    copy = _transfer(statement, flags, escape)
    remote = [source for source in copy.sources if is_remote(source)]
    if copy.checksum and (len(remote) != 1 or len(copy.sources) != 1):
        raise statement.where.invalid("--checksum takes exactly one source, and a remote one")
    return replace(
        copy,
        add=True,
        unpack=_boolean(statement, flags, "unpack") if "unpack" in flags else None,
    )


def _transfer(statement: Statement, flags: Mapping[str, Sequence[str]], escape: str) -> Copy:
    words = _json_words(statement.rest)
    if words is None:
        words = split_words(statement.rest, escape)
    if len(words) < 2:
        raise statement.where.invalid(f"{statement.keyword} needs a source and a destination")
    documents = {heredoc.word for heredoc in statement.heredocs}
    return Copy(
        where=statement.where,
        text=statement.text,
        sources=tuple(word for word in words[:-1] if word not in documents),
        destination=words[-1],
        heredocs=statement.heredocs,
        origin=_last(flags, "from"),
        owner=_last(flags, "chown"),
        mode=_last(flags, "chmod"),
        link=_boolean(statement, flags, "link"),
        parents=_boolean(statement, flags, "parents"),
        exclude=tuple(flags.get("exclude", ())),
        checksum=_last(flags, "checksum"),
        keep_git_dir=_boolean(statement, flags, "keep-git-dir"),
    )


def _workdir(statement: Statement, _escape: str) -> Workdir:
    return Workdir(where=statement.where, text=statement.text, path=statement.rest)


def _user(statement: Statement, _escape: str) -> User:
    return User(where=statement.where, text=statement.text, user=statement.rest)


def _expose(statement: Statement, escape: str) -> Expose:
    ports = tuple(split_words(statement.rest, escape))
    return Expose(where=statement.where, text=statement.text, ports=ports)


def _volume(statement: Statement, escape: str) -> Volume:
    words = _json_words(statement.rest)
    paths = split_words(statement.rest, escape) if words is None else words
    if not paths or "" in paths:
        raise statement.where.invalid("VOLUME needs paths that are not empty")
    return Volume(where=statement.where, text=statement.text, paths=tuple(paths))


def _shell(statement: Statement, _escape: str) -> Shell:
    words = _json_words(statement.rest)
    if not words:
        raise statement.where.invalid("SHELL takes a JSON list", 'write SHELL ["/bin/sh", "-c"]')
    return Shell(where=statement.where, text=statement.text, words=tuple(words))


def _stop_signal(statement: Statement, _escape: str) -> StopSignal:
    return StopSignal(where=statement.where, text=statement.text, signal=statement.rest)


def _health(statement: Statement, escape: str) -> Health:
    names = ("interval", "timeout", "start-period", "start-interval", "retries")
    flags = _flags(statement, names)
    kind, *rest = statement.rest.split(maxsplit=1)
    if kind.upper() == "NONE":
        if rest or flags:
            raise statement.where.invalid("HEALTHCHECK NONE takes nothing else")
        check = Healthcheck(test=("NONE",))
        return Health(where=statement.where, text=statement.text, check=check)
    if kind.upper() != "CMD" or not rest:
        raise statement.where.invalid("HEALTHCHECK takes CMD and a command, or NONE")
    words = _json_words(rest[0])
    test = ("CMD-SHELL", rest[0]) if words is None else ("CMD", *words)
    usual = Healthcheck()
    retries = _last(flags, "retries", str(usual.retries))
    if not retries.isdecimal():
        raise statement.where.invalid(f"--retries={retries}: expected a whole number")
    durations = {name: _duration(statement, name, _last(flags, name, "0s")) for name in names[:-1]}
    check = Healthcheck(
        test=test,
        interval_s=durations["interval"] or usual.interval_s,
        timeout_s=durations["timeout"] or usual.timeout_s,
        start_period_s=durations["start-period"],
        start_interval_s=durations["start-interval"] or usual.start_interval_s,
        retries=int(retries) or usual.retries,
    )
    return Health(where=statement.where, text=statement.text, check=check)


def _duration(statement: Statement, name: str, text: str) -> float:
    parts = _DURATION.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise statement.where.invalid(f"--{name}={text}: expected a duration like 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _onbuild(statement: Statement, escape: str) -> OnBuild:
    documents = "".join(_written(heredoc) for heredoc in statement.heredocs)
    onbuild = OnBuild(
        where=statement.where,
        text=statement.text,
        trigger=statement.rest + (f"\n{documents}" if documents else ""),
    )
    read_trigger(onbuild.trigger, onbuild, escape)
    return onbuild


def _written(heredoc: Heredoc) -> str:
    return f"{heredoc.content}{heredoc.name}\n"


def _cmd(statement: Statement, _escape: str) -> Cmd:
    return Cmd(where=statement.where, text=statement.text, command=_command(statement))


def _entrypoint(statement: Statement, _escape: str) -> Entrypoint:
    return Entrypoint(where=statement.where, text=statement.text, command=_command(statement))


def _maintainer(statement: Statement, escape: str) -> Maintainer:
    name = unquote(statement.rest, escape)
    return Maintainer(where=statement.where, text=statement.text, name=name)


def _command(statement: Statement) -> Command:
    words = _json_words(statement.rest)
    if words is not None:
        return Command(words=tuple(words), shell=False)
    return Command(words=(statement.rest,) if statement.rest else (), shell=bool(statement.rest))


def _json_words(text: str) -> list[str] | None:
    """The words of the exec form; None where the text is not a JSON list of strings."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if all(isinstance(word, str) for word in words) else None


def _flags(
    statement: Statement, known: tuple[str, ...], several: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for flag in statement.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in known:
            raise statement.where.invalid(
                f"{statement.keyword} has no flag --{name}",
                f"known are {', '.join('--' + flag for flag in known)}"
                if known
                else "leave it out",
            )
        if name in values and name not in several:
            raise statement.where.invalid(f"--{name} is given twice")
        values.setdefault(name, []).append(value if equals else "true")
    return values


def _last(flags: Mapping[str, Sequence[str]], name: str, default: str = "") -> str:
    return flags[name][-1] if name in flags else default


def _boolean(statement: Statement, flags: Mapping[str, Sequence[str]], name: str) -> bool:
    value = _last(flags, name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise statement.where.invalid(f"--{name}={value}: expected true or false")
    return value in ("true", "1")


_READERS: Mapping[str, Callable[[Statement, str], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _health,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
