"""What a list can show of an image: one row for each name it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.cli.columns import Column, Columns
from orchestrator.cli.units import size
from orchestrator.model.ages import ago

Image = Mapping[str, Any]
NONE = "<none>"


class Row(NamedTuple):
    """An image under one of its names."""

    image: Image
    repository: str = NONE
    tag: str = NONE
    digest: str = NONE


def rows(image: Image, *, digests: bool) -> Iterator[Row]:
    """The image's rows: for each tag, with `digests` for each digest of its repository too, and
    for repositories that it has only a digest of."""
    tags: dict[str, list[str]] = {}
    pinned: dict[str, list[str]] = {}
    for name in image.get("RepoTags") or ():
        repository, _, tag = str(name).rpartition(":")
        tags.setdefault(repository, []).append(tag)
    for name in image.get("RepoDigests") or ():
        repository, _, digest = str(name).partition("@")
        pinned.setdefault(repository, []).append(digest)
    for repository, found in tags.items():
        of_it = pinned.pop(repository, [])
        for tag in found:
            for digest in of_it if digests and of_it else [NONE]:
                yield Row(image, repository, tag, digest)
    for repository, found in pinned.items():
        for digest in found if digests else [NONE]:
            yield Row(image, repository, NONE, digest)
    if not tags and not image.get("RepoDigests"):
        yield Row(image)


def columns(*, whole: bool, digests: bool) -> Columns:
    """The columns of `images`; `whole` ids are not cut."""
    table = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    return Columns(
        Column("Repository", "REPOSITORY", lambda row: row.repository),
        Column("Tag", "TAG", lambda row: row.tag),
        Column("Digest", "DIGEST", lambda row: row.digest),
        Column("ID", "IMAGE ID", lambda row: identifier(row.image, whole=whole)),
        Column("CreatedSince", "CREATED", lambda row: since(row.image.get("Created"))),
        Column("CreatedAt", "CREATED AT", lambda row: created_at(row.image.get("Created"))),
        Column("Size", "SIZE", lambda row: size(row.image.get("Size") or 0)),
        Column("VirtualSize", "SIZE", lambda row: size(row.image.get("Size") or 0)),
        Column("SharedSize", "SHARED SIZE", _known("SharedSize", lambda number: size(number, 4))),
        Column("UniqueSize", "UNIQUE SIZE", _unique),
        Column("Containers", "CONTAINERS", _known("Containers", str)),
        table=table,
        quiet="ID",
    )


def identifier(image: Image, *, whole: bool = False) -> str:
    """The image's id, in short unless `whole`."""
    text = str(image.get("Id", ""))
    return text if whole else text.removeprefix("sha256:")[:12]


def since(created: object) -> str:
    """How long ago a Unix time was, in words."""
    seconds = float(str(created or 0))
    return f"{ago(time.time() - seconds)} ago" if seconds > 0 else "N/A"


def created_at(created: object) -> str:
    """A Unix time as Go prints it."""
    seconds = float(str(created or 0))
    if seconds <= 0:
        return "N/A"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z %Z")


def _known(name: str, shown: Callable[[int], str]) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        number = row.image.get(name, -1)
        return "N/A" if number is None or number < 0 else shown(number)

    return value


def _unique(row: Row) -> str:
    shared = row.image.get("SharedSize", -1)
    if shared is None or shared < 0:
        return "N/A"
    return size((row.image.get("Size") or 0) - shared, 4)
