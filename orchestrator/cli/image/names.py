"""Image names as a person types them, taken apart without judging them: that is the engine's."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.wire.credentials import HUB, domain_of

DEFAULT_TAG = "latest"


class Name(NamedTuple):
    """A repository and what of it: `wanted` is a tag or a digest, "" where neither was given."""

    repository: str
    wanted: str

    @property
    def canonical(self) -> str:
        """The repository in full: `docker.io/library/redis`."""
        domain = domain_of(self.repository)
        first, _, rest = self.repository.partition("/")
        hosted = bool(rest) and (domain != HUB or first.endswith("docker.io"))
        path = rest if hosted else self.repository
        if domain == HUB and "/" not in path:
            path = f"library/{path}"
        return f"{domain}/{path}"

    def written(self, wanted: str) -> str:
        """The repository in full, at a tag or a digest."""
        return f"{self.canonical}{'@' if ':' in wanted else ':'}{wanted}"


def split(text: str) -> Name:
    """The parts of a name; with a tag and a digest the digest counts."""
    name, found, digest = text.partition("@")
    head, colon, tail = name.rpartition(":")
    # A colon before the last slash is a port's.
    tagged = bool(colon) and "/" not in tail
    repository = head if tagged else name
    return Name(repository, digest if found else tail if tagged else "")
