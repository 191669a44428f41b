"""The flags of `run` and the body of the request that they make."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.container.flags import container_arguments, create_body
from orchestrator.cli.container.idfile import id_file
from orchestrator.cli.container.options import health, isolation, limits, networking, process
from orchestrator.cli.container.options.mount import mount
from orchestrator.cli.options import Parser, UsageError
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.wire.create import spec_from_create


def body_of(line: str, *, attached: bool = True, **environ: str) -> dict[str, Any]:
    parser = Parser(add_help=False, allow_abbrev=False)
    container_arguments(parser)
    return create_body(parser.parse_args(shlex.split(line)), environ, attached=attached)


def host_of(line: str) -> dict[str, Any]:
    return dict(body_of(f"{line} x")["HostConfig"])


@pytest.mark.parametrize(
    ("flags", "place", "value"),
    [
        ("-m 512m", "Memory", 512 << 20),
        ("--memory-reservation 1g", "MemoryReservation", 1 << 30),
        ("--memory-swap -1", "MemorySwap", -1),
        ("--memory-swap 1g", "MemorySwap", 1 << 30),
        ("--memory-swappiness 0", "MemorySwappiness", 0),
        ("--kernel-memory 1m", "KernelMemory", 1 << 20),
        ("--cpus 1.5", "NanoCpus", 1_500_000_000),
        ("-c 512", "CpuShares", 512),
        ("--cpu-period 1000", "CpuPeriod", 1000),
        ("--cpu-quota 2000", "CpuQuota", 2000),
        ("--cpu-rt-period 3", "CpuRealtimePeriod", 3),
        ("--cpu-rt-runtime 4", "CpuRealtimeRuntime", 4),
        ("--cpuset-cpus 0-1", "CpusetCpus", "0-1"),
        ("--cpuset-mems 0", "CpusetMems", "0"),
        ("--pids-limit -1", "PidsLimit", -1),
        ("--blkio-weight 30", "BlkioWeight", 30),
        ("--blkio-weight-device /dev/a:9", "BlkioWeightDevice", [{"Path": "/dev/a", "Weight": 9}]),
        ("--device-read-bps /dev/a:1k", "BlkioDeviceReadBps", [{"Path": "/dev/a", "Rate": 1024}]),
        ("--device-write-bps /dev/a:2", "BlkioDeviceWriteBps", [{"Path": "/dev/a", "Rate": 2}]),
        ("--device-read-iops /dev/a:3", "BlkioDeviceReadIOps", [{"Path": "/dev/a", "Rate": 3}]),
        ("--device-write-iops /dev/a:4", "BlkioDeviceWriteIOps", [{"Path": "/dev/a", "Rate": 4}]),
        ("--ulimit a=1:2", "Ulimits", [{"Name": "a", "Soft": 1, "Hard": 2}]),
        ("--ulimit a=-1", "Ulimits", [{"Name": "a", "Soft": -1, "Hard": -1}]),
        ("--shm-size 2m", "ShmSize", 2 << 20),
        ("--oom-kill-disable", "OomKillDisable", True),
        ("--oom-score-adj -500", "OomScoreAdj", -500),
        ("--storage-opt size=1g", "StorageOpt", {"size": "1g"}),
        ("--sysctl a.b=1 --sysctl c=", "Sysctls", {"a.b": "1", "c": ""}),
        ("--privileged", "Privileged", True),
        ("--read-only", "ReadonlyRootfs", True),
        ("--init", "Init", True),
        ("-P", "PublishAllPorts", True),
        ("--pid host", "PidMode", "host"),
        ("--ipc none", "IpcMode", "none"),
        ("--uts host", "UTSMode", "host"),
        ("--userns host", "UsernsMode", "host"),
        ("--cgroupns host", "CgroupnsMode", "host"),
        ("--cgroup-parent /a", "CgroupParent", "/a"),
        ("--runtime runc", "Runtime", "runc"),
        ("--annotation a=b", "Annotations", {"a": "b"}),
        ("--group-add 5 --group-add x", "GroupAdd", ["5", "x"]),
        ("--dns 1.1.1.1", "Dns", ["1.1.1.1"]),
        ("--dns-search a --dns-search b", "DnsSearch", ["a", "b"]),
        ("--dns-opt use-vc", "DnsOptions", ["use-vc"]),
        ("--volumes-from a:ro", "VolumesFrom", ["a:ro"]),
        ("--volume-driver local", "VolumeDriver", "local"),
        ("--tmpfs /t --tmpfs /u:size=1m", "Tmpfs", {"/t": "", "/u": "size=1m"}),
        ("--device-cgroup-rule 'c 1:3 r'", "DeviceCgroupRules", ["c 1:3 r"]),
        ("--log-driver none", "LogConfig", {"Type": "none"}),
        ("--log-opt max-size=1m", "LogConfig", {"Config": {"max-size": "1m"}}),
        ("--restart on-failure:4", "RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 4}),
        (
            "--security-opt seccomp=unconfined --security-opt systempaths=unconfined",
            "SecurityOpt",
            ["seccomp=unconfined"],
        ),
        ("--security-opt systempaths=unconfined", "MaskedPaths", []),
        (
            "--device /dev/a:/dev/b:r --device /dev/c:w --device /dev/d",
            "Devices",
            [
                {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
                {"PathOnHost": "/dev/c", "PathInContainer": "/dev/c", "CgroupPermissions": "w"},
                {"PathOnHost": "/dev/d", "PathInContainer": "/dev/d", "CgroupPermissions": "rwm"},
            ],
        ),
        (
            "--gpus all",
            "DeviceRequests",
            [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]], "Options": {}}],
        ),
        ("--link a:b --link c", "Links", ["a:b", "c"]),
        ("--add-host a:1.2.3.4 --add-host b=::1", "ExtraHosts", ["a:1.2.3.4", "b:::1"]),
        ("--add-host a:host-gateway", "ExtraHosts", ["a:host-gateway"]),
    ],
)
def test_a_flag_has_its_place_in_the_request(flags: str, place: str, value: Any) -> None:
    assert host_of(flags)[place] == value


def test_what_was_not_said_is_not_sent() -> None:
    assert body_of("x") == {
        "Image": "x", "Cmd": None, "Env": [], "Labels": {}, "StdinOnce": False,
        "AttachStdin": False, "AttachStdout": True, "AttachStderr": True,
        "HostConfig": {
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "PortBindings": {},
            "NetworkMode": "default",
        },
    }  # fmt: skip


def test_every_flag_says_what_it_is_for_and_no_two_share_a_name() -> None:
    tables = (process.FLAGS, networking.FLAGS, limits.FLAGS, isolation.FLAGS, health.FLAGS)
    names = [name for flags in tables for flag in flags for name in flag.names.split()]
    assert len(names) == len(set(names))
    assert all(flag.help for flags in tables for flag in flags)


def test_the_health_check() -> None:
    body = body_of("--health-cmd 'curl x' --health-interval 1m30s --health-retries 2 x")
    assert body["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl x"], "Interval": 90 * 10**9, "Retries": 2
    }  # fmt: skip
    assert body_of("--no-healthcheck x")["Healthcheck"] == {"Test": ["NONE"]}


def test_streams_that_are_attached() -> None:
    def attached(line: str, **options: Any) -> list[str]:
        body = body_of(line, **options)
        return [s for s in ("Stdin", "Stdout", "Stderr") if body[f"Attach{s}"]]

    assert attached("-i x") == ["Stdin", "Stdout", "Stderr"]
    assert attached("-i -a stdout -a STDERR x") == ["Stdout", "Stderr"]
    assert attached("-i x", attached=False) == []
    assert body_of("-i x")["StdinOnce"] is True
    assert body_of("-i x", attached=False)["StdinOnce"] is False


def test_networks_in_short_and_long_form() -> None:
    body = body_of(
        "--network one --network name=two,alias=a,alias=b,ip=10.0.0.2,ip6=fd00::2,"
        "mac-address=02:00:00:00:00:01,driver-opt=k=v,gw-priority=3,link-local-ip=169.254.1.1"
        " --network-alias n --ip 10.1.0.2 --ip6 fd01::2 --link web:w x"
    )
    assert body["HostConfig"]["NetworkMode"] == "one"
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "one": {
            "Aliases": ["n"], "Links": ["web:w"],
            "IPAMConfig": {"IPv4Address": "10.1.0.2", "IPv6Address": "fd01::2"},
        },
        "two": {
            "Aliases": ["a", "b"], "MacAddress": "02:00:00:00:00:01", "DriverOpts": {"k": "v"},
            "GwPriority": 3,
            "IPAMConfig": {
                "IPv4Address": "10.0.0.2", "IPv6Address": "fd00::2",
                "LinkLocalIPs": ["169.254.1.1"],
            },
        },
    }  # fmt: skip
    assert "NetworkingConfig" not in body_of("--network host x")
    mac = body_of("--mac-address 02:00:00:00:00:01 x")["NetworkingConfig"]["EndpointsConfig"]
    assert mac == {"default": {"MacAddress": "02:00:00:00:00:01"}}


def test_exposed_and_published_ports() -> None:
    body = body_of("-p 8080:80 --expose 90-91 --expose 92/udp x")
    assert set(body["ExposedPorts"]) == {"80/tcp", "90/tcp", "91/tcp", "92/udp"}
    assert body["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}


def test_variables_and_labels_from_files(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(b"\xef\xbb\xbfA=1\n#no\n\n  B=2 3\nHERE\nGONE\n")
    (tmp_path / "l").write_text("from=file\nempty\n")
    line = f"--env-file {tmp_path}/e -e C -e HERE --label-file {tmp_path}/l -l more=1=2 x"
    body = body_of(line, HERE="yes")
    assert body["Env"] == ["A=1", "B=2 3", "HERE=yes", "C", "HERE=yes"]
    assert body["Labels"] == {"from": "file", "empty": "", "more": "1=2"}
    (tmp_path / "bad").write_text("A B=1\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for file in ("bad", "binary"):
        with pytest.raises(InvalidInput):
            body_of(f"--env-file {tmp_path}/{file} x")


def test_mounts_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert mount("type=bind,src=./a,dst=/b,ro,bind-propagation=RSLAVE") == {
        "Type": "bind", "Source": str(tmp_path / "a"), "Target": "/b", "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave"},
    }  # fmt: skip
    assert mount(
        'source=v,target=/v,readonly=false,volume-nocopy,volume-subpath=a,volume-label=a=b,'
        '"volume-opt=o=addr=1.2.3.4,rw",volume-opt=type=nfs,volume-driver=local'
    ) == {
        "Type": "volume", "Source": "v", "Target": "/v", "ReadOnly": False,
        "VolumeOptions": {
            "NoCopy": True, "Subpath": "a", "Labels": {"a": "b"},
            "DriverConfig": {"Name": "local", "Options": {"o": "addr=1.2.3.4,rw", "type": "nfs"}},
        },
    }  # fmt: skip
    assert mount("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770") == {
        "Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}
    }  # fmt: skip
    for recursive, option in (("disabled", "NonRecursive"), ("readonly", "ReadOnlyForceRecursive")):
        made = mount(f"type=bind,src=/a,dst=/b,bind-recursive={recursive}")
        assert made["BindOptions"] == {option: True}
    assert "BindOptions" not in mount("type=bind,src=/a,dst=/b,bind-recursive=enabled")
    bad = (
        "type=bind,src=/a",
        "type=bind,dst=/a",
        "type=tmpfs,dst=/a,tmpfs-size=x",
        "type=tmpfs,dst=/a,volume-nocopy",
        "dst=/a,odd=1",
        "dst=/a,volume-odd=1",
        "dst=/a,ro=maybe",
    )
    for text in bad:
        with pytest.raises(InvalidInput) as caught:
            mount(text)
        assert caught.value.code == "mount-invalid", text


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--device x x", "device-invalid"),
        ("--device /dev/a:b:c:d x", "device-invalid"),
        ("--ulimit nofile x", "ulimit-invalid"),
        ("--device-read-bps sda:1 x", "device-read-bps-invalid"),
        ("--device-read-iops /dev/a:fast x", "device-read-iops-invalid"),
        ("--sysctl =1 x", "sysctl-invalid"),
        ("-l =1 x", "label-invalid"),
        ("-a stdwhat x", "attach-invalid"),
        ("--isolation process x", "isolation-invalid"),
        ("--network name=a,odd=1 x", "network-invalid"),
        ("--network alias=a x", "network-invalid"),
        ("--network a --network a x", "flags-conflict"),
        ("--network host --network a x", "flags-conflict"),
        ("--network name=a,alias=b --network-alias c x", "flags-conflict"),
        ("--ip 1.2.3.4 x", "flags-conflict"),
        ("--add-host a:b x", "add-host-invalid"),
        ("--expose 0 x", "port-invalid"),
        ("--expose 1/quic x", "port-invalid"),
    ],
)
def test_a_malformed_flag_is_named(line: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        body_of(line)
    assert caught.value.code == code
    assert caught.value.hint


def test_what_the_flags_say_is_what_the_engine_reads() -> None:
    spec = spec_from_create(
        body_of(
            "-it --rm -e A=1 -e B -l x=y -w /w -u 5:6 -h box -p 127.0.0.1::53/udp -v /anon -v v1:/v"
            " --mount type=image,source=i,target=/i --entrypoint '' --stop-timeout 0 -m 64m x cmd"
        )
    )
    assert (spec.tty, spec.stdin_open, spec.attached) == (True, True, ("stdin", "stdout", "stderr"))
    assert (dict(spec.environment), spec.unset_environment) == ({"A": "1"}, ("B",))
    assert (spec.user, spec.working_dir, spec.hostname) == ("5:6", "/w", "box")
    assert (spec.entrypoint, spec.command, spec.stop_grace_s) == ((), ("cmd",), 0.0)
    assert {m.target: m.kind for m in spec.mounts} == {
        "/v": "volume", "/i": "image", "/anon": "volume"
    }  # fmt: skip
    assert spec.ports[0].host_ip == "127.0.0.1"


def parsed(line: str) -> argparse.Namespace:
    parser = Parser(add_help=False, allow_abbrev=False)
    container_arguments(parser)
    return parser.parse_args(shlex.split(line))


def test_switches_may_have_a_value_up_to_the_image() -> None:
    args = parsed("--rm=true --init=false -e --read-only=true --privileged=FALSE x y --rm=false")
    assert (args.rm, args.init, args.privileged, args.read_only) == (True, False, False, False)
    assert args.env == ["--read-only=true"]
    assert parsed("--health-cmd -x -it -e -1 x").env == ["-1"]
    assert (args.image, args.command) == ("x", ["y", "--rm=false"])
    with pytest.raises(UsageError):
        parsed("--rm=perhaps x")


def test_an_id_file_is_new_and_stays_only_with_an_id(tmp_path: Path) -> None:
    file = tmp_path / "id"
    with pytest.raises(ValueError, match="failed"), id_file(str(file)):
        raise ValueError("failed")
    assert not file.exists()
    with id_file(str(file)) as write:
        write("abc")
    assert file.read_text() == "abc"
    with pytest.raises(Conflict), id_file(str(file)):
        raise AssertionError
    with id_file("") as write:
        write("nowhere")
