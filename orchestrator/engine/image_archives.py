"""Images to files, and from the tars of file trees: save and import."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from orchestrator.build.changes import with_changes
from orchestrator.engine.image_records import is_id, shown_name, taggable
from orchestrator.engine.images import Images
from orchestrator.errors import InvalidInput
from orchestrator.images.archive_writer import ArchiveFormat, Saved, write_archive
from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.images.layers import unpack_tree
from orchestrator.images.manifest import parse_platform
from orchestrator.model.image import History, Image, ImageConfig
from orchestrator.settings import Settings


class ImageArchives:
    """What writes images to archives and makes them of file trees."""

    def __init__(self, images: Images, store: ContentStore, settings: Settings) -> None:
        self._images = images
        self._store = store
        self._max_layer_bytes = settings.max_layer_bytes

    def chosen(self, names: Sequence[str]) -> list[Saved]:
        """What saving these names comes to: a name without a tag stands for all tags of its
        repository, an id for the image without any.

        Raises: NotFound: there is none of that name. InvalidInput: no name, or an ambiguous one.
        """
        if not names:
            raise InvalidInput(
                "no image to save", code="no-images", about="names", hint="name at least one"
            )
        tags: dict[str, list[str]] = {}
        images: dict[str, Image] = {}
        for name in names:
            for image, tag in self._named(name):
                images[image.id] = image
                listed = tags.setdefault(image.id, [])
                if tag and tag not in listed:
                    listed.append(tag)
        return [Saved(image, tuple(tags[image.id])) for image in images.values()]

    async def save(
        self, images: Sequence[Saved], form: ArchiveFormat = "both"
    ) -> AsyncGenerator[bytes]:
        """An archive of the images, piece by piece; nothing of them is freed meanwhile.

        Raises: Failed: content is missing or damaged.
        """
        async with self._images.holding(), aclosing(write_archive(self._store, images, form)) as a:
            async for piece in a:
                yield piece
        for saved in images:
            self._images.records.tell("save", saved.image, shown_name(saved.image))

    async def import_tar(
        self,
        stream: AsyncIterator[bytes],
        name: str = "",
        *,
        config: ImageConfig | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> Image:
        """A new image of one layer, from the tar (plain, gzip or zstd) of a root file system,
        tagged where name is given; where config is silent, it is for this machine and was created
        now.

        Raises: InvalidInput: name, platform or a change is wrong. Failed: the tar is damaged.
        """
        tags = (str(taggable(name)),) if name else ()
        machine = parse_platform(platform)
        created = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        config = with_changes(config or ImageConfig(), changes)
        config = replace(
            config,
            created=config.created or created,
            architecture=config.architecture or machine.architecture,
            os=machine.os,
            variant=config.variant if config.architecture else machine.variant,
        )
        async with self._images.holding():
            tree = await unpack_tree(self._store, stream, max_bytes=self._max_layer_bytes)
            layer = await adopt_layer(self._store, tree.directory, "")
            note = History(created=config.created, comment=message or "Imported from -")
            image = await write_image(self._store, config, [layer], [note])
            image = self._images.register(image, tags)
        self._images.records.tell("import", image, shown_name(image) or image.id)
        return image

    def _named(self, name: str) -> list[tuple[Image, str]]:
        """The images that a name stands for, each with the tag to save it under ("" for none)."""
        if not is_id(name) and ":" not in name.rpartition("/")[2] and "@" not in name:
            found = self._images.records.of_repository(name)
            if found:
                return found
        image = self._images.get(name)
        tag = self._images.records.reference_of(image, name)
        return [(image, tag if tag in image.tags else "")]
