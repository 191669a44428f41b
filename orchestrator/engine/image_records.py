"""The records of images: which there are, by which names they are found, who uses them.

A tag is on one image at a time. Knows no content.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from orchestrator.errors import InvalidInput, NotFound
from orchestrator.images.reference import Reference, parse_reference
from orchestrator.model.events import Event
from orchestrator.model.image import Image
from orchestrator.model.observed import Container
from orchestrator.state.database import Database

_ID = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


class ImageRecords:
    """Every image's record."""

    def __init__(self, database: Database, emit: Callable[[Event], None]) -> None:
        self._database = database
        self._records = database.images
        self._emit = emit

    def all(self) -> list[Image]:
        """Every image that is not retired, the newest first."""
        found = (image for image in self._records if not image.retired)
        return sorted(found, key=lambda image: (-image.created_at, image.id))

    def find(self, text: str) -> Image | None:
        """The image that a reference, an id, or an unambiguous beginning of one names; a retired
        one by its whole id only."""
        if is_id(text):
            return self._records.get("sha256:" + text.removeprefix("sha256:"))
        if found := self._by_reference(text):
            return found
        candidates = self._starting(text)
        return candidates[0] if len(candidates) == 1 else None

    def get(self, text: str) -> Image:
        """The image that text names.

        Raises: NotFound: there is none here. InvalidInput: several ids begin so.
        """
        if found := self.find(text):
            return found
        if len(self._starting(text)) > 1:
            raise InvalidInput(
                f"several images have an id that begins with {text}",
                code="ambiguous-id",
                about=text,
                hint="give more digits, or the name",
            )
        raise no_such_image(text)

    def reference_of(self, image: Image, text: str) -> str:
        """Which of the image's tags and digests text is, in full; "" where it is its id."""
        if is_id(text):
            return ""
        try:
            reference = parse_reference(text)
        except InvalidInput:
            return ""
        full = str(reference.with_digest(reference.digest) if reference.digest else reference)
        return full if full in (*image.tags, *image.digests) else ""

    def of_repository(self, text: str) -> list[tuple[Image, str]]:
        """The images that have a tag in the repository that text names, each with each such tag."""
        try:
            name = parse_reference(text).name
        except InvalidInput:
            return []
        return [
            (image, tag)
            for image in self.all()
            for tag in image.tags
            if parse_reference(tag).name == name
        ]

    def register(self, image: Image, tags: Iterable[str]) -> Image:
        """The image's record, with these tags besides those it had; whichever image had them
        before has lost them."""
        known = self._records.get(image.id)
        tags = tuple(str(taggable(tag)) for tag in tags)
        had = known.tags if known else ()
        tagged_at = max(image.tagged_at, known.tagged_at if known else 0.0)
        image = replace(
            image,
            tags=_joined(had, tags),
            digests=_joined(known.digests if known else (), image.digests),
            pulled_at=max(image.pulled_at, known.pulled_at if known else 0.0),
            tagged_at=tagged_at if set(tags) <= set(had) else time.time(),
            retired=False,
        )
        # The new record first: a kill between the two leaves a tag twice, which `mend` settles,
        # and never a tag lost.
        self._records.put(image)
        for other in self._records:
            if other.id != image.id and not set(tags).isdisjoint(other.tags):
                kept = tuple(tag for tag in other.tags if tag not in tags)
                self._records.put(replace(other, tags=kept))
        return image

    def without(self, image: Image, references: Iterable[str]) -> Image:
        """The image's record, these tags and digests taken off."""
        gone = frozenset(references)
        left = replace(
            image,
            tags=tuple(tag for tag in image.tags if tag not in gone),
            digests=tuple(digest for digest in image.digests if digest not in gone),
        )
        self._records.put(left)
        for reference in (*image.tags, *image.digests):
            if reference in gone:
                self.tell("untag", image, parse_reference(reference).familiar)
        return left

    def delete(self, image: Image) -> None:
        """Nothing, once the image has no record; where a container uses it, it is retired."""
        if self.users(image):
            self._records.put(replace(image, tags=(), digests=(), retired=True))
        else:
            self._records.delete(image.id)
        self.tell("delete", image, image.id)

    def drop_unused_retired(self) -> None:
        """Nothing; retired images whose last container is gone have no record any more."""
        for image in self._records:
            if image.retired and not self.users(image):
                self._records.delete(image.id)

    def mend(self) -> None:
        """Nothing; no tag is on two images, whatever a killed engine left."""
        seen: set[str] = set()
        for image in self.all():
            if not seen.isdisjoint(image.tags):
                kept = tuple(tag for tag in image.tags if tag not in seen)
                self._records.put(replace(image, tags=kept))
            seen |= set(image.tags)

    def users(self, image: Image) -> list[Container]:
        """The containers made from the image, running or not, by name."""
        found = [
            c
            for c in self._database.containers
            if c.image_id == image.id or any(m.image_id == image.id for m in c.mounts)
        ]
        return sorted(found, key=lambda c: c.name)

    def tell(self, action: str, image: Image, name: str) -> None:
        """Nothing; the event is out, with the image's labels."""
        attributes = {**image.config.labels, "name": name}
        self._emit(
            Event(type="image", action=action, id=image.id, time=time.time(), attributes=attributes)
        )

    def _by_reference(self, text: str) -> Image | None:
        try:
            reference = parse_reference(text)
        except InvalidInput:
            return None
        if reference.digest:
            pinned = str(reference.with_digest(reference.digest))
            return next((i for i in self._records if pinned in i.digests), None)
        full = str(reference)
        return next((i for i in self._records if full in i.tags), None)

    def _starting(self, text: str) -> list[Image]:
        match = _ID_PREFIX.fullmatch(text)
        found = self._records.starting("sha256:" + match[1]) if match else []
        return [image for image in found if not image.retired]


def is_id(text: str) -> bool:
    """Whether text is a whole image id, with or without `sha256:`."""
    return _ID.fullmatch(text) is not None


def taggable(text: str) -> Reference:
    """The reference that an image can be tagged with.

    Raises: InvalidInput: it is none, or has a digest.
    """
    reference = parse_reference(text)
    if reference.digest:
        raise InvalidInput(
            f'refusing to create a tag with a digest reference: "{text}"',
            code="image-reference-invalid",
            about=text,
            hint="write it as NAME:TAG",
        )
    return reference


def no_such_image(text: str) -> NotFound:
    """The error for a name that no image here has."""
    hint = "`pystack images` lists what is here"
    shown = text
    if not is_id(text):
        hint = f"get it with: pystack pull {text}"
        with suppress(InvalidInput):
            shown = parse_reference(text).familiar
    # Docker's clients know this case by these very words.
    return NotFound(f"No such image: {shown}", code="no-such-image", about=text, hint=hint)


def shown_name(image: Image) -> str:
    """The first tag as people write it; "" where it has none."""
    return parse_reference(image.tags[0]).familiar if image.tags else ""


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
