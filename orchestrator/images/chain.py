"""Chain ids: the name of a stack of layers, from the bottom up to one of them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def chain_id(parent: str, diff_id: str) -> str:
    """The chain id of the layer diff_id on top of parent ("" for the lowest layer).

    Source: OCI image specification, "Layer ChainID".
    """
    if not parent:
        return diff_id
    return "sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest()


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The chain id of every layer, lowest first."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(chain_id(chain[-1] if chain else "", diff_id))
    return chain
