"""What is wanted: a stack, the canonical meaning of a stack file.

Nothing here is YAML: `compose` makes it, the API carries it as JSON, the controller makes it true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from orchestrator.model.container import ContainerSpec, Hook, Ulimit
from orchestrator.model.subnet import Subnet
from orchestrator.model.value import dataclass

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
PullPolicy = Literal["missing", "always", "never", "build"]
FailureAction = Literal["pause", "continue", "rollback"]
WatchAction = Literal["sync", "rebuild", "restart", "sync+restart", "sync+exec"]
RolloutOrder = Literal["stop-first", "start-first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSecret:
    """A secret for `RUN --mount=type=secret`: the file on this machine that holds it, or, where
    `file` is "", its value. In a stack that is kept, `version` stands for the value."""

    id: str
    file: str = ""
    value: str = field(default="", repr=False)
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutput:
    """Where the result goes besides the engine's images: `kind` is local, tar, oci or docker, and
    `path` (absolute) the directory or file to write."""

    kind: str
    path: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How an image is built: a context and a Dockerfile in it.

    `context` is a directory or a tar archive (absolute), or the URL of a repository or archive;
    "" is an empty one. `contexts` are more of them by name; there `docker-image://NAME` is an
    image. `ssh` maps ids to an agent's socket, or to key files joined by commas; "" is the
    caller's agent. `cache_from` and `cache_to` are written as for `docker buildx build`.
    """

    context: str
    dockerfile: str = "Dockerfile"
    dockerfile_inline: str = ""
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    shm_size_bytes: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    platforms: tuple[str, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[BuildSecret, ...] = ()
    ssh: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    outputs: tuple[BuildOutput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Another service that must be in `condition` first."""

    service: str
    condition: Condition = "service_started"
    restart: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How the containers of a service are replaced by new ones.

    At most `parallelism` (0: all) at a time, `delay_s` seconds between groups; each new one is
    watched for `monitor_s` seconds, and is proven when it then still runs and is not unhealthy.
    `max_failure_ratio` is the share of failures that is borne before `failure_action`.
    Source: the Compose specification, `deploy.update_config`; Docker's `service update` for what
    is not said there.
    """

    parallelism: int = 1
    delay_s: float = 0.0
    failure_action: FailureAction = "pause"
    monitor_s: float = 5.0
    max_failure_ratio: float = 0.0
    order: RolloutOrder = "stop-first"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRule:
    """What a change below `path` does to the service's containers: sync copies to `target`,
    rebuild builds the image anew, the others are sync with something after it, or restart.

    `ignore` and `include` are patterns as in .dockerignore, relative to `path`.
    """

    path: str
    action: WatchAction
    target: str = ""
    ignore: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    initial_sync: bool = False
    exec: Hook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. `container` is the specification of each of its `scale` containers; its
    `image` is the reference to pull, or the tag that `build` produces. Networks and volumes in it
    are named by their real names (`project_network`).

    An image that was pulled `pull_after_s` seconds ago or more is pulled again; 0 is never.
    `attach` false leaves its output out where a stack's is followed. Without `update` all
    containers are replaced at once. Of the names in `container`, a namespace may be
    `service:NAME`, a link `service:NAME:ALIAS`, and `volumes_from` NAME is a service unless it
    begins with `container:`.
    """

    name: str
    container: ContainerSpec
    build: Build | None = None
    scale: int = 1
    container_name: str = ""
    depends_on: tuple[Dependency, ...] = ()
    pull_policy: PullPolicy = "missing"
    pull_after_s: float = 0.0
    update: Rollout | None = None
    rollback: Rollout | None = None
    attach: bool = True
    watch: tuple[WatchRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackNetwork:
    """A network of the stack: `key` in the file, `name` on the machine."""

    key: str
    name: str
    driver: str = "bridge"
    external: bool = False
    internal: bool = False
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    ipv6: bool = False
    ipv6_subnet: str = ""
    ipv6_gateway: str = ""
    ipv6_range: str = ""
    more_subnets: tuple[Subnet, ...] = ()
    aux_addresses: Mapping[str, str] = field(default_factory=dict)
    attachable: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackVolume:
    """A volume of the stack: `key` in the file, `name` on the machine."""

    key: str
    name: str
    driver: str = "local"
    external: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """A config or secret of the stack, by the `source` that services name it by.

    The engine knows an external one by its `name`. The content of the others goes beside the
    stack, never in it; `version` stands for it, and is the engine's to say. `path` is the file
    that it is read from, "" for none.
    """

    source: str
    name: str
    external: bool = False
    path: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A whole stack, services in the file's order. `inactive` are the names of those whose profile
    is not active: they are not wanted, and what runs of them is left alone."""

    name: str
    working_dir: str = ""
    files: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    networks: tuple[StackNetwork, ...] = ()
    volumes: tuple[StackVolume, ...] = ()
    granted: tuple[StackFile, ...] = ()
    inactive: tuple[str, ...] = ()

    def service(self, name: str) -> Service | None:
        return next((s for s in self.services if s.name == name), None)
