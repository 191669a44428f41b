"""Flags about what the container mounts.

Source: Docker's reference, "docker container run", --volume, --mount and --tmpfs.
"""

from __future__ import annotations

import argparse
import os

from orchestrator.cli.container.options.mount import mount
from orchestrator.cli.container.options.table import Body, Flag, fill, invalid

FLAGS = (
    Flag("--volume -v", "list", "", "a volume or path", "[SOURCE:]TARGET[:ro]"),
    Flag("--mount", "list", "", "the same in words: type=bind,source=…,target=…", "FIELDS"),
    Flag("--tmpfs", "list", "", "a file system in memory", "TARGET[:OPTIONS]"),
    Flag("--volumes-from", "list", "HostConfig.VolumesFrom", "another's mounts", "NAME[:ro]"),
    Flag("--volume-driver", "text", "HostConfig.VolumeDriver", "local", "DRIVER"),
)


def storage(body: Body, args: argparse.Namespace) -> None:
    """Put the mounts into the body.  Raises: InvalidInput: a flag is malformed."""
    fill(body, args, FLAGS)
    host = body["HostConfig"]
    binds, anonymous = _volumes(args.volume)
    if binds:
        host["Binds"] = binds
    if anonymous:
        body["Volumes"] = {target: {} for target in anonymous}
    if args.mount:
        host["Mounts"] = [mount(text) for text in args.mount]
    if args.tmpfs:
        host["Tmpfs"] = dict(text.partition(":")[::2] for text in args.tmpfs)


def _volumes(texts: list[str]) -> tuple[list[str], list[str]]:
    """Docker's Binds, host paths made absolute, and the targets of anonymous volumes."""
    binds, anonymous = [], []
    for text in texts:
        source, found, rest = text.partition(":")
        if not found:
            if not text.startswith("/"):
                raise _invalid(text)
            anonymous.append(text)
            continue
        if not source or not rest.startswith("/"):
            raise _invalid(text)
        if source.startswith((".", "~", "/")):
            source = os.path.abspath(os.path.expanduser(source))
        binds.append(f"{source}:{rest}")
    return binds, anonymous


def _invalid(text: str) -> Exception:
    return invalid(
        "-v",
        text,
        "the target is not an absolute path",
        "write it as NAME:/path, ./directory:/path or /path",
        "volume-invalid",
    )
