"""Confinement as a user sees and changes it, and the kernel's numbers as the engine tells them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.runtime.cgroups import layout
from orchestrator.runtime.stats import control_groups
from tests.support.engine import EngineUnderTest

STATUS = ("busybox", "grep", "-E", "^(Seccomp|NoNewPrivs|CapEff):", "/proc/self/status")


def status(engine: EngineUnderTest, *options: str) -> dict[str, str]:
    lines = engine.cli("run", "--rm", *options, *STATUS).stdout.splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def test_confinement_is_told_by_info_and_changed_by_options(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    told = engine.request("GET", "/info")[1]["SecurityOptions"]
    assert "name=seccomp,profile=builtin" in told
    assert "name=cgroupns" in told
    assert ("name=apparmor" in told) == Path("/sys/module/apparmor/parameters/enabled").exists()
    assert "name=selinux" not in told or Path("/sys/fs/selinux/enforce").exists()

    usual = {"CapEff": "00000000a80425fb", "NoNewPrivs": "0", "Seccomp": "2"}
    assert status(engine) == usual
    nnp = ("--security-opt", "no-new-privileges")
    assert status(engine, *nnp) == {**usual, "NoNewPrivs": "1"}
    assert status(engine, "--security-opt", "seccomp=unconfined") == {**usual, "Seccomp": "0"}
    assert status(engine, "--privileged")["Seccomp"] == "0"
    assert status(engine, "--cap-drop", "all")["CapEff"] == "0" * 16

    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    option = ("--security-opt", f"seccomp={profile}")
    refused = engine.run("run", "--rm", *option, "busybox", "mkdir", "/x")
    assert (refused.exit_code, "No space left" in refused.stderr) == (1, True)
    engine.cli("create", "--name", "kept", *option, "busybox")
    kept = engine.inspect("kept")["HostConfig"]["SecurityOpt"]
    assert json.loads(kept[0].removeprefix("seccomp="))["syscalls"] == [rule]


def test_a_wrong_option_is_refused_before_anything_is_made(engine: EngineUnderTest) -> None:
    engine.cli("pull", "-q", "busybox")
    for option, said in (
        ("seccomp=/no/such/file", "/no/such/file cannot be read"),
        ("seccomp={}", "defaultAction is missing"),
        ("no-new-privilege", "invalid security option"),
        ("apparmor", "invalid security option"),
    ):
        refused = engine.run("run", "--security-opt", option, "busybox", "true")
        assert (refused.exit_code, said in refused.stderr) == (125, True), refused.stderr
    assert engine.containers() == []


def test_stats_are_the_kernels_numbers(engine: EngineUnderTest) -> None:
    burn = "dd if=/dev/zero of=/dev/shm/x bs=1M count=8; seq 99999 | md5sum"
    engine.cli(
        "run", "-d", "--name", "busy", "-m", "64m", "--pids-limit", "50", "busybox",
        "sh", "-c", f"{burn}; sleep 600 & exec sleep 600",
    )  # fmt: skip
    engine.cli("exec", "busy", "sh", "-c", "while [ ! -e /dev/shm/x ]; do sleep 0.05; done")
    container = engine.inspect("busy")
    groups = control_groups(container["State"]["Pid"], container["Id"])

    def kernel(controller: str, v1: str, v2: str) -> int:
        directory = groups.get(controller) if layout() != "v2" else groups[""]
        assert directory is not None
        return int((directory / (v2 if layout() == "v2" else v1)).read_text().split()[0])

    def cpu_ns() -> int:
        if layout() != "v2":
            return kernel("cpuacct", "cpuacct.usage", "")
        return int((groups[""] / "cpu.stat").read_text().split()[1]) * 1000

    before_ns = cpu_ns()
    _, told = engine.request("GET", "/containers/busy/stats?stream=0&one-shot=1")
    after_ns = cpu_ns()
    assert before_ns <= told["cpu_stats"]["cpu_usage"]["total_usage"] <= after_ns
    memory = told["memory_stats"]
    assert memory["limit"] == kernel("memory", "memory.limit_in_bytes", "memory.max") == 64 << 20
    used = kernel("memory", "memory.usage_in_bytes", "memory.current")
    assert memory["usage"] == pytest.approx(used, rel=0.05)
    assert memory["usage"] > 8 << 20
    assert told["pids_stats"] == {"current": kernel("pids", "pids.current", "pids.current"),
                                  "limit": 50}  # fmt: skip
    engine.cli("rm", "-f", "busy")
