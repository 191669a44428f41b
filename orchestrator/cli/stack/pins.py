"""Images of a stack pinned to the digests that their registries have now."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.image.names import split
from orchestrator.cli.image.registry import auth_headers
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote, value_of


def pinned(session: Session, form: dict[str, Any]) -> dict[str, Any]:
    """The canonical form with a digest at the end of each image that is not only built here.

    Raises: PystackError: a registry does not know an image, or does not answer.
    """
    services = {
        name: {**said, "image": _pinned(session, said["image"])} if "image" in said else said
        for name, said in form["services"].items()
    }
    return {**form, "services": services}


def locked(session: Session, form: dict[str, Any]) -> dict[str, Any]:
    """An override file that pins the same images.  Raises: as `pinned`."""
    services = pinned(session, form)["services"]
    images = {name: {"image": s["image"]} for name, s in services.items() if "image" in s}
    return {"services": images}


def _pinned(session: Session, image: str) -> str:
    if "@" in image:
        return image
    headers = auth_headers(session, split(image).repository)
    answer = session.engine.open("GET", f"/distribution/{quote(image)}/json", headers=headers)
    return f"{image}@{value_of(answer)['Descriptor']['digest']}"
