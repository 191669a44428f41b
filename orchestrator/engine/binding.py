"""What a container's mounts show: for each a path of this machine, made ready in the engine's own
mount namespace."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from orchestrator.engine.images import Images
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import Failed, InvalidInput
from orchestrator.model.container import Mount
from orchestrator.runtime.paths import Bundle
from orchestrator.volumes import mounts

_SHARED = ("shared", "rshared")


class Binding:
    """Makes mounts ready. `outside` is a descriptor of the mount namespace that the engine was
    started in, -1 where it has none of its own."""

    def __init__(self, images: Images, volumes: Volumes, outside: int) -> None:
        self._images = images
        self._volumes = volumes
        self._outside = outside

    async def bound(self, mount: Mount, position: int, bundle: Bundle) -> str:
        """The path of this machine that the mount shows, "" for a tmpfs.

        Raises: NotFound: there is no such path or image; Failed: it cannot be mounted;
        InvalidInput: it is to be shared, and the mount that it is on is not.
        """
        place = bundle.path / "mounts" / str(position)
        match mount.kind:
            case "tmpfs":
                return ""
            case "volume":
                source = await self._volumes.use(mount)
                await self._volumes.fill(mount, bundle.rootfs)
            case "image":
                image = self._images.get(mount.image_id or mount.source)
                source = place.with_name(f"{position}-image")
                await to_thread.run_sync(_mount_image, self._images.lowers(image), source)
            case _:
                source = Path(mount.source)
        bound = await to_thread.run_sync(mounts.bind_source, mount, source, place)
        if mount.propagation in _SHARED and self._outside >= 0:
            await to_thread.run_sync(self._share, bound, place)
            return str(place)
        return str(bound)

    def _share(self, source: Path, place: Path) -> None:
        """Show at `place` the machine's own mount of `source`: ours only receives."""
        try:
            mounts.mount_of(self._outside, str(source), place)
        except OSError as error:
            raise Failed(
                f"{source} cannot be shared: {error.strerror}",
                code="mount-failed",
                about=str(source),
                hint="leave bind-propagation out, or name a directory of the machine",
            ) from error
        if not mounts.is_shared(place):
            mounts.unmount(place)
            raise InvalidInput(
                f"{source} is not on a shared mount, so nothing mounted in it can be shared",
                code="mount-not-shared",
                about=str(source),
                hint=f"make it one: `mount --bind {source} {source}`, and the same with"
                " --make-shared",
            )


def clear(bundle_path: Path) -> None:
    """Nothing, once nothing of what `bound` mounted for the bundle is left (blocking)."""
    held = bundle_path / "mounts"
    for place in sorted(held.iterdir()) if held.exists() else ():
        mounts.unmount(place)


def _mount_image(lowers: list[Path], place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    mounts.mount_overlay(lowers, None, None, place)
