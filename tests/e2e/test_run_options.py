"""Every option of `run`, from the command line to the container's own view and back in inspect.

One container shows many options: what is asserted comes from inside it, from the kernel, or from
the engine's answer.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.aio.libc import MS_BIND, mount
from orchestrator.cli.main import main
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.volumes.mounts import unmount
from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")

Run = Callable[..., list[str]]


@pytest.fixture
def pulled(engine: EngineUnderTest) -> Iterator[EngineUnderTest]:
    """An engine that has the busybox image; its containers are removed in the end."""
    assert engine.request("POST", "/images/create?fromImage=busybox")[0] == 200
    yield engine
    for container in engine.containers():
        engine.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")


@pytest.fixture
def run(pulled: EngineUnderTest) -> Run:
    """The lines that a shell script writes in a container with these flags; it must succeed."""

    def lines(script: str, *flags: str, **options: Any) -> list[str]:
        said = pulled.cli("run", "--rm", *flags, "busybox", "sh", "-c", script, **options)
        return said.stdout.splitlines()

    return lines


def test_the_process_is_what_the_flags_say_and_its_user_is_the_containers(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "env").write_text("# a comment\n\nFILE=1 2\nSHELL_GIVES\nNOT_HERE\nLATER=file\n")
    assert run(
        "echo $FILE; echo $SHELL_GIVES; echo ${NOT_HERE-none}; echo $LATER;"
        " id -u; id -g; id -G; pwd; stat -c %U:%a /made; hostname; hostname -f; echo $HOSTNAME;"
        " cat /proc/sys/kernel/domainname; cat /proc/1/oom_score_adj",
        *("--env-file", str(tmp_path / "env"), "-e", "LATER=flag"),
        *("-u", "www-data", "--group-add", "nogroup", "-w", "/made/here"),
        *("-h", "box", "--domainname", "example.org", "--oom-score-adj", "7"),
        env={"SHELL_GIVES": "shell"},
    ) == [
        *("1 2", "shell", "none", "flag"),
        *("33", "33", "33 100 65534", "/made/here", "root:755", "box", "box.example.org", "box"),
        *("example.org", "7"),
    ]  # fmt: skip
    users = {"www-data": "33 33", "33": "33 33", "www-data:users": "33 100", "7:8": "7 8"}
    for user, ids in users.items():
        assert run("echo $(id -u) $(id -g)", "-u", user) == [ids]


def test_limits_reach_the_kernel_and_come_back_in_inspect(pulled: EngineUnderTest) -> None:
    pulled.cli(
        *("run", "-d", "--name", "limited", "-m", "64m", "--memory-reservation", "32m"),
        *("--memory-swap", "96m", "--memory-swappiness", "10", "--cpus", "0.5", "-c", "512"),
        *("--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "50", "--shm-size", "1m"),
        *("--ulimit", "nofile=100:200", "--ulimit", "core=0", "busybox", "sleep", "1000"),
    )
    shown = pulled.inspect("limited")["HostConfig"]
    assert {
        key: shown[key]
        for key in (
            "Memory", "MemoryReservation", "MemorySwap", "MemorySwappiness", "NanoCpus",
            "CpuShares", "CpusetCpus", "CpusetMems", "PidsLimit", "ShmSize",
        )
    } == {
        "Memory": 64 << 20, "MemoryReservation": 32 << 20, "MemorySwap": 96 << 20,
        "MemorySwappiness": 10, "NanoCpus": 500_000_000, "CpuShares": 512, "CpusetCpus": "0",
        "CpusetMems": "0", "PidsLimit": 50, "ShmSize": 1 << 20,
    }  # fmt: skip
    assert shown["Ulimits"][0] == {"Name": "nofile", "Soft": 100, "Hard": 200}
    inside = "ulimit -n; ulimit -Hn; ulimit -c; df -k /dev/shm | tail -1; cd /sys/fs/cgroup;"
    limits = (
        "memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes"
        " memory/memory.memsw.limit_in_bytes memory/memory.swappiness cpu/cpu.cfs_quota_us"
        " cpu/cpu.shares cpuset/cpuset.cpus cpuset/cpuset.mems pids/pids.max"
    )
    if not Path("/sys/fs/cgroup/memory").exists():
        limits = "memory.max memory.low cpu.max cpuset.cpus pids.max"
    said = pulled.cli("exec", "limited", "sh", "-c", f"{inside} cat {limits}").stdout.splitlines()
    assert said[:3] == ["100", "200", "0"]
    assert said[3].split()[1] == "1024"
    if "memory.max" in limits:
        assert said[4:] == [str(64 << 20), str(32 << 20), "50000 100000", "0", "50"]
    else:
        sizes = [str(n << 20) for n in (64, 32, 96)]
        assert said[4:] == [*sizes, "10", "50000", "512", "0", "0", "50"]


def test_other_limits_of_cpu_and_block_devices(run: Run) -> None:
    if not Path("/sys/fs/cgroup/blkio").exists():
        pytest.skip("the files are those of cgroup v1")
    disk = next(Path("/dev", p.name) for p in Path("/sys/block").iterdir() if _is_there(p.name))
    assert run(
        "cd /sys/fs/cgroup; cat cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us"
        " blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_iops_device"
        " | cut -d' ' -f2; sed -n 1p memory/memory.oom_control",
        *("--cpu-period", "50000", "--cpu-quota", "25000", "--oom-kill-disable", "-m", "64m"),
        *("--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:100"),
    ) == ["50000", "25000", str(1 << 20), "100", "oom_kill_disable 1"]


def _is_there(name: str) -> bool:
    return Path("/dev", name).is_block_device()


def test_rights_and_devices(run: Run) -> None:
    status = "grep -E 'CapBnd|NoNewPrivs' /proc/self/status | cut -f2"
    assert run(
        f"{status}; stat -c %t:%T /dev/mine; cat /proc/sys/net/ipv4/ip_forward; touch /x 2>&1;"
        " mknod /dev/k c 1 11 && echo made; echo x 2>/dev/null >/dev/k || echo refused",
        *("--cap-drop", "ALL", "--cap-add", "MKNOD", "--security-opt", "no-new-privileges"),
        *(
            "--device",
            "/dev/null:/dev/mine:rw",
            "--device-cgroup-rule",
            "c 1:11 rm",
            "--sysctl",
            "net.ipv4.ip_forward=0",
        ),
        "--read-only",
    ) == [
        *("0000000008000000", "1", "1:3", "0", "touch: /x: Read-only file system"),
        *("made", "refused"),
    ]
    assert run("ls /proc/sys/kernel/hostname; echo x > /proc/sys/kernel/hostname; hostname",
               "--security-opt", "systempaths=unconfined") == [
        "/proc/sys/kernel/hostname", "x"
    ]  # fmt: skip
    directory = next(p for p in (Path("/dev/net"), Path("/dev/input"), Path("/dev/cpu")) if _any(p))
    names = run("ls /dev/mine", "--device", f"{directory}:/dev/mine")
    assert names
    assert set(names) <= {p.name for p in directory.rglob("*")}


def _any(directory: Path) -> bool:
    return any(p.is_char_device() for p in directory.glob("*"))


def test_namespaces_are_shared_where_that_was_asked_for(pulled: EngineUnderTest, run: Run) -> None:
    pulled.cli("network", "create", "both")
    pulled.cli(
        *("run", "-d", "--name", "owner", "-h", "boss", "--ipc", "shareable", "--network", "both"),
        *("busybox", "sh", "-c", "echo hi > /dev/shm/x; sleep 1000"),
    )
    wait_until(
        lambda: pulled.run("exec", "owner", "test", "-s", "/dev/shm/x").exit_code == 0, "a file"
    )
    seen = "cat /dev/shm/x; cat /proc/1/cmdline | tr '\\0' ' '; echo; hostname; echo $HOSTNAME;"
    modes = [f"--{kind}=container:owner" for kind in ("ipc", "pid", "network")]
    address = pulled.inspect("owner")["NetworkSettings"]["Networks"]["both"]["IPAddress"]
    lines = run(f"{seen} grep boss /etc/hosts; cat /etc/resolv.conf", *modes)
    assert lines[0] == "hi"
    assert "sleep 1000" in lines[1]
    assert lines[2:5] == ["boss", "boss", f"{address}\tboss"]
    assert "nameserver 127.0.0.11" in lines
    assert run("ls /dev/shm 2>&1; true", "--ipc", "none") == [
        "ls: /dev/shm: No such file or directory"
    ]
    pulled.cli("run", "-d", "--name", "alone", "busybox", "sleep", "1000")
    refused = pulled.run("run", "--rm", "--ipc", "container:alone", "busybox", "true")
    assert (refused.exit_code, "--ipc shareable" in refused.stderr) == (125, True)
    pulled.cli("rename", "owner", "renamed")
    mine = pulled.inspect("renamed")["Id"]
    pulled.cli("create", "--name", "guest", "--network", "container:renamed", "busybox", "true")
    assert pulled.inspect("guest")["HostConfig"]["NetworkMode"] == f"container:{mine}"


def test_namespaces_and_cgroups_of_the_machine(pulled: EngineUnderTest, run: Run) -> None:
    names = ("pid", "ipc", "uts", "net", "cgroup")
    own = {n: Path(f"/proc/self/ns/{n}").readlink().name for n in names}
    flags = ("--pid", "host", "--ipc", "host", "--uts", "host", "--network", "host")
    script = "; ".join(f"readlink /proc/self/ns/{n}" for n in names)
    shared = run(script, *flags, "--cgroupns", "host", "--userns", "host")
    private = run(script)
    assert shared == [own[n] for n in names]
    assert not set(private) & set(shared)
    parent = f"{pulled.cgroup_parent}/mine"
    try:
        lines = run("cat /proc/self/cgroup", "--cgroup-parent", parent, "--cgroupns", "host")
        assert any(f"/{parent}/" in line for line in lines)
    finally:
        remove_cgroup(parent)


def test_volumes_and_paths_are_mounted_as_asked(
    pulled: EngineUnderTest, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("from the machine\n")
    script = (
        "grep -E ' /(data|anon|made|file|t|u) ' /proc/mounts | cut -d' ' -f2-4 | sort; cat /file;"
        " touch /file 2>&1; mkdir -p /data/deep; echo kept > /data/deep/x; stat -c %a /t /u"
    )
    said = run(
        script,
        *("-v", "data:/data", "-v", "/anon", "-v", f"{tmp_path}/made/dir:/made"),
        *("--mount", f"type=bind,source={tmp_path}/file,target=/file,readonly"),
        *("--tmpfs", "/t:size=1m,exec,mode=700,uid=33", "--mount", "type=tmpfs,target=/u"),
    )
    places = {line.split()[0]: line.split()[2].split(",") for line in said if line[0] == "/"}
    assert set(places) == {"/anon", "/data", "/file", "/made", "/t", "/u"}
    assert places["/file"][0] == "ro"
    assert {"size=1024k", "mode=700", "uid=33"} <= set(places["/t"])
    assert "noexec" not in places["/t"]
    assert "noexec" in places["/u"]
    rest = [line for line in said if line[0] != "/"]
    assert rest == ["from the machine", "touch: /file: Read-only file system", "700", "1777"]
    assert (tmp_path / "made/dir").is_dir()
    sub = "type=volume,source=data,target=/sub,volume-subpath=deep"
    assert run("cat /sub/x", "--mount", sub) == ["kept"]
    image = "type=image,source=busybox,target=/img,image-subpath=bin"
    assert run("test -e /img/sh && touch /img/x 2>&1 || true", "--mount", image) == [
        "touch: /img/x: Read-only file system"
    ]
    absent = pulled.run(
        *("run", "--rm", "--mount", f"type=bind,source={tmp_path}/none,target=/x"),
        *("busybox", "true"),
    )
    assert absent.exit_code == 125
    assert f"{tmp_path}/none" in absent.stderr


def test_mounts_are_taken_from_another_container(pulled: EngineUnderTest, run: Run) -> None:
    pulled.cli(
        *("run", "-d", "--name", "store", "-v", "named:/named", "-v", "/anon", "--tmpfs", "/t"),
        *("busybox", "sh", "-c", "echo a > /named/x; echo b > /anon/x; touch /ok; sleep 1000"),
    )
    wait_until(lambda: pulled.run("exec", "store", "test", "-e", "/ok").exit_code == 0, "files")
    script = "cat /named/x /anon/x; touch /anon/y 2>&1; mount | grep -c ' /t '"
    assert run(script + "; true", "--volumes-from", "store:ro") == [
        "a", "b", "touch: /anon/y: Read-only file system", "0"
    ]  # fmt: skip
    assert run("cat /named/* 2>&1; true", "--volumes-from", "store", "-v", "other:/named") == [
        "cat: can't open '/named/*': No such file or directory"
    ]


def test_a_volume_mounts_what_its_options_say(
    pulled: EngineUnderTest, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("still here\n")
    opts = ",".join(f"volume-opt={o}" for o in ("type=tmpfs", "device=tmpfs", "o=size=1m"))
    small = f"type=volume,source=small,target=/s,{opts},volume-label=a=b"
    assert run("df -k /s | tail -1 | tr -s ' ' | cut -d' ' -f2", "--mount", small) == ["1024"]
    bind = f"volume-opt=type=none,volume-opt=device={tmp_path},volume-opt=o=bind"
    assert run("cat /s/mine", "--mount", f"source=bound,target=/s,{bind}") == ["still here"]
    labels = json.loads(pulled.cli("volume", "inspect", "small").stdout)[0]["Labels"]
    assert labels == {"a": "b"}
    pulled.cli("volume", "rm", "small", "bound")
    assert (tmp_path / "mine").read_text() == "still here\n"


def test_mounts_below_a_read_only_bind_are_read_only_too_unless_asked(
    place: EngineUnderTest, tmp_path: Path
) -> None:
    for name in ("top/below", "other"):
        (tmp_path / name).mkdir(parents=True)
    mount(str(tmp_path / "other"), str(tmp_path / "top/below"), flags=MS_BIND)
    try:
        place.start()
        base = f"type=bind,source={tmp_path}/top,target=/x,readonly"
        script = "touch /x/below/a 2>/dev/null && echo written || echo refused; ls /x/below"

        def said(*fields: str) -> list[str]:
            flags = ("--quiet", "--mount", ",".join((base, *fields)))
            return place.cli(
                "run", "--rm", *flags, "busybox", "sh", "-c", script
            ).stdout.splitlines()

        assert said() == ["refused"]
        assert said("bind-recursive=writable") == ["written", "a"]
        assert said("bind-recursive=disabled") == ["refused"]
        assert said("bind-recursive=readonly") == ["refused", "a"]
    finally:
        unmount(tmp_path / "top/below")


def test_networks_names_and_addresses(pulled: EngineUnderTest, run: Run) -> None:
    pulled.cli("network", "create", "--subnet", "10.77.0.0/24", "first")
    pulled.cli("network", "create", "second")
    pulled.cli(
        *("run", "-d", "--name", "web", "--network"),
        "name=first,alias=shop,ip=10.77.0.50,mac-address=02:11:22:33:44:55",
        *("--network", "second", "busybox", "sleep", "1000"),
    )
    shown = pulled.inspect("web")["NetworkSettings"]["Networks"]
    assert list(shown) == ["first", "second"]
    first = shown["first"]
    assert (first["IPAddress"], first["IPPrefixLen"], first["MacAddress"], first["IPAMConfig"]) == (
        "10.77.0.50", 24, "02:11:22:33:44:55", {"IPv4Address": "10.77.0.50"}
    )  # fmt: skip
    assert first["Aliases"][0] == "shop"
    assert first["DNSNames"][0] == "web"
    lines = run(
        "for n in shop web link; do nslookup $n. | tail -n +4 | grep Address; done;"
        " grep -E 'search|options' /etc/resolv.conf; grep -E '(gate|four|six)$' /etc/hosts",
        *("--network", "first", "--link", "web:link", "--dns-search", "example.org"),
        *("--dns-option", "ndots:3", "--add-host", "gate:host-gateway"),
        *("--add-host", "four=1.2.3.4", "--add-host", "six:[fe80::1]"),
    )
    assert lines[:3] == ["Address: 10.77.0.50"] * 3
    assert lines[3:5] == ["search example.org", "options ndots:3"]
    assert [line.split("\t") for line in lines[5:]] == [
        ["10.77.0.1", "gate"], ["1.2.3.4", "four"], ["fe80::1", "six"]
    ]  # fmt: skip
    assert run("grep nameserver /etc/resolv.conf", "--dns", "10.9.8.7") == ["nameserver 10.9.8.7"]
    pulled.cli("run", "-d", "--name", "other", "busybox", "sleep", "1000")
    assert run("ping -c1 -W1 its >/dev/null && echo yes", "--link", "other:its") == ["yes"]
    assert run("ls /sys/class/net", "--network", "none") == ["lo"]
    assert run("cat /sys/class/net/eth0/address", "--mac-address", "02:42:ac:11:00:09") == [
        "02:42:ac:11:00:09"
    ]


def test_ports_in_every_form(pulled: EngineUnderTest) -> None:
    pulled.cli(
        *("run", "-d", "--name", "ports", "-p", "8080:80", "-p", "127.0.0.1:9000-9001:90-91"),
        *("-p", "7100-7105:70", "-p", "127.0.0.1::53/udp", "-p", "[::1]:9443:443", "-P"),
        *("--expose", "100-101", "--expose", "102/udp", "busybox", "sleep", "1000"),
    )
    shown = pulled.inspect("ports")
    ports = shown["NetworkSettings"]["Ports"]
    assert [(p["HostIp"], p["HostPort"]) for p in ports["80/tcp"]] == [
        ("0.0.0.0", "8080"), ("::", "8080")
    ]  # fmt: skip
    assert ports["90/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "9000"}]
    assert ports["91/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "9001"}]
    assert ports["443/tcp"] == [{"HostIp": "::1", "HostPort": "9443"}]
    assert 7100 <= int(ports["70/tcp"][0]["HostPort"]) <= 7105
    for free in ("53/udp", "100/tcp", "101/tcp", "102/udp"):
        assert int(ports[free][0]["HostPort"]) > 1024
    assert set(shown["Config"]["ExposedPorts"]) == set(ports)
    assert shown["HostConfig"]["PublishAllPorts"] is True


def test_labels_annotations_warnings_and_the_rest_are_told(
    pulled: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "labels").write_text("# none\nfrom=file\nboth=file\n")
    pulled.cli(
        *("create", "--name", "told", "--label-file", str(tmp_path / "labels"), "-l", "both=flag"),
        *("-l", "bare", "--annotation", "org.example=1", "--restart", "on-failure:3"),
        *("--stop-signal", "USR1", "--stop-timeout", "3", "--log-driver", "local"),
        *("--log-opt", "max-size=10k", "--log-opt", "max-file=3", "--health-cmd", "true"),
        *("--health-interval", "2s", "--health-retries", "4", "--health-start-period", "1m"),
        *("--health-start-interval", "100ms", "--health-timeout", "1s", "-i", "--init"),
        *("--cgroup-parent", pulled.cgroup_parent, "--runtime", "crun", "--pid", "host"),
        *("--entrypoint", "cat", "busybox", "/etc/passwd"),
    )
    shown = pulled.inspect("told")
    config, host = shown["Config"], shown["HostConfig"]
    assert config["Labels"] == {"from": "file", "both": "flag", "bare": ""}
    assert host["Annotations"] == {"org.example": "1"}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (config["StopSignal"], config["StopTimeout"]) == ("USR1", 3)
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "10k", "max-file": "3"}}
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"], "Interval": 2 * 10**9, "Timeout": 10**9, "Retries": 4,
        "StartPeriod": 60 * 10**9, "StartInterval": 10**8,
    }  # fmt: skip
    assert (config["Entrypoint"], config["Cmd"]) == (["cat"], ["/etc/passwd"])
    assert (config["OpenStdin"], config["StdinOnce"], config["AttachStdout"]) == (True, True, True)
    assert (host["Init"], host["Runtime"], host["PidMode"]) == (True, "crun", "host")
    again = {**config, "HostConfig": host, "NetworkingConfig": {}}
    status, made = pulled.request("POST", "/containers/create?name=copy", again)
    assert status == 201, made
    copy = pulled.inspect("copy")
    same = [key for key in config if key != "Hostname"]
    assert {k: copy["Config"][k] for k in same} == {k: config[k] for k in same}
    assert copy["HostConfig"] == host
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"KernelMemory": 1 << 30}}
    status, made = pulled.request("POST", "/containers/create", body)
    assert (status, len(made["Warnings"])) == (201, 1)
    assert "kernel memory" in made["Warnings"][0]
    said = pulled.cli("run", "--rm", "--network", "host", "-p", "80:80", "busybox", "hostname")
    assert said.stdout.strip() == socket.gethostname()
    assert said.stderr == ("WARNING: Published ports are discarded when using host network mode\n")


def test_containers_run_with_the_runtimes_they_name(pulled: EngineUnderTest) -> None:
    for runtime in ("crun", "runc"):
        flags = ("--name", runtime, "--runtime", runtime, "--init")
        pulled.cli("run", "-d", *flags, "busybox", "sleep", "1000")
    pulled.kill9()
    pulled.start()
    for runtime in ("crun", "runc"):
        assert pulled.inspect(runtime)["State"]["Running"]
        assert pulled.cli("exec", runtime, "echo", "hello").stdout == "hello\n"
        pulled.cli("pause", runtime)
        pulled.cli("unpause", runtime)
        pulled.cli("rm", "-f", runtime)
        said = pulled.run("run", "--rm", "--runtime", runtime, "busybox", "no-such-command")
        assert (said.exit_code, "executable file not found" in said.stderr) == (127, True)


REFUSED = [
    ("--log-driver syslog", "no log driver 'syslog'"),
    ("--log-opt max-bananas=1", "max-bananas"),
    ("--log-opt max-file=many", "max-file"),
    ("--gpus all", "gpu"),
    ("--storage-opt size=1g", "file system cannot be limited"),
    ("--userns keep-id", "--userns"),
    ("--sysctl kernel.panic=1", "whole machine"),
    ("--sysctl net.core.somaxconn=1 --network host", "network namespace"),
    ("--runtime youki", "no runtime 'youki'"),
    ("--volume-driver nfs -v a1:/a", "no volume driver 'nfs'"),
    ("--mount type=volume,source=aa,target=/a,volume-driver=x", "no volume driver 'x'"),
    ("--mount type=bind,target=/a", "source is missing"),
    ("--mount type=bind,source=/etc,target=/a,tmpfs-size=1", "tmpfs"),
    ("-v aa:/a -v bb:/a", "same place"),
    ("-v aa:/a:sometimes", "no such mode"),
    ("-v a:/a", "two or more"),
    ("--restart always", "--rm"),
    ("--isolation hyperv", "default"),
    ("-m 1m", "least limit is 6m"),
    ("-m 64m --memory-swap 32m", "memory-swap"),
    ("--cpus 9999", "this machine has"),
    ("--cpus 1 --cpu-quota 5000", "--cpu-quota"),
    ("--cpuset-cpus 999", "does not have"),
    ("--blkio-weight 5000", "10 to 1000"),
    ("--oom-score-adj 5000", "-1000 to 1000"),
    ("--memory-swappiness 101", "0 to 100"),
    ("--ulimit nofile=9:3", "soft limit is above"),
    ("--ulimit bananas=3", "no such ulimit"),
    ("--cap-add NOT_ONE", "no such capability"),
    ("--device-cgroup-rule x", "malformed device rule"),
    ("--stop-signal NOPE", "no such signal"),
    ("-w not/absolute", "absolute path"),
    ("--dns nowhere", "name server"),
    ("--env-file /no/such/file", "/no/such/file"),
    ("--cidfile /no/such/file", "/no/such/file"),
    ("--mount type=bind,source=/no/such,target=/a", "no /no/such"),
    ("--name=-x", "-x"),
    ("--network host --network-alias x", "host"),
    ("--network-alias x", "networks of one's own"),
    ("--network nowhere", "network nowhere"),
    ("--network container:x -p 80:80", "No such container"),
    ("--pid container:nobody", "No such container"),
    ("--volumes-from nobody", "No such container"),
    ("--link nobody:x", "No such container"),
    ("--no-healthcheck --health-cmd true", "--no-healthcheck"),
    ("--security-opt bananas", "security option"),
    ("--device /dev/nothing-here", "no device"),
    ("--expose 99999", "65535"),
    ("--add-host nowhere", "NAME:ADDRESS"),
    ("-d -a stdout", "-a"),
]


# A process that ends leaves its socket to the kernel; this one goes on.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_cannot_be_is_refused_with_what_to_do(
    pulled: EngineUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, as there are many.
    for name, value in pulled.env.items():
        monkeypatch.setenv(name, value)
    for flags, words in REFUSED:
        code = main(["run", "--rm", *flags.split(), "busybox", "true"])
        said = capsys.readouterr()
        assert (code, said.out) == (125, ""), (flags, said)
        assert words in said.err, flags
        assert len(said.err.splitlines()) > 1, f"no hint for {flags}"
    assert pulled.containers() == []
