"""The OCI configuration that a container's specification means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec, Mount, Resources, Ulimit
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container
from orchestrator.runtime.bundle import Bundle, exec_process, oci_config, write_bundle
from orchestrator.runtime.capabilities import DEFAULT, NAMES
from orchestrator.runtime.filesystem import masked_paths
from orchestrator.runtime.host import Host
from orchestrator.runtime.selinux import Contexts
from orchestrator.runtime.user import User

HOST = Host(capabilities=frozenset(NAMES), hard_limits={"nofile": 5000})
IMAGE = ImageConfig(
    entrypoint=("/entry",),
    command=("run",),
    environment=("PATH=/opt/bin", "A=image"),
    working_dir="/srv",
)


def config_of(
    *,
    image: ImageConfig = IMAGE,
    user: User | None = None,
    namespaces: Mapping[str, str] | None = None,
    host: Host = HOST,
    files: Path = Path("/nowhere"),
    mounts: tuple[Mount, ...] = (),
    shm: str = "",
    **spec: Any,
) -> dict[str, Any]:
    container = Container(
        id="0123456789abcdef", name="n", image_id="i", created_at=0.0,
        spec=ContainerSpec(image="img", **spec),
    )  # fmt: skip
    return oci_config(
        container,
        image,
        user=user or User(),
        mounts=[(m, m.source) for m in mounts],
        files=files,
        rootfs=Path("/run/merged"),
        cgroups_path="/pystack/0123",
        namespaces=namespaces or {},
        host=host,
        shm=shm,
    )


def mount_at(config: dict[str, Any], target: str) -> dict[str, Any]:
    (found,) = [m for m in config["mounts"] if m["destination"] == target]
    return dict(found)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["/entry", "run"]),
        ({"command": ("other", "x")}, ["/entry", "other", "x"]),
        ({"entrypoint": ("/mine",)}, ["/mine"]),
        ({"entrypoint": ("/mine",), "command": ("x",)}, ["/mine", "x"]),
        ({"entrypoint": (), "command": ("x",)}, ["x"]),
        ({"init": True}, ["/sbin/docker-init", "--", "/entry", "run"]),
    ],
)
def test_entrypoint_and_command_come_together(spec: dict[str, Any], expected: list[str]) -> None:
    assert config_of(**spec)["process"]["args"] == expected


def test_the_containers_environment_wins_over_the_images() -> None:
    config = config_of(environment={"A": "mine", "B": "x=y"}, user=User(home="/home/u"), tty=True)
    assert config["process"]["env"] == [
        "PATH=/opt/bin", "HOSTNAME=0123456789ab", "TERM=xterm", "A=mine", "B=x=y", "HOME=/home/u",
    ]  # fmt: skip


def test_defaults_of_identity_place_and_name() -> None:
    config = config_of()
    assert config["process"]["cwd"] == "/srv"
    assert config["hostname"] == "0123456789ab"
    assert config["root"] == {"path": "/run/merged", "readonly": False}
    assert config["linux"]["cgroupsPath"] == "/pystack/0123"
    assert config["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}


def test_root_has_dockers_capabilities_and_others_none_in_effect() -> None:
    ours = sorted(f"CAP_{name}" for name in DEFAULT)
    assert config_of()["process"]["capabilities"] == dict.fromkeys(
        ("bounding", "effective", "permitted"), ours
    )
    assert config_of(user=User(uid=7))["process"]["capabilities"] == {
        "bounding": ours, "effective": [], "permitted": [],
    }  # fmt: skip


def test_capabilities_are_added_and_dropped_by_name_or_all() -> None:
    def bounding(**spec: Any) -> set[str]:
        return set(config_of(**spec)["process"]["capabilities"]["bounding"])

    assert bounding(cap_drop=("ALL",), cap_add=("net_admin",)) == {"CAP_NET_ADMIN"}
    assert bounding(cap_add=("ALL",), cap_drop=("CAP_SYS_ADMIN",)) == {
        f"CAP_{n}" for n in NAMES
    } - {"CAP_SYS_ADMIN"}
    assert "CAP_CHOWN" not in bounding(cap_drop=("CHOWN",))
    assert len(bounding(privileged=True, cap_drop=("CHOWN",))) == len(NAMES)


def test_a_capability_that_nobody_has_is_refused() -> None:
    poor = Host(capabilities=frozenset(NAMES) - {"SYS_RESOURCE"})
    with pytest.raises(InvalidInput, match="SYS_RESOURCE") as caught:
        config_of(host=poor, cap_add=("SYS_RESOURCE",))
    assert caught.value.code == "capability-not-available"
    with pytest.raises(InvalidInput) as caught:
        config_of(cap_add=("FLY",))
    assert caught.value.code == "no-such-capability"
    bounding = config_of(host=poor, privileged=True)["process"]["capabilities"]["bounding"]
    assert "CAP_SYS_RESOURCE" not in bounding


def test_namespaces_are_its_own_unless_joined() -> None:
    def kinds(**joined: str) -> list[dict[str, str]]:
        return list(config_of(namespaces=joined)["linux"]["namespaces"])

    own = [{"type": k} for k in ("mount", "pid", "ipc", "uts", "network", "cgroup")]
    assert kinds() == own
    assert kinds(network="") == [n for n in own if n["type"] != "network"]
    joined = kinds(network="/proc/5/ns/net")
    assert {"type": "network", "path": "/proc/5/ns/net"} in joined


def test_sysctls_of_the_network_are_set_only_in_a_network_of_its_own() -> None:
    asked = {"net.core.somaxconn": "9"}
    own = config_of(sysctls=asked)["linux"]["sysctl"]
    assert own["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert config_of(sysctls=asked, namespaces={"network": ""})["linux"]["sysctl"] == asked


def test_limits_in_the_oci_form() -> None:
    resources = Resources(
        memory_bytes=100, memory_reservation_bytes=50, nano_cpus=1_500_000_000, cpu_shares=7,
        cpuset_cpus="0", pids_limit=-1,
    )  # fmt: skip
    found = config_of(resources=resources)["linux"]["resources"]
    del found["devices"]
    assert found == {
        "memory": {"limit": 100, "swap": 200, "reservation": 50},
        "cpu": {"period": 100000, "quota": 150000, "shares": 7, "cpus": "0"},
        "pids": {"limit": -1},
    }
    swapless = Host(capabilities=HOST.capabilities, swap=False)
    found = config_of(resources=resources, host=swapless)["linux"]["resources"]
    assert "swap" not in found["memory"]


def test_rlimits_stay_below_the_engines_own() -> None:
    ulimits = (Ulimit(name="nofile", soft=9000, hard=-1), Ulimit(name="core", soft=-1, hard=-1))
    unlimited = 2**64 - 1
    assert config_of(resources=Resources(ulimits=ulimits))["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 5000, "hard": 5000},
        {"type": "RLIMIT_CORE", "soft": unlimited, "hard": unlimited},
    ]
    assert config_of()["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 5000, "hard": 5000}
    ]
    with pytest.raises(InvalidInput):
        config_of(resources=Resources(ulimits=(Ulimit(name="wings", soft=1, hard=1),)))


def test_privileged_opens_paths_and_devices() -> None:
    closed, opened = config_of()["linux"], config_of(privileged=True)["linux"]
    assert "/proc/kcore" in closed["maskedPaths"]
    assert (opened["maskedPaths"], opened["readonlyPaths"]) == ([], [])
    assert closed["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert opened["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert (closed["devices"], "/dev/null" in {d["path"] for d in opened["devices"]}) == ([], True)


def test_a_device_is_made_and_allowed() -> None:
    linux = config_of(devices=("/dev/null:/dev/mine:r",))["linux"]
    assert [d["path"] for d in linux["devices"]] == ["/dev/mine"]
    assert linux["resources"]["devices"][-1] == {
        "allow": True, "type": "c", "major": 1, "minor": 3, "access": "r",
    }  # fmt: skip


def test_seccomp_is_left_out_for_the_unconfined() -> None:
    assert config_of()["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    for spec in ({"privileged": True}, {"security_opt": ("seccomp:unconfined",)}):
        config = config_of(**spec)
        assert "seccomp" not in config["linux"]
        assert "annotations" not in config
    assert "seccomp" not in config_of(host=replace(HOST, seccomp=False))["linux"]


def test_a_profile_of_ones_own_takes_the_place_of_the_built_in_one() -> None:
    own = 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'
    for spec in ({}, {"privileged": True}):
        found = config_of(security_opt=(own,), **spec)["linux"]["seccomp"]
        assert found == {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}


def test_labels_are_put_on_where_the_machine_has_them() -> None:
    contexts = Contexts("u:r:container_t:s0", "u:object_r:container_file_t:s0")
    host = replace(HOST, apparmor=frozenset({"pystack-default", "mine"}), selinux=contexts)
    config = config_of(host=host)
    assert config["process"]["apparmorProfile"] == "pystack-default"
    label = config["process"]["selinuxLabel"]
    assert label.startswith("u:r:container_t:s0:c")
    assert config["linux"]["mountLabel"] == label.replace(
        "u:r:container_t", "u:object_r:container_file_t"
    )
    config = config_of(host=host, security_opt=("apparmor=mine", "label=disable"))
    assert config["process"]["apparmorProfile"] == "mine"
    assert "selinuxLabel" not in config["process"]
    assert not {"apparmorProfile", "selinuxLabel"} & set(config_of()["process"])
    assert "apparmorProfile" not in config_of(host=host, privileged=True)["process"]


def test_every_processors_heat_is_hidden(tmp_path: Path) -> None:
    for name in ("cpu0/thermal_throttle", "cpu12/thermal_throttle", "cpu3", "cpufreq"):
        (tmp_path / "devices/system/cpu" / name).mkdir(parents=True)
    assert masked_paths(tmp_path)[-2:] == (
        "/sys/devices/system/cpu/cpu0/thermal_throttle",
        "/sys/devices/system/cpu/cpu12/thermal_throttle",
    )


def test_new_privileges_can_be_forbidden() -> None:
    for option in ("no-new-privileges", "no-new-privileges:true"):
        assert config_of(security_opt=(option,))["process"]["noNewPrivileges"]
    assert not config_of()["process"]["noNewPrivileges"]


def test_mounts_come_parents_first_and_may_replace_built_in_ones() -> None:
    config = config_of(
        mounts=(
            Mount(kind="bind", target="/data/deep/er", source="/h1"),
            Mount(kind="volume", target="/data/", source="/h2", read_only=True),
            Mount(kind="tmpfs", target="/dev/shm", tmpfs_size_bytes=99, tmpfs_mode=0o700),
        )
    )
    targets = [m["destination"] for m in config["mounts"]]
    assert targets.index("/data") < targets.index("/data/deep/er")
    assert targets.index("/dev") < targets.index("/dev/pts")
    assert mount_at(config, "/data")["options"] == ["rbind", "rprivate", "rro"]
    assert mount_at(config, "/dev/shm")["options"][-2:] == ["size=99", "mode=700"]


def test_propagation_of_a_bind_reaches_the_root() -> None:
    shared = Mount(kind="bind", target="/x", source="/h", propagation="rshared")
    slave = Mount(kind="bind", target="/y", source="/h", propagation="rslave")
    assert config_of(mounts=(shared, slave))["linux"]["rootfsPropagation"] == "shared"
    assert config_of(mounts=(slave,))["linux"]["rootfsPropagation"] == "slave"
    assert "rootfsPropagation" not in config_of()["linux"]


def test_the_containers_own_hosts_files_are_bound_where_they_exist(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    config = config_of(files=tmp_path)
    assert mount_at(config, "/etc/hosts")["source"] == str(tmp_path / "hosts")
    assert "/etc/resolv.conf" not in [m["destination"] for m in config["mounts"]]


def test_shared_memory_is_as_large_as_asked_or_the_machines() -> None:
    assert "size=1000" in mount_at(config_of(shm_size_bytes=1000), "/dev/shm")["options"]
    assert mount_at(config_of(shm="/dev/shm"), "/dev/shm")["type"] == "bind"
    none = config_of(ipc_mode="none")
    assert "/dev/shm" not in [m["destination"] for m in none["mounts"]]


def test_one_more_command_has_what_the_container_has() -> None:
    base = config_of(environment={"A": "1"}, user=User(home="/root"))["process"]
    process = exec_process(base, ["ls"], env=["B=2", "A=3"], cwd="/x", terminal=True)
    assert process["args"] == ["ls"]
    assert (process["cwd"], process["terminal"]) == ("/x", True)
    assert {"A=3", "B=2", "TERM=xterm", "HOME=/root"} <= set(process["env"])
    other = exec_process(base, ["ls"], user=User(uid=5, gid=6, groups=(6,), home="/five"))
    assert other["user"] == {"uid": 5, "gid": 6, "additionalGids": [6]}
    assert other["capabilities"]["effective"] == []
    assert "HOME=/five" in other["env"]


def test_a_bundle_is_written_whole(tmp_path: Path) -> None:
    bundle = Bundle(
        id="x", path=tmp_path / "b", rootfs=tmp_path, log_path=tmp_path, exit_dir=tmp_path
    )
    for text in ("one", "two"):
        write_bundle(bundle, {"hostname": text})
        assert json.loads(bundle.config.read_text()) == {"hostname": text}
    assert [p.name for p in bundle.path.iterdir()] == ["config.json"]
