"""Images made in a content store, and settings for a client of registries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from orchestrator.images.built import adopt_layer, write_image
from orchestrator.images.content import ContentStore
from orchestrator.model.image import Image, ImageConfig, Layer
from orchestrator.settings import Settings


async def made(store: ContentStore, *sizes: int) -> Image:
    """An image of layers made here, each with one file of so many random bytes and a link."""
    layers: list[Layer] = []
    for number, size in enumerate(sizes):
        upper = store.begin_layer()
        (upper / f"file{number}").write_bytes(os.urandom(size))
        (upper / f"link{number}").symlink_to(f"file{number}")
        layers.append(await adopt_layer(store, upper, layers[-1].chain_id if layers else ""))
    return await write_image(store, ImageConfig(architecture="amd64", command=("sh",)), layers)


def settings_at(directory: Path, **changes: Any) -> Settings:
    """Settings whose every path is in the directory, where nothing need be."""
    return Settings(
        data_dir=directory,
        run_dir=directory,
        socket=directory / "socket",
        log_file=directory / "log",
        docker_config=directory / "docker.json",
        certs_dir=directory / "certs.d",
        **changes,
    )
