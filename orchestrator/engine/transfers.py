"""Images to and from registries: what `pull`, `push`, `login`, `search` and an inspection of a
remote image come to. The records are `engine.images`', the protocol is `images`'.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from orchestrator.engine.images import Images
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.images.config import parse_config
from orchestrator.images.connect import open_registry
from orchestrator.images.content import ContentStore
from orchestrator.images.login import check_login
from orchestrator.images.manifest import Index, Platform, parse_manifest
from orchestrator.images.push import Pushed, Sources, push_image
from orchestrator.images.reference import Reference, parse_reference
from orchestrator.images.search import SearchResult, search_images
from orchestrator.model.events import Event, Progress, Report
from orchestrator.model.image import Descriptor, Image
from orchestrator.settings import Settings
from orchestrator.wire.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Pulled:
    """One image that was pulled, its digest at the registry, and whether the name meant something
    else here before, or nothing."""

    image: Image
    reference: Reference
    digest: str
    newer: bool


@dataclass(frozen=True, slots=True)
class Remote:
    """What a registry has under a name: a manifest or an index, and the platforms in it."""

    descriptor: Descriptor
    platforms: tuple[Platform, ...]


class Transfers:
    """Every exchange of this engine with registries."""

    def __init__(
        self,
        images: Images,
        store: ContentStore,
        settings: Settings,
        emit: Callable[[Event], None],
    ) -> None:
        self._images = images
        self._store = store
        self._settings = settings
        self._emit = emit
        self._uploads = anyio.CapacityLimiter(max(1, settings.max_uploads))

    async def pull(
        self,
        text: str,
        report: Report,
        *,
        platform: str = "",
        credentials: Credentials | None = None,
    ) -> Pulled:
        """The image as its registry has it now, recorded under its reference.

        Raises: NotFound, Denied, Unavailable, Failed, InvalidInput.
        """
        reference = parse_reference(text)
        before = self._images.find(str(reference))
        digest = ""

        def heard(progress: Progress) -> None:
            nonlocal digest
            if progress.step == "found":
                digest = progress.detail
            report(progress)

        image = await self._images.pull(text, heard, platform, credentials)
        newer = before is None or before.id != image.id
        return Pulled(image, reference, digest, newer)

    async def pull_all(
        self,
        name: str,
        report: Report,
        *,
        platform: str = "",
        credentials: Credentials | None = None,
    ) -> list[Pulled]:
        """Every tag of a repository, as `pull` does one; tags without an image for the platform
        are passed over where others have one.

        Raises: as pull.
        """
        reference = parse_reference(name)
        async with open_registry(reference, self._settings, credentials) as registry:
            tags = await registry.tags()
        found: list[Pulled] = []
        lacking: NotFound | None = None
        for tag in tags:
            text = str(reference.with_tag(tag))
            try:
                found.append(
                    await self.pull(text, report, platform=platform, credentials=credentials)
                )
            except NotFound as problem:
                lacking = problem
        if not found:
            raise lacking or NotFound(
                f"{reference.domain} has no tags of {reference.path}",
                code="no-such-image",
                about=name,
                hint="check the name",
            )
        return found

    async def push(
        self, name: str, tag: str, report: Report, credentials: Credentials | None = None
    ) -> list[Pushed]:
        """What was pushed: the repository's image with this tag; with "" every tag of it that is
        here.

        Raises: NotFound: there is none here. Denied, Unavailable, Failed, InvalidInput.
        """
        reference = parse_reference(name)
        if reference.digest:
            raise InvalidInput(
                "what is pushed has a tag; its digest is what comes of it",
                code="push-by-digest",
                about=name,
                hint=f"give it a tag: pystack tag {name} {reference.with_tag('TAG').familiar}",
            )
        wanted = [reference.with_tag(tag)] if tag else self._tags_here(reference)
        pushed: list[Pushed] = []
        async with self._images.holding():
            for one in wanted:
                image = self._images.find(str(one))
                if image is None:
                    raise _not_here(one.familiar)
                done = await push_image(
                    image,
                    one,
                    self._store,
                    self._settings,
                    report,
                    sources=self._sources(one),
                    slots=self._uploads,
                    credentials=credentials,
                )
                self._remember(image, done)
                pushed.append(done)
        return pushed

    async def login(self, credentials: Credentials, address: str) -> str:
        """Once the registry at address ("" is Docker Hub) has accepted the credentials: the token
        to keep instead of the password, "" for none.

        Raises: InvalidInput, Denied, Unavailable.
        """
        return await check_login(credentials, address, self._settings)

    async def search(
        self, term: str, limit: int, credentials: Credentials | None = None
    ) -> Sequence[SearchResult]:
        """The repositories that a registry finds for a word.

        Raises: NotFound: it has no search. Denied, Unavailable.
        """
        return await search_images(term, limit, self._settings, credentials)

    async def inspect(self, name: str, credentials: Credentials | None = None) -> Remote:
        """What the registry has under a name, without pulling it.

        Raises: as pull.
        """
        reference = parse_reference(name)
        async with open_registry(reference, self._settings, credentials) as registry:
            top = await registry.manifest(reference.wanted)
            parsed = parse_manifest(top.data)
            if isinstance(parsed, Index):
                platforms = tuple(p for _, p in parsed.entries if p and p.os != "unknown")
            else:
                config = parse_config(await registry.small_blob(parsed.config)).config
                platforms = (Platform(config.os, config.architecture, config.variant),)
        described = Descriptor(
            media_type=top.media_type, digest=top.digest, size_bytes=len(top.data)
        )
        return Remote(described, platforms)

    def _tags_here(self, reference: Reference) -> list[Reference]:
        tags = [parse_reference(tag) for image in self._images.all() for tag in image.tags]
        found = sorted((one for one in tags if one.name == reference.name), key=str)
        if not found:
            raise _not_here(reference.with_tag("").familiar)
        return found

    def _sources(self, target: Reference) -> Sources:
        """Where else at the target's registry the blobs that are here can be found."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for image in self._images.all():
            for name in image.digests:
                known = parse_reference(name)
                if known.domain == target.domain and known.path != target.path:
                    for layer in image.layers:
                        found[layer.blob.digest][known.path] = None
        return {digest: tuple(names) for digest, names in found.items()}

    def _remember(self, image: Image, pushed: Pushed) -> None:
        """Nothing, once the record has what the push added; an image that was removed meanwhile
        stays removed."""
        if self._images.find(image.id) is not None:
            self._images.register(replace(pushed.image, tags=image.tags), ())
        attributes = {"name": pushed.reference.familiar, **image.config.labels}
        self._emit(
            Event(type="image", action="push", id=image.id, time=time.time(), attributes=attributes)
        )


def _not_here(name: str) -> NotFound:
    return NotFound(
        f"cannot push {name}: there is no image of that name here",
        code="no-such-image",
        about=name,
        hint="`pystack images` lists what is here; `pystack tag` gives an image a name",
    )
