"""The instructions of a Dockerfile as values; variables in their words are not yet expanded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.build.parser import Heredoc
from orchestrator.build.problems import Where
from orchestrator.model.container import Healthcheck

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: the words of the exec form, or one line for the shell."""

    words: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMount:
    """`RUN --mount`; `source` is a path in the context, or in the stage, image or context `origin`.

    `id` names a cache, a secret or an agent; `variable` is the environment variable that a secret
    is put into, besides a file at `target` where there is one.
    """

    kind: MountType
    target: str
    source: str = ""
    origin: str = ""
    id: str = ""
    variable: str = ""
    required: bool = False
    sharing: Sharing = "shared"
    read_only: bool = False
    user_id: int = 0
    group_id: int = 0
    mode: int = 0o755
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What every instruction has: its place and its text, for messages and the history."""

    where: Where
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    image: str
    name: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Build arguments in order; None where no default is given."""

    arguments: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY and ADD. `add` is for the latter, which takes remote sources too; `unpack` says whether
    archives are to be unpacked: None is ADD's habit, local ones only."""

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    origin: str = ""
    owner: str = ""
    mode: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    add: bool = False
    unpack: bool | None = None
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Instruction):
    """HEALTHCHECK, its durations resolved; NONE is a check whose test is ("NONE",)."""

    check: Healthcheck


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """A trigger: an instruction, as text, for the builds that start from this image."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    name: str
