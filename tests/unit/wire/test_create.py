"""A container's specification as Docker's JSON: read from a request, shown by inspect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.model.container import (
    Attachment,
    ContainerSpec,
    DeviceLimit,
    Healthcheck,
    Mount,
    PortBinding,
    Resources,
    RestartPolicy,
    Ulimit,
)
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.wire.create import spec_from_create, unused
from orchestrator.wire.hostconfig import config, host_config


def spec_of(host: dict[str, Any] | None = None, **body: Any) -> ContainerSpec:
    return spec_from_create({"Image": "busybox", **body, "HostConfig": host or {}})


def test_a_request_that_says_nothing_is_the_usual_container() -> None:
    assert spec_of() == ContainerSpec(image="busybox", attachments=(Attachment(network="bridge"),))
    # What clients send for "nothing" is nothing.
    said = {
        "Memory": 0, "MemorySwappiness": None, "PidsLimit": -1, "CpuQuota": 0, "Binds": None,
        "Devices": [], "NetworkMode": "default", "RestartPolicy": {"Name": ""}, "ShmSize": 0,
        "LogConfig": {"Type": "", "Config": {}}, "Isolation": "", "MaskedPaths": None,
    }  # fmt: skip
    assert spec_of(said, Env=None, Cmd=None, Healthcheck={}, Volumes={}) == spec_of()


def test_every_member_has_its_place() -> None:
    spec = spec_of(
        {
            "Annotations": {"a": "b"}, "Init": True, "OomScoreAdj": 5, "PidMode": "host",
            "IpcMode": "shareable", "UTSMode": "host", "UsernsMode": "host", "Runtime": "runc",
            "CgroupnsMode": "host", "CgroupParent": "/x", "PublishAllPorts": True,
            "VolumesFrom": ["v:ro"], "VolumeDriver": "local", "StorageOpt": {"size": "1g"},
            "Devices": [{"PathOnHost": "/dev/a", "CgroupPermissions": "r"}],
            "DeviceCgroupRules": ["c 1:3 r"], "MaskedPaths": [], "ReadonlyPaths": ["/proc/bus"],
            "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}}, "GroupAdd": ["9"],
            "Sysctls": {"net.a": "1"}, "DnsOptions": ["x"], "RestartPolicy": {"Name": "always"},
        },
        Env=["A=1", "B", "C=x=y", "A=2"], StopTimeout=0, StdinOnce=True, AttachStdout=True,
        ExposedPorts={"80": {}, "53/UDP": {}}, Entrypoint=[""], Cmd=[],
    )  # fmt: skip
    assert (dict(spec.environment), spec.unset_environment) == ({"A": "2", "C": "x=y"}, ("B",))
    assert (spec.entrypoint, spec.command) == ((), ())
    assert (spec.stop_grace_s, spec.stdin_once, spec.attached) == (0.0, True, ("stdout",))
    assert spec.expose == ("80/tcp", "53/udp")
    assert spec.devices == ("/dev/a:/dev/a:r",)
    assert (spec.masked_paths, spec.readonly_paths) == ((), ("/proc/bus",))
    assert (spec.pid_mode, spec.ipc_mode, spec.uts_mode) == ("host", "shareable", "host")
    assert (spec.cgroupns_mode, spec.cgroup_parent, spec.runtime) == ("host", "/x", "runc")
    assert (spec.volumes_from, spec.publish_all, spec.oom_score_adj) == (("v:ro",), True, 5)
    assert spec.storage_options == {"size": "1g"}


def test_networks_keep_their_order_and_settings() -> None:
    endpoints = {
        "one": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}},
        "two": {"MacAddress": "02:00:00:00:00:01", "DriverOpts": {"k": "v"}, "GwPriority": 7},
    }
    spec = spec_of(
        {"NetworkMode": "two", "Links": ["web:w", "db", "/c:/me/d"]},
        NetworkingConfig={"EndpointsConfig": endpoints},
    )
    first, second = spec.attachments
    assert first == Attachment(
        network="two", mac_address="02:00:00:00:00:01", driver_opts={"k": "v"}, gw_priority=7,
        links=("web:w", "db:db", "c:d"),
    )  # fmt: skip
    assert second == Attachment(network="one", aliases=("a",), ipv4_address="10.0.0.9")
    assert spec_of({"NetworkMode": "mine"}).attachments == (Attachment(network="mine"),)
    for mode in ("host", "none", "container:x"):
        alone = spec_of({"NetworkMode": mode}, NetworkingConfig={"EndpointsConfig": endpoints})
        assert (alone.network_mode, alone.attachments) == (mode, ())
    old = spec_of(MacAddress="02:00:00:00:00:02").attachments
    assert old == (Attachment(network="bridge", mac_address="02:00:00:00:00:02"),)


def test_mounts_in_all_their_forms() -> None:
    spec = spec_of(
        {
            "Binds": ["/h:/a:ro,rslave,Z", "data:/b:nocopy", "/only:/c"],
            "Mounts": [
                {"Type": "bind", "Source": "/m", "Target": "/d", "ReadOnly": True,
                 "BindOptions": {"Propagation": "rshared", "ReadOnlyNonRecursive": True}},
                {"Type": "volume", "Target": "/e", "Source": "vol", "VolumeOptions": {
                    "NoCopy": True, "Subpath": "x", "Labels": {"l": "1"},
                    "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs"}}}},
                {"Type": "tmpfs", "Target": "/f", "TmpfsOptions": {"SizeBytes": 9, "Mode": 448}},
                {"Type": "image", "Source": "busybox", "Target": "/g"},
            ],
            "Tmpfs": {"/t": "size=1m,mode=1770,exec,ro", "/u": ""},
        },
        Volumes={"/anon": {}, "/a/": {}},
    )  # fmt: skip
    assert spec.mounts == (
        Mount(kind="bind", source="/h", target="/a", read_only=True, propagation="rslave",
              relabel="Z", create_host_path=True),
        Mount(kind="volume", source="data", target="/b", nocopy=True),
        Mount(kind="bind", source="/only", target="/c", create_host_path=True),
        Mount(kind="bind", source="/m", target="/d", read_only=True, propagation="rshared",
              recursive="writable"),
        Mount(kind="volume", source="vol", target="/e", nocopy=True, subpath="x",
              volume_labels={"l": "1"}, volume_driver="local", volume_options={"type": "tmpfs"}),
        Mount(kind="tmpfs", target="/f", tmpfs_size_bytes=9, tmpfs_mode=0o700),
        Mount(kind="image", source="busybox", target="/g"),
        Mount(kind="tmpfs", target="/t", tmpfs_size_bytes=1 << 20, tmpfs_mode=0o1770,
              read_only=True, tmpfs_options=("exec",)),
        Mount(kind="tmpfs", target="/u"),
        Mount(kind="volume", target="/anon"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ({"Binds": ["/a"]}, "bad-request"),
        ({"Binds": ["./a:/b"]}, "mount-invalid"),
        ({"Binds": ["x:/b"]}, "mount-invalid"),
        ({"Binds": ["aa:b"]}, "mount-invalid"),
        ({"Binds": ["aa:/"]}, "mount-invalid"),
        ({"Binds": ["aa:/b:odd"]}, "mount-invalid"),
        ({"Binds": ["aa:/b:rslave"]}, "mount-invalid"),
        ({"Binds": ["aa:/b", "cc:/b/"]}, "duplicate-mount"),
        ({"Binds": ["aa:/b"], "Tmpfs": {"/b": ""}}, "duplicate-mount"),
        ({"Mounts": [{"Type": "npipe", "Target": "/a"}]}, "mount-invalid"),
        ({"Mounts": [{"Type": "bind", "Source": "a", "Target": "/a"}]}, "mount-invalid"),
        ({"Mounts": [{"Type": "tmpfs", "Source": "a", "Target": "/a"}]}, "mount-invalid"),
        ({"PortBindings": {"0/tcp": []}}, "port-invalid"),
        ({"PortBindings": {"80/quic": []}}, "port-invalid"),
        ({"PortBindings": {"80": [{"HostPort": "99999"}]}}, "port-invalid"),
        ({"RestartPolicy": {"Name": "sometimes"}}, "restart-policy-invalid"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}, "restart-policy-invalid"),
        ({"DeviceRequests": [{"Capabilities": [["gpu"]]}]}, "no-device-driver"),
        ({"Memory": "much"}, "bad-request"),
        ({"Annotations": {"a": 1}}, "bad-request"),
        ({"CapAdd": [7]}, "bad-request"),
        ({"Ulimits": [{"Name": "nofile"}]}, "bad-request"),
    ],
)
def test_what_is_malformed_is_refused(host: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(host)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_health_check_may_leave_things_open() -> None:
    assert spec_of(Healthcheck={"Test": ["NONE"]}).healthcheck == Healthcheck(
        test=("NONE",), interval_s=0, timeout_s=0, start_interval_s=0, retries=0
    )
    check = spec_of(Healthcheck={"Interval": 1_500_000_000}).healthcheck
    assert check is not None
    assert (check.test, check.interval_s, check.retries) == ((), 1.5, 0)
    with pytest.raises(InvalidInput):
        spec_of(Healthcheck={"Test": ["CMD", "x"], "Interval": 5})
    with pytest.raises(InvalidInput, match="Retries"):
        spec_of(Healthcheck={"Test": ["CMD", "x"], "Retries": -1})


def test_what_has_no_effect_is_said() -> None:
    assert unused({"HostConfig": {"KernelMemory": 1}})
    assert unused({}) == []


_WORDS = st.text("abcxyz", min_size=1, max_size=5)
_PATHS = st.lists(_WORDS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_NUMBERS = st.integers(0, 1 << 40)
_DEVICES = st.lists(st.builds(DeviceLimit, path=_PATHS, value=_NUMBERS), max_size=2).map(tuple)
_MOUNTS = st.one_of(
    st.builds(
        Mount, kind=st.just("bind"), source=_PATHS, target=_PATHS, read_only=st.booleans(),
        create_host_path=st.just(True), propagation=st.sampled_from(["", "rslave"]),
        relabel=st.sampled_from(["", "z", "Z"]),
    ),
    st.builds(
        Mount, kind=st.just("bind"), source=_PATHS, target=_PATHS, read_only=st.booleans(),
        create_host_path=st.booleans(), propagation=st.sampled_from(["", "rslave"]),
        recursive=st.sampled_from(["", "disabled", "writable", "readonly"]),
    ),
    st.builds(
        Mount, kind=st.just("volume"), source=_WORDS.map("vol-{}".format), target=_PATHS,
        read_only=st.booleans(), nocopy=st.booleans(), subpath=st.sampled_from(["", "a/b"]),
        volume_options=st.dictionaries(_WORDS, _WORDS, max_size=2),
        volume_labels=st.dictionaries(_WORDS, _WORDS, max_size=2),
    ),
    st.builds(
        Mount, kind=st.just("tmpfs"), target=_PATHS, read_only=st.booleans(),
        tmpfs_size_bytes=_NUMBERS, tmpfs_mode=st.integers(0, 0o7777),
        tmpfs_options=st.lists(st.sampled_from(["exec", "uid=3"]), unique=True).map(tuple),
    ),
    st.builds(Mount, kind=st.just("image"), source=_WORDS, target=_PATHS, subpath=_WORDS),
    st.builds(Mount, kind=st.just("volume"), target=_PATHS),
)  # fmt: skip
_SPECS = st.builds(
    ContainerSpec,
    image=_WORDS,
    command=st.lists(_WORDS, min_size=1).map(tuple),
    entrypoint=st.lists(_WORDS, min_size=1).map(tuple),
    environment=st.dictionaries(_WORDS, _WORDS),
    labels=st.dictionaries(_WORDS, _WORDS),
    user=_WORDS,
    working_dir=_PATHS,
    hostname=_WORDS,
    tty=st.booleans(),
    init=st.booleans(),
    attachments=st.one_of(
        _WORDS.map(lambda name: (Attachment(network=name),)),
        st.just((Attachment(network="bridge", links=("web:w", "db:db")),)),
    ),
    ports=st.lists(
        st.builds(
            PortBinding, container_port=st.integers(1, 65535), host_port=st.integers(0, 65535),
            protocol=st.sampled_from(["tcp", "udp"]), host_ip=st.sampled_from(["", "127.0.0.1"]),
        ),
        max_size=2, unique_by=lambda p: (p.container_port, p.protocol),
    ).map(tuple),
    mounts=st.lists(_MOUNTS, max_size=4, unique_by=lambda m: m.target),
    healthcheck=st.just(Healthcheck(test=("CMD", "x"), interval_s=2.0)),
    restart=st.sampled_from([RestartPolicy(), RestartPolicy(name="on-failure", max_retries=2)]),
    resources=st.builds(
        Resources,
        memory_bytes=_NUMBERS, memory_swap_bytes=st.integers(1, 1 << 40), nano_cpus=_NUMBERS,
        memory_swappiness=st.integers(-1, 100), oom_kill_disable=st.booleans(),
        cpuset_mems=_WORDS, pids_limit=_NUMBERS, blkio_weight_device=_DEVICES,
        device_read_bps=_DEVICES, device_write_iops=_DEVICES,
        ulimits=st.lists(
            st.builds(Ulimit, name=_WORDS, soft=_NUMBERS, hard=_NUMBERS), max_size=2
        ).map(tuple),
    ),
    devices=st.lists(_PATHS.map(lambda p: f"{p}:{p}:rw"), max_size=2).map(tuple),
    cap_add=st.lists(_WORDS).map(tuple),
    sysctls=st.dictionaries(_WORDS, _WORDS),
    masked_paths=st.none() | st.lists(_PATHS).map(tuple),
    log_driver=st.just("local"),
    log_options=st.dictionaries(_WORDS, _WORDS),
    oom_score_adj=st.integers(-1000, 1000),
    ipc_mode=st.just("private"),
    cgroupns_mode=st.just("private"),
)  # fmt: skip


@given(_SPECS)
def test_what_inspect_shows_makes_the_same_container_again(spec: ContainerSpec) -> None:
    container = Container(id="0" * 64, name="n", spec=spec, image_id="i", created_at=0.0)
    shown = {**config(container, ImageConfig()), "HostConfig": host_config(container)}
    again = spec_from_create(shown)

    def by_place(one: ContainerSpec) -> dict[str, Mount]:
        return {m.target: m for m in one.mounts}

    assert by_place(again) == by_place(spec)
    # What is published is exposed too, and the check is whole.
    same = replace(again, mounts=spec.mounts, expose=(), healthcheck=spec.healthcheck)
    assert same == replace(spec, expose=())
    assert again.healthcheck is not None
    assert again.healthcheck.test == ("CMD", "x")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 1 << 40) | st.text("a/:=,1", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=2),
    max_leaves=4,
)
_HOST = [
    "Binds",
    "Mounts",
    "Tmpfs",
    "PortBindings",
    "NetworkMode",
    "RestartPolicy",
    "LogConfig",
    "Ulimits",
    "Devices",
    "Memory",
    "NanoCpus",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "DeviceRequests",
    "CapAdd",
    "SecurityOpt",
    "Sysctls",
    "ExtraHosts",
    "Links",
    "VolumesFrom",
    "ShmSize",
    "StorageOpt",
    "Annotations",
    "GroupAdd",
    "MaskedPaths",
    "PidsLimit",
]
_BODY = [
    "Cmd",
    "Entrypoint",
    "Env",
    "Labels",
    "User",
    "ExposedPorts",
    "Volumes",
    "Healthcheck",
    "StopTimeout",
    "NetworkingConfig",
    "HostConfig",
    "Tty",
    "MacAddress",
]


@given(
    st.dictionaries(st.sampled_from(_BODY), _JSON),
    st.dictionaries(st.sampled_from(_HOST), _JSON),
)
def test_whatever_is_sent_is_understood_or_refused(
    body: dict[str, Any], host: dict[str, Any]
) -> None:
    try:
        spec = spec_from_create({"Image": "busybox", "HostConfig": host, **body})
    except InvalidInput:
        return
    stored = msgspec.json.encode(spec)
    assert msgspec.json.decode(stored, type=ContainerSpec) == spec
