"""What removing an image comes to: which of its names go, and whether it goes itself. Pure.

Source: Docker Engine API reference, "ImageDelete", and what moby's image service refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.errors import Conflict
from orchestrator.images.reference import parse_reference
from orchestrator.model.ids import short_id
from orchestrator.model.image import Image
from orchestrator.model.observed import Container


class Removal(NamedTuple):
    """The tags and digests to take off, in full, and whether the image is to go as well."""

    references: tuple[str, ...]
    image: bool


def by_reference(
    image: Image, reference: str, users: Sequence[Container], *, force: bool
) -> Removal:
    """What removing one of the image's names comes to: the image goes with its last name.

    Raises: Conflict: it is the last name, a container uses the image, and force is not given.
    """
    if users and not force and _is_single(image):
        user = users[0]
        raise Conflict(
            f'conflict: unable to remove repository reference "{_familiar(reference)}" (must force)'
            f" - container {short_id(user.id)} is using its referenced image {short_id(image.id)}",
            code="image-in-use",
            about=_familiar(reference),
            hint=_hint(users),
        )
    gone = {reference}
    repository = parse_reference(reference).name
    if reference in image.tags and not any(
        parse_reference(tag).name == repository for tag in image.tags if tag != reference
    ):
        # Digests alone would keep the repository's name on an image that nobody asked to keep.
        gone |= {d for d in image.digests if parse_reference(d).name == repository}
    every = (*image.tags, *image.digests)
    left = [name for name in every if name not in gone]
    running = any(user.running for user in users)
    return Removal(tuple(n for n in every if n in gone), image=not left and not running)


def by_id(image: Image, users: Sequence[Container], *, force: bool) -> Removal:
    """What removing the image with all its names comes to.

    Raises: Conflict: a container runs from it; unless force, one is made from it or it is named in
    several ways.
    """
    running = next((user for user in users if user.running), None)
    used = "being used by"
    if running is not None:
        raise _conflict(image, "cannot be forced", f"{used} running container {_id(running)}")
    if not force and users:
        raise _conflict(image, "must be forced", f"{used} stopped container {_id(users[0])}")
    every = (*image.tags, *image.digests)
    if not force and every and not _is_single(image):
        raise _conflict(image, "must be forced", "referenced in multiple repositories")
    return Removal(every, image=True)


def _is_single(image: Image) -> bool:
    """Whether all its names are of one repository, at most one of them a tag."""
    if len(image.tags) + len(image.digests) <= 1:
        return bool(image.tags or image.digests)
    repositories = {parse_reference(name).name for name in (*image.tags, *image.digests)}
    return len(image.tags) <= 1 and len(repositories) == 1


def _conflict(image: Image, how: str, why: str) -> Conflict:
    several = "multiple" in why
    return Conflict(
        f"conflict: unable to delete {short_id(image.id)} ({how}) - image is {why}",
        code="image-has-tags" if several else "image-in-use",
        about=short_id(image.id),
        hint="remove the tags one by one, or use --force"
        if several
        else "remove the container first, or use --force where it is stopped",
    )


def _hint(users: Sequence[Container]) -> str:
    names = ", ".join(user.name for user in users[:5])
    return f"used by {names}: remove that first, or use --force"


def _id(container: Container) -> str:
    return short_id(container.id)


def _familiar(reference: str) -> str:
    return parse_reference(reference).familiar
