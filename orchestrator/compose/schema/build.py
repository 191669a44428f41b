"""The attributes of a service's `build`."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.schema.grants import BUILD_SECRETS
from orchestrator.compose.schema.hosts import Hosts
from orchestrator.compose.schema.kinds import FLAG, SIZE, TEXT, FilePath, Kind, Reading, Scalar
from orchestrator.compose.schema.limits import ULIMITS
from orchestrator.compose.schema.pending import ATTESTATIONS, CONFINED, WINDOWS
from orchestrator.compose.schema.shapes import DISTINCT, PAIRS, TEXTS, Attribute, MapOf, Struct
from orchestrator.model.value import dataclass

_REMOTE = re.compile(r"[a-z0-9+.-]+://.*|git@.*|github\.com/.*|service:.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Context(Kind):
    """A directory on this machine, made absolute, the URL of a repository, or a service's image."""

    def read(self, node: Node, at: str, reading: Reading) -> Node:
        if isinstance(node.value, str) and is_remote(node.value):
            return node
        return FilePath().read(node, at, reading)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


def is_remote(context: str) -> bool:
    """Whether a build context lies in a repository, not on this machine."""
    return _REMOTE.fullmatch(context) is not None


def _short(node: Node, at: str, reading: Reading) -> list[Node]:
    if not isinstance(node.value, str):
        return [reading.expected(node, at, BUILD.form)]
    return [node.holding({"context": node.value})]


BUILD = Struct(
    "build",
    {
        "context": Attribute(Context(), "The directory that COPY takes files from."),
        "dockerfile": Attribute(TEXT, "The Dockerfile, by its path in the context."),
        "dockerfile_inline": Attribute(TEXT, "The Dockerfile's own text."),
        "target": Attribute(TEXT, "The stage to build."),
        "args": Attribute(PAIRS, "Values for ARG."),
        "labels": Attribute(PAIRS, "Labels of the image."),
        "tags": Attribute(DISTINCT, "More names for the image."),
        "no_cache": Attribute(FLAG, "Build every step anew."),
        "pull": Attribute(FLAG, "Ask the registry for newer base images."),
        "network": Attribute(TEXT, "The network of RUN steps: default, none, host or a name."),
        "extra_hosts": Attribute(Hosts(), "Host names for RUN steps."),
        "shm_size": Attribute(SIZE, "The size of /dev/shm in RUN steps."),
        "additional_contexts": Attribute(MapOf(Context(), pairs=True), "More contexts, by name."),
        "cache_from": Attribute(TEXTS, "Images to take cached steps from."),
        "cache_to": Attribute(TEXTS, "Where to keep cached steps."),
        "entitlements": Attribute(TEXTS, "Privileges of the build."),
        "isolation": Attribute(TEXT, "The isolation technology.", WINDOWS),
        "platforms": Attribute(DISTINCT, "Platforms to build for."),
        "privileged": Attribute(FLAG, "Run steps with every privilege.", CONFINED),
        "provenance": Attribute(Scalar(), "Attest how the image was built.", ATTESTATIONS),
        "sbom": Attribute(Scalar(), "List what is in the image.", ATTESTATIONS),
        "secrets": Attribute(BUILD_SECRETS, "Secrets for RUN --mount=type=secret."),
        "ssh": Attribute(PAIRS, "SSH agents and keys for RUN --mount=type=ssh."),
        "ulimits": Attribute(ULIMITS, "Limits in RUN steps."),
    },
    short=_short,
    short_schema={"type": "string"},
    form="a directory or a mapping",
)
