"""What a service mounts, as the model has it: volumes, paths, tmpfs, images, and the files that
its configs and secrets become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings
from orchestrator.errors import InvalidInput
from orchestrator.model.container import GrantedFile, Mount, Recursion
from orchestrator.model.quantities import parse_bytes
from orchestrator.model.value import dataclass

_DIRECTORIES = {"configs": "", "secrets": "/run/secrets"}
_RECURSION: Mapping[str, Recursion] = {
    "enabled": "",
    "disabled": "disabled",
    "writable": "writable",
    "readonly": "readonly",
}


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
        return tuple(found)

    def files(self, service: Node) -> tuple[GrantedFile, ...]:
        """The configs and secrets of a service, as files in its containers."""
        found: list[GrantedFile] = []
        for section, directory in _DIRECTORIES.items():
            granted = service.get(section)
            found += [
                self._granted(node.plain(), section, directory)
                for node in (granted.items if granted else ())
            ]
        return tuple(found)

    def _granted(self, said: Mapping[str, Any], section: str, directory: str) -> GrantedFile:
        source = said["source"]
        target = said.get("target", source)
        extension = self.tree.get(section, source, "x-pystack")
        own = extension.plain() if extension else {}
        return GrantedFile(
            source=f"{section}/{source}",
            target=target if target.startswith("/") else f"{directory}/{target}",
            uid=str(said.get("uid", "0")),
            gid=str(said.get("gid", "0")),
            mode=said.get("mode", 0o444),
            on_change=own.get("on_change", "roll"),
        )

    def _mount(self, node: Node, at: str) -> Mount | None:
        said = node.plain()
        kind = said["type"]
        if kind not in ("bind", "volume", "tmpfs", "image"):
            self.findings.warn(
                node.mark, at, f"type {kind} is none of Linux's on one machine: left out"
            )
            return None
        bind, volume, tmpfs, image = (
            said.get(key, {}) for key in ("bind", "volume", "tmpfs", "image")
        )
        source = said.get("source", "")
        return Mount(
            kind=kind,
            target=said["target"],
            source=self.volumes[source] if kind == "volume" and source else source,
            read_only=said.get("read_only", kind == "image"),
            nocopy=volume.get("nocopy", False),
            subpath=volume.get("subpath", image.get("subpath", "")),
            volume_labels={k: v or "" for k, v in volume.get("labels", {}).items()},
            recursive=_RECURSION[bind.get("recursive", "enabled")],
            create_host_path=kind == "bind" and bind.get("create_host_path", True),
            propagation=bind.get("propagation", ""),
            relabel=bind.get("selinux", ""),
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
                elif option != "rw":
                    said.setdefault("tmpfs_options", []).append(option)
            except (InvalidInput, ValueError):
                self.findings.add(node.mark, at, f'"{value}" is not a {key}')
        others = tuple(said.pop("tmpfs_options", ()))
        return Mount(kind="tmpfs", target=target, tmpfs_options=others, **said)
