"""The cache key of a build step: equal keys mean equal layers. Pure.

A key is made of the chain id of the layers below (content, not the history that led there), of
everything the step sees, and of the content it is given. Times and places never count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from orchestrator.build.operations import (
    CopyOperation,
    DirectoryOperation,
    Operation,
    RunOperation,
)

_VERSION = 2


def step_key(
    parent: str, operation: Operation, content: Sequence[str] = (), epoch: int | None = None
) -> str:
    """The key of an operation on top of the chain id parent ("" for nothing).

    `content` are the digests of what it reads besides: copied files, bind mounts. `epoch` is the
    newest time that files may have, where there is one: it shows in the layer.
    """
    fields: dict[str, object] = {
        "version": _VERSION,
        "parent": parent,
        "kind": type(operation).__name__,
        "content": list(content),
        **_fields(operation),
    }
    if epoch is not None:
        fields["epoch"] = epoch
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _fields(operation: Operation) -> dict[str, object]:
    if isinstance(operation, RunOperation):
        return {
            "arguments": operation.arguments,
            "environment": sorted(operation.environment),
            "user": operation.user,
            "working_dir": operation.working_dir,
            "network": operation.network,
            "script": None if operation.script is None else operation.script.content,
            "mounts": [_mount_fields(operation, index) for index in range(len(operation.mounts))],
        }
    if isinstance(operation, CopyOperation):
        return {
            "destination": operation.destination,
            "owner": operation.owner,
            "mode": operation.mode,
            "unpack": operation.unpack,
            "link": operation.link,
            "keep_git_dir": operation.keep_git_dir,
        }
    if isinstance(operation, DirectoryOperation):
        return {"path": operation.path, "owner": operation.owner}
    raise AssertionError(operation)


def _mount_fields(operation: RunOperation, index: int) -> list[object]:
    # What a cache mount, a secret or an agent holds is by definition no part of the result.
    mount = operation.mounts[index]
    return [
        mount.kind,
        mount.target,
        mount.source,
        mount.origin,
        mount.id,
        mount.read_only,
        mount.variable,
    ]
