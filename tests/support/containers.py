"""Containers of the runtime alone: no images, no networks, no engine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.aio.libc import MNT_DETACH, mount, umount
from orchestrator.model.container import ContainerSpec, Mount
from orchestrator.model.ids import new_id
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.runtime.bundle import Bundle, oci_config, write_bundle
from orchestrator.runtime.cgroups import layout, remove_cgroup
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.namespaces import hide_unified_hierarchy
from orchestrator.runtime.process import pid_start_time, read_exit_code, wait_exit
from orchestrator.runtime.user import resolve_user
from orchestrator.supervisor.logs import read_tail

_BUSYBOX = Path("/bin/busybox")
_UNIFIED = "/sys/fs/cgroup/unified"


def make_root(root: Path) -> Path:
    """A directory tree that a container can run in: busybox, its applets, two users."""
    for directory in ("bin", "etc", "tmp", "root"):
        (root / directory).mkdir(parents=True)
    shutil.copy(_BUSYBOX, root / "bin/busybox")
    listed = subprocess.run([_BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in set(listed.stdout.split()) - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n"
    )
    (root / "etc/group").write_text("root:x:0:\nbob:x:1000:\nwheel:x:10:root,bob\n")
    return root


@contextmanager
def without_unified_hierarchy() -> Iterator[None]:
    """Hides the v2 tree of a hybrid layout, as the engine does, or crun would refuse."""
    if layout() != "hybrid":
        yield
        return
    hide_unified_hierarchy()
    try:
        yield
    finally:
        umount(_UNIFIED, MNT_DETACH)
        mount("cgroup2", _UNIFIED, "cgroup2")


@dataclass(frozen=True, slots=True)
class Running:
    """A created container: its bundle, its first process."""

    runtime: Runtime
    bundle: Bundle
    pid: int
    started: int

    @property
    def id(self) -> str:
        return self.bundle.id

    async def ended(self) -> int | None:
        """The exit code, when it has ended."""
        await wait_exit(self.pid, self.started)
        return await read_exit_code(self.bundle.exit_dir, self.id, 5.0)

    def output(self, stream: str = "stdout") -> list[str]:
        """Its log's lines of that stream."""
        lines = read_tail(self.bundle.log_path)
        return [line.text.decode() for line in lines if line.stream == stream]


@dataclass(slots=True)
class Place:
    """Where a test's containers live. They share one root, as the tests hardly write to it."""

    runtime: Runtime
    path: Path
    root: Path
    cgroup_parent: str
    files: Path = field(init=False)

    def __post_init__(self) -> None:
        self.files = self.path / "files"
        self.files.mkdir()

    def bundle(self, spec: ContainerSpec, **more: Any) -> Bundle:
        """A written bundle, of a container that does not exist yet."""
        container = Container(id=new_id(), name="n", spec=spec, image_id="i", created_at=0.0)
        place = self.runtime.root.parent / "containers" / container.id
        bundle = Bundle(
            id=container.id,
            path=place,
            rootfs=self.root,
            log_path=self.files / f"{container.id[:8]}" / "container.log",
            exit_dir=place / "exit",
            terminal=spec.tty,
            stdin=spec.stdin_open,
            stdin_once=more.pop("stdin_once", False),
        )
        mounts: Sequence[tuple[Mount, str]] = [(m, m.source) for m in spec.mounts]
        namespaces: Mapping[str, str] = more.pop("namespaces", {})
        config = oci_config(
            container,
            ImageConfig(),
            user=resolve_user(self.root, spec.user or "", spec.group_add),
            mounts=mounts,
            files=self.files,
            rootfs=self.root,
            cgroups_path=f"/{self.cgroup_parent}/{container.id}",
            namespaces=namespaces,
        )
        write_bundle(bundle, config)
        return bundle

    @asynccontextmanager
    async def created(self, *command: str, **spec: Any) -> AsyncIterator[Running]:
        """A container that waits for its start; deleted after the block."""
        more = {key: spec.pop(key) for key in ("namespaces", "stdin_once") if key in spec}
        bundle = self.bundle(ContainerSpec(image="test", command=command, **spec), **more)
        try:
            pid = await self.runtime.create(bundle)
            yield Running(self.runtime, bundle, pid, pid_start_time(pid))
        finally:
            await self.runtime.delete(bundle.id, force=True)
            remove_cgroup(f"{self.cgroup_parent}/{bundle.id}")

    @asynccontextmanager
    async def running(self, *command: str, **spec: Any) -> AsyncIterator[Running]:
        """The same, started."""
        async with self.created(*command, **spec) as container:
            await self.runtime.start(container.id)
            yield container

    async def output_of(self, script: str, **spec: Any) -> list[str]:
        """What a shell script in a container writes to stdout, line by line; it must succeed."""
        async with self.running("sh", "-c", script, **spec) as container:
            code = await container.ended()
            assert code == 0, container.output("stderr")
            return container.output()
