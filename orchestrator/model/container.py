"""What a container is asked to be: its specification.

Every field is canonical: durations in seconds, sizes in bytes, short forms resolved. `None` means
"as the image has it" where the image can say something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from orchestrator.model.value import dataclass

RestartName = Literal["no", "always", "on-failure", "unless-stopped"]
MountKind = Literal["volume", "bind", "tmpfs", "image"]
Recursion = Literal["", "disabled", "writable", "readonly"]
Protocol = Literal["tcp", "udp", "sctp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """How health is probed; `test` starts with CMD, CMD-SHELL or NONE.

    In a container's specification an empty `test` and a 0 mean "as the image has it".
    """

    test: tuple[str, ...] = ()
    interval_s: float = 30.0
    timeout_s: float = 30.0
    start_period_s: float = 0.0
    start_interval_s: float = 5.0
    retries: int = 3

    @property
    def enabled(self) -> bool:
        return bool(self.test) and self.test[0] != "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When an ended container is started again; `max_retries` 0 means without limit.

    With `delay_s` every restart waits that long, instead of ever longer. A container that ran for
    `window_s` begins its count anew; 0 is as by default. `unhealthy`: one that is unhealthy counts
    as failed, and is ended.
    """

    name: RestartName = "no"
    max_retries: int = 0
    delay_s: float = 0.0
    window_s: float = 0.0
    unhealthy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """One published port; `host_ip` "" means every address, `host_port` 0 a free one.

    With `host_port_last`, a free one from `host_port` up to and including that is chosen.
    """

    container_port: int
    protocol: Protocol = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount: a volume's name (or "" for an anonymous one), a host path, an image's reference,
    or nothing (tmpfs).

    `tmpfs_options` are mount(8)'s, for a tmpfs only. `recursive` says what becomes of the mounts
    below a bind's source: left out, kept writable, or made read-only by force; "" makes them
    read-only where the kernel can. `relabel` gives a bind's source an SELinux label: `z` that of
    all containers, `Z` this one's. `image_id` is what an image's reference meant at creation.
    """

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    nocopy: bool = False
    subpath: str = ""
    create_host_path: bool = False
    propagation: str = ""
    recursive: Recursion = ""
    relabel: str = ""
    tmpfs_size_bytes: int = 0
    tmpfs_mode: int = 0
    tmpfs_options: tuple[str, ...] = ()
    volume_driver: str = ""
    volume_options: Mapping[str, str] = field(default_factory=dict)
    volume_labels: Mapping[str, str] = field(default_factory=dict)
    image_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A wish to be on a network: its name or id, the extra names, and fixed addresses.

    `links` are NAME:ALIAS, names of other containers for this one alone. `priority` orders the
    interfaces; the way out leads through the network of the highest `gw_priority`, the first one
    among equals. `driver_opts` are Docker's: `com.docker.network.endpoint.ifname` and `.sysctls`.
    """

    network: str
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    mac_address: str = ""
    interface_name: str = ""
    priority: int = 0
    gw_priority: int = 0
    driver_opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """One rlimit by its lower-case name (`nofile`); -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimit:
    """A number for one block device: a weight, or bytes or operations a second."""

    path: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits; 0 means none, as does -1 for `memory_swappiness`.

    `memory_swap_bytes` is memory and swap together, -1 for any amount. `nano_cpus` and
    `cpu_quota_us` in `cpu_period_us` exclude each other. `blkio_weight` is 10 to 1000.
    """

    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    memory_swap_bytes: int = 0
    memory_swappiness: int = -1
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_rt_period_us: int = 0
    cpu_rt_runtime_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = 0
    blkio_weight: int = 0
    blkio_weight_device: tuple[DeviceLimit, ...] = ()
    device_read_bps: tuple[DeviceLimit, ...] = ()
    device_write_bps: tuple[DeviceLimit, ...] = ()
    device_read_iops: tuple[DeviceLimit, ...] = ()
    device_write_iops: tuple[DeviceLimit, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedFile:
    """A config or secret as a file in the container.

    `source` names it among those of its stack (`secrets/password`) or of the engine; `version`
    stands for its content, and says nothing about it. `mode` is its permissions. `on_change` says
    what new content does to a running container: roll (a new container), restart, none,
    `signal:NAME`, or `exec:` and a shell command.
    """

    source: str
    target: str
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444
    version: str = ""
    on_change: str = "roll"

    @property
    def secret(self) -> bool:
        return self.source.startswith("secrets/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A command that is run in the container at a turn of its life."""

    command: tuple[str, ...]
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything the engine needs to make one container from an image.

    `unset_environment` are variables of the image that the container is not to have. The modes
    (`pid_mode` and its like) are Docker's words: "", host, private, container:NAME, …; the paths
    are Docker's own where None. `volumes_from` are NAME[:ro], containers whose mounts are taken.
    `console_size` is a terminal's first size in rows and columns, 0 for one that nobody has said.
    """

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    unset_environment: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    user: str | None = None
    working_dir: str | None = None
    hostname: str = ""
    domainname: str = ""
    tty: bool = False
    console_size: tuple[int, int] = (0, 0)
    stdin_open: bool = False
    stdin_once: bool = False
    attached: tuple[str, ...] = ()
    init: bool = False
    read_only: bool = False
    privileged: bool = False
    network_mode: str = ""
    attachments: tuple[Attachment, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    volume_driver: str = ""
    healthcheck: Healthcheck | None = None
    restart: RestartPolicy = RestartPolicy()
    stop_signal: str | None = None
    stop_grace_s: float = 10.0
    resources: Resources = Resources()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    oom_score_adj: int = 0
    sysctls: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    shm_size_bytes: int = 64 << 20
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    userns_mode: str = ""
    cgroupns_mode: str = ""
    cgroup_parent: str = ""
    runtime: str = ""
    storage_options: Mapping[str, str] = field(default_factory=dict)
    log_driver: str = ""
    log_options: Mapping[str, str] = field(default_factory=dict)
    files: tuple[GrantedFile, ...] = ()
    post_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    use_api_socket: bool = False
