"""What the handlers work with, handed in by the daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.aio.clock import Clock
from orchestrator.controller.controller import Controller
from orchestrator.controller.execute import Nouns
from orchestrator.engine.commit import Commits
from orchestrator.engine.container_files import ContainerFiles
from orchestrator.engine.disk_usage import DiskUsage
from orchestrator.engine.events import Events
from orchestrator.engine.execs import Execs
from orchestrator.engine.grants import Grants
from orchestrator.engine.image_archives import ImageArchives
from orchestrator.engine.image_verify import ImageVerifier
from orchestrator.engine.launch import Launcher
from orchestrator.engine.transfers import Transfers
from orchestrator.runtime.cgroups import Layout
from orchestrator.runtime.driver import Runtime
from orchestrator.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The engine as the API sees it; `shutdown` asks the process to end, `clock` is what the times
    of containers and wishes are of."""

    settings: Settings
    clock: Clock
    nouns: Nouns
    controller: Controller
    events: Events
    launcher: Launcher
    archives: ImageArchives
    disk: DiskUsage
    verifier: ImageVerifier
    execs: Execs
    files: ContainerFiles
    commits: Commits
    grants: Grants
    transfers: Transfers
    runtime: Runtime
    cgroup_layout: Layout
    shutdown: Callable[[], None]
