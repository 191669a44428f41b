"""What a build does to a filesystem: values that can be hashed, executed, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.build.instructions import RunMount
from orchestrator.build.problems import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file whose content stands in the Dockerfile."""

    name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOperation:
    """A process to run in the stage's root.

    `script` is put at /dev/pipes/<its name> for it; `proxies` are seen by the process and do not
    count for the cache.
    """

    where: Where
    text: str
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    user: str
    working_dir: str
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"
    script: Document | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOperation:
    """Files to put into the stage's root, from the context or from `origin` (a stage, image or
    named context).

    `destination` is absolute; it ends in a slash where it must be a directory. `mode` is octal or
    symbolic. `remote` says that sources that look like URLs are ones; `unpack` is None where local
    archives are to be unpacked and remote ones are not.
    """

    where: Where
    text: str
    sources: tuple[str, ...]
    documents: tuple[Document, ...] = ()
    destination: str
    origin: str = ""
    owner: str = ""
    mode: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    remote: bool = False
    unpack: bool | None = False
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryOperation:
    """A directory that must exist in the stage's root; what is made of it is the owner's."""

    where: Where
    text: str
    path: str
    owner: str = ""


Operation = RunOperation | CopyOperation | DirectoryOperation
