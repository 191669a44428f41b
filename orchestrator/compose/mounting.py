"""What a service mounts, as the model has it: volumes, paths, tmpfs, configs and secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.errors import InvalidInput
from orchestrator.model.container import Mount
from orchestrator.model.quantities import parse_bytes

_DIRECTORIES = {"configs": "", "secrets": "/run/secrets"}


@dataclass(frozen=True, slots=True)
class Mounting:
    """Makes the mounts of services; `volumes` maps keys to real names."""

    tree: Node
    volumes: Mapping[str, str]
    findings: Findings

    def mounts(self, service: Node, at: str) -> tuple[Mount, ...]:
        """Every mount of a service; one on a target given twice is told apart by the schema."""
        listed, temporary = service.get("volumes"), service.get("tmpfs")
        found: list[Mount] = []
        for number, node in enumerate(listed.items if listed else ()):
            if mount := self._mount(node, f"{at}.volumes[{number}]"):
                found.append(mount)
        for number, node in enumerate(temporary.items if temporary else ()):
            found.append(self._tmpfs(node, f"{at}.tmpfs[{number}]"))
        for section in _DIRECTORIES:
            found.extend(self._granted(service, section, at))
        return tuple(found)

    def _mount(self, node: Node, at: str) -> Mount | None:
        said = node.plain()
        kind = said["type"]
        if kind not in ("bind", "volume", "tmpfs"):
            self.findings.warn(node.mark, at, f"pystack does not mount type {kind} yet: left out")
            return None
        bind, volume, tmpfs = (said.get(key, {}) for key in ("bind", "volume", "tmpfs"))
        source = said.get("source", "")
        return Mount(
            kind=kind,
            target=said["target"],
            source=self.volumes[source] if kind == "volume" and source else source,
            read_only=said.get("read_only", False),
            nocopy=volume.get("nocopy", False),
            subpath=volume.get("subpath", ""),
            create_host_path=kind == "bind" and bind.get("create_host_path", True),
            propagation=bind.get("propagation", ""),
            tmpfs_size_bytes=tmpfs.get("size", 0),
            tmpfs_mode=tmpfs.get("mode", 0),
        )

    def _tmpfs(self, node: Node, at: str) -> Mount:
        target, _, options = node.string.partition(":")
        said: dict[str, Any] = {}
        for option in filter(None, options.split(",")):
            key, _, value = option.partition("=")
            try:
                if key == "size":
                    said["tmpfs_size_bytes"] = parse_bytes(value)
                elif key == "mode":
                    said["tmpfs_mode"] = int(value, 8)
                elif option == "ro":
                    said["read_only"] = True
                elif option not in ("rw", "nosuid", "nodev", "noexec"):
                    self.findings.warn(node.mark, at, f'pystack does not carry "{option}" yet')
            except (InvalidInput, ValueError):
                self.findings.add(node.mark, at, f'"{value}" is not a {key}')
        return Mount(kind="tmpfs", target=target, **said)

    def _granted(self, service: Node, section: str, at: str) -> Iterator[Mount]:
        granted = service.get(section)
        for number, node in enumerate(granted.items if granted else ()):
            said = node.plain()
            here = f"{at}.{section}[{number}]"
            source = said["source"]
            file = self.tree.get(section, source, "file")
            if file is None:
                self.findings.warn(node.mark, here, "only those from a file are mounted yet")
                continue
            if {"uid", "gid", "mode"} & said.keys():
                self.findings.warn(
                    node.mark, here, "owner and permissions are those of the file on the host"
                )
            target = said.get("target", source)
            if not target.startswith("/"):
                target = f"{_DIRECTORIES[section]}/{target}"
            yield Mount(kind="bind", target=target, source=file.string, read_only=True)
