"""The corpus that pystack is compared with Compose over leaves no attribute out."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.schema.kinds import Kind
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct
from orchestrator.compose.schema.stack import STACK
from orchestrator.compose.source import read_file
from tests.support.corpus import CORPUS

# What Compose 2.26 refuses, and our own extension.
NEWER = {
    "attachment.interface_name",
    "build.provenance",
    "build.sbom",
    "config.x-pystack",
    "env_file.format",
    "granted_extension.on_change",
    "model.context_size",
    "model.model",
    "model.name",
    "model.runtime_flags",
    "model_grant.endpoint_var",
    "model_grant.model_var",
    "mount.image",
    "mount_image.subpath",
    "mount_volume.labels",
    "provider.options",
    "provider.type",
    "secret.x-pystack",
    "service.models",
    "service.provider",
    "service.pull_refresh_after",
    "service.use_api_socket",
    "stack.models",
    "watch.exec",
    "watch.include",
    "watch.initial_sync",
}
# What Compose takes and pystack refuses: see the broken files.
REFUSED = {"service.credential_spec"} | {
    f"credential_spec.{key}" for key in ("config", "file", "registry")
}


def known(kind: Kind, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The attributes of a kind and of those below it."""
    if isinstance(kind, Struct) and kind.name not in seen:
        for key, attribute in kind.attributes.items():
            yield f"{kind.name}.{key}"
            yield from known(attribute.kind, seen | {kind.name})
    elif isinstance(kind, ListOf):
        yield from known(kind.item, seen)
    elif isinstance(kind, MapOf):
        yield from known(kind.value, seen)


def used(kind: Kind, node: Node) -> Iterator[str]:
    """The attributes that a tree uses."""
    if isinstance(kind, Struct):
        for key, child in node.entries.items():
            if key in kind.attributes:
                yield f"{kind.name}.{key}"
                yield from used(kind.attributes[key].kind, child)
    elif isinstance(kind, ListOf):
        for child in node.items or [node]:
            yield from used(kind.item, child)
    elif isinstance(kind, MapOf):
        for child in node.entries.values():
            yield from used(kind.value, child)


def test_every_attribute_that_compose_knows_is_in_the_corpus() -> None:
    found: set[str] = set()
    for file in CORPUS.rglob("*.yaml"):
        for document in read_file(file, file.name, Findings()):
            found.update(used(STACK, document))
    missing = set(known(STACK)) - found
    assert missing == NEWER | REFUSED
