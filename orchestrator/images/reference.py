"""Image references: what a person types, and what it means in full.

Pure. Knows the grammar and Docker's short forms; knows nothing of where an image is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator.errors import InvalidInput

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"
_NAME_MAX = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's full name, with a tag, a digest, or both; with both, the digest decides."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository: `docker.io/library/redis`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """The shortest form that means the same: `redis:7`."""
        return self._suffixed(self._familiar_name())

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest where there is one, else the tag."""
        return self.digest or self.tag

    def with_tag(self, tag: str) -> Reference:
        """The same repository at a tag, without a digest."""
        return replace(self, tag=tag, digest="")

    def with_digest(self, digest: str) -> Reference:
        """The same repository at a digest, without a tag."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        return self._suffixed(self.name)

    def _familiar_name(self) -> str:
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in short else short

    def _suffixed(self, name: str) -> str:
        tagged = f"{name}:{self.tag}" if self.tag else name
        return f"{tagged}@{self.digest}" if self.digest else tagged


def parse_reference(text: str) -> Reference:
    """The reference that text means: `redis` is `docker.io/library/redis:latest`.

    Raises: InvalidInput: text is no reference.
    Source: the grammar of the "distribution" project's reference package.
    """
    rest, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise _invalid(
            text,
            "the digest is not sha256: and 64 (or sha512: and 128) lower-case hexadecimal digits",
        )
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(text, f'"{tag}" is not a tag')
    if _IDENTIFIER.fullmatch(name):
        raise _invalid(text, "64 hexadecimal digits are an image's id, never a name")
    domain, path = _split_domain(name)
    if not _DOMAIN.fullmatch(domain):
        raise _invalid(text, f'"{domain}" is not a registry host')
    if not _PATH.fullmatch(path):
        if _PATH.fullmatch(path.lower()):
            raise _invalid(text, "a repository name must be lower case")
        raise _invalid(text, f'"{path}" is not a repository name')
    if len(domain) + 1 + len(path) > _NAME_MAX:
        raise _invalid(text, f"the name is longer than {_NAME_MAX} characters")
    return Reference(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def _split_tag(text: str) -> tuple[str, str | None]:
    """The name and the tag; a colon before the last slash is a port's."""
    head, colon, tail = text.rpartition(":")
    if not colon or "/" in tail:
        return text, None
    return head, tail


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_host:
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def _invalid(text: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f'"{text}" is not an image reference: {problem}',
        code="image-reference-invalid",
        about=text,
        hint="write it as [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]",
    )
