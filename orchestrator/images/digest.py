"""Digests: which forms there are, and what data's is. Pure.

Source: OCI image specification, "Digests": sha256 and sha512 are the registered algorithms.
"""

from __future__ import annotations

import hashlib
import re

from orchestrator.errors import Failed

ALGORITHMS = ("sha256", "sha512")
_FORM = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


def split_digest(digest: str) -> tuple[str, str]:
    """A digest's algorithm and its hexadecimal digits, both safe as file names.

    Raises: Failed: it is no digest.
    """
    match = _FORM.fullmatch(digest)
    if match is None:
        raise Failed(
            f'"{digest[:150]}" is neither a sha256 nor a sha512 digest',
            code="digest-invalid",
            about=digest[:150],
            hint="the image is damaged, or uses another digest algorithm",
        )
    return match[1] or match[3], match[2] or match[4]


def algorithm_of(digest: str) -> str:
    """The name of a digest's algorithm, as hashlib has it.

    Raises: Failed: it is no digest.
    """
    return split_digest(digest)[0]


def digest_with(algorithm: str, data: bytes) -> str:
    """The digest of data in this algorithm."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def has_digest(data: bytes, digest: str) -> bool:
    """Whether data is what the digest names.

    Raises: Failed: it is no digest.
    """
    return digest_with(algorithm_of(digest), data) == digest
