"""pause, rename, update, top, stats and port: what can be asked of a container that exists."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.runtime.groups import control_groups
from tests.support.engine import EngineUnderTest, Result
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")
_BUSY = "i=0; while :; do i=$((i+1)); done"


@pytest.fixture
def run(engine: EngineUnderTest) -> Iterator[Callable[..., str]]:
    """Runs a container in the background by its name; removed at the end."""
    made: list[str] = []

    def start(name: str, *args: str) -> str:
        made.append(name)
        return engine.cli("run", "-d", "--name", name, *args).stdout.strip()

    yield start
    for each in engine.containers():
        engine.cli("rm", "-f", "-v", each["Id"])


def refused(result: Result, text: str) -> None:
    assert result.exit_code == 1, result.output
    assert text in result.stderr


def state(engine: EngineUnderTest, name: str) -> str:
    return str(engine.inspect(name)["State"]["Status"])


def frozen(engine: EngineUnderTest, name: str) -> bool:
    """Whether the container's counter stands still."""
    found = engine.inspect(name)
    group = control_groups(found["State"]["Pid"], found["Id"])
    usage = group["cpuacct"] / "cpuacct.usage" if "cpuacct" in group else group[""] / "cpu.stat"
    before = usage.read_text()
    time.sleep(0.2)
    return usage.read_text() == before


def test_a_paused_container_stands_still_until_it_is_unpaused_also_over_engines(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("busy", "busybox", "sh", "-c", _BUSY)
    assert not frozen(engine, "busy")
    assert engine.cli("pause", "busy").stdout == "busy\n"
    assert (state(engine, "busy"), frozen(engine, "busy")) == ("paused", True)
    assert "(Paused)" in engine.cli("ps").stdout
    refused(engine.run("pause", "busy"), "Container busy is already paused")
    refused(engine.run("exec", "busy", "true"), "paused")
    engine.kill9()
    engine.start()
    assert (state(engine, "busy"), frozen(engine, "busy")) == ("paused", True)
    assert engine.cli("container", "unpause", "busy").stdout == "busy\n"
    assert (state(engine, "busy"), frozen(engine, "busy")) == ("running", False)
    refused(engine.run("unpause", "busy"), "Container busy is not paused")
    engine.cli("pause", "busy")
    engine.cli("stop", "-t", "0", "busy")
    assert state(engine, "busy") == "exited"
    refused(engine.run("pause", "busy"), "Container busy is not running")


def test_health_probes_wait_while_their_container_is_paused(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run(
        "well", "--health-cmd", "true", "--health-interval", "100ms", "--health-timeout", "300ms",
        "--health-retries", "1", "busybox", "sleep", "1000",
    )  # fmt: skip

    def health() -> str:
        return str(engine.inspect("well")["State"]["Health"]["Status"])

    wait_until(lambda: health() == "healthy", "the container is healthy")
    engine.cli("pause", "well")
    time.sleep(1)
    assert health() == "healthy"
    engine.cli("unpause", "well")
    log = engine.inspect("well")["State"]["Health"]["Log"]
    assert [probe["ExitCode"] for probe in log if probe["ExitCode"]] == []


def test_a_renamed_container_is_found_by_its_peers_under_the_new_name(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    engine.cli("network", "create", "lan")
    run("asker", "--network", "lan", "busybox", "sleep", "1000")
    identifier = run("old", "--network", "lan", "busybox", "sleep", "1000")
    ask = ("exec", "asker", "nslookup", "-type=a")
    address = engine.inspect("old")["NetworkSettings"]["Networks"]["lan"]["IPAddress"]
    assert address in engine.cli(*ask, "old").stdout
    assert engine.cli("rename", "old", "new").output == ""
    assert address in engine.cli(*ask, "new").stdout
    assert engine.run(*ask, "old").exit_code == 1
    assert "new" in engine.cli("exec", "asker", "cat", "/etc/hosts").stdout.split()
    assert engine.inspect("new")["Id"] == identifier
    refused(engine.run("rename", "new", "asker"), "already in use")
    refused(engine.run("rename", "new", "not a name"), "not a name")
    refused(engine.run("rename", "nobody", "else"), "No such container: nobody")
    engine.cli("restart", "-t", "0", "new")
    assert address in engine.cli(*ask, "new").stdout
    engine.cli("rm", "-f", "new", "asker")
    engine.cli("network", "rm", "lan")


def test_a_link_can_be_taken_away(engine: EngineUnderTest, run: Callable[..., str]) -> None:
    run("db", "busybox", "sleep", "1000")
    run("web", "--link", "db:database", "busybox", "sleep", "1000")
    hosts = ("exec", "web", "cat", "/etc/hosts")
    assert "database" in engine.cli(*hosts).stdout
    assert engine.cli("rm", "--link", "/web/database").stdout == "/web/database\n"
    wait_until(lambda: "database" not in engine.cli(*hosts).stdout, "the name is gone")
    refused(engine.run("rm", "-l", "web/database"), "container web has no link database")
    assert state(engine, "web") == "running"


def test_a_stop_asks_by_the_signal_it_is_given(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("polite", "busybox", "sh", "-c", "trap 'exit 5' USR1; while :; do sleep 0.1; done")
    engine.cli("stop", "--signal", "USR1", "-t", "-1", "polite")
    assert engine.inspect("polite")["State"]["ExitCode"] == 5
    engine.cli("start", "polite")
    refused(engine.run("stop", "-s", "NOPE", "polite"), "no such signal: NOPE")
    assert state(engine, "polite") == "running"
    many = engine.run("rm", "-f", "polite", "nobody")
    assert (many.exit_code, many.stdout) == (0, "polite\n")
    assert "No such container: nobody" in many.stderr


def limits(engine: EngineUnderTest, name: str) -> dict[str, str]:
    """What the kernel holds the container to."""
    found = engine.inspect(name)
    groups = control_groups(found["State"]["Pid"], found["Id"])
    v1 = {
        "quota": ("cpu", "cpu.cfs_quota_us"), "shares": ("cpu", "cpu.shares"),
        "cpus": ("cpuset", "cpuset.cpus"), "memory": ("memory", "memory.limit_in_bytes"),
        "soft": ("memory", "memory.soft_limit_in_bytes"), "pids": ("pids", "pids.max"),
    }  # fmt: skip
    return {
        name: (groups[controller] / file).read_text().strip()
        for name, (controller, file) in v1.items()
    }


def test_limits_are_updated_while_a_container_runs_and_last(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("held", "busybox", "sleep", "1000")
    if "" in control_groups(engine.inspect("held")["State"]["Pid"], "held"):
        pytest.skip("reads v1's files")
    update = (
        "update", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "-m", "64m",
        "--memory-swap", "128m", "--memory-reservation", "32m", "--pids-limit", "20",
        "--restart", "on-failure:3", "held",
    )  # fmt: skip
    assert engine.cli(*update).stdout == "held\n"
    expected = {
        "quota": "50000", "shares": "512", "cpus": "0", "memory": str(64 << 20),
        "soft": str(32 << 20), "pids": "20",
    }  # fmt: skip
    assert limits(engine, "held") == expected
    host = engine.inspect("held")["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (
        500_000_000, 64 << 20, 128 << 20,
    )  # fmt: skip
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    engine.cli("update", "-m", "256m", "--memory-swap", "512m", "held")
    assert limits(engine, "held")["memory"] == str(256 << 20)
    engine.cli("update", "-m", "64m", "held")
    refused(engine.run("update", "-m", "1m", "held"), "memory")
    refused(engine.run("update", "--cpu-quota", "1000", "held"), "NanoCPUs")
    refused(engine.run("update", "-m", "1g", "held"), "memoryswap")
    assert engine.run("update", "held").exit_code != 0
    assert limits(engine, "held") == expected
    engine.kill9()
    engine.start()
    engine.cli("restart", "-t", "0", "held")
    assert limits(engine, "held") == expected
    engine.cli("update", "--pids-limit", "-1", "held")
    assert limits(engine, "held")["pids"] == "max"


def test_an_updated_restart_policy_counts_at_the_next_end(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("flap", "busybox", "sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.1; done")
    engine.cli("update", "--restart", "always", "flap")
    engine.cli("kill", "-s", "TERM", "flap")
    wait_until(lambda: engine.inspect("flap")["RestartCount"] == 1, "it was started again")
    engine.cli("update", "--restart", "no", "flap")
    wait_until(lambda: state(engine, "flap") == "running", "it runs")
    engine.cli("kill", "-s", "TERM", "flap")
    wait_until(lambda: state(engine, "flap") == "exited", "it stays down")
    engine.cli("create", "--rm", "--name", "once", "busybox", "true")
    refused(engine.run("update", "--restart", "always", "once"), "AutoRemove is enabled")


def test_top_shows_the_container_s_processes_and_no_others(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("one", "busybox", "sh", "-c", "sleep 1001 & sleep 1002")
    run("two", "busybox", "sleep", "1003")
    wait_until(lambda: "1001" in engine.cli("top", "one").stdout, "both sleep")
    titles, *rows = engine.cli("top", "one").stdout.splitlines()
    assert titles.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(row.split()[-1] for row in rows if row.split()[-2] == "sleep") == ["1001", "1002"]
    assert not any("1003" in row for row in rows)
    head, *rows = engine.cli("top", "two", "-o", "pid,cmd").stdout.splitlines()
    assert head.split() == ["PID", "CMD"]
    assert [row.split() for row in rows] == [
        [str(engine.inspect("two")["State"]["Pid"]), "sleep", "1003"]
    ]
    refused(engine.run("top", "two", "-o", "cmd"), "PID")
    engine.cli("stop", "-t", "0", "two")
    refused(engine.run("top", "two"), "not running")


def test_stats_agree_with_the_kernel(engine: EngineUnderTest, run: Callable[..., str]) -> None:
    run("busy", "--cpus", "0.3", "-m", "64m", "busybox", "sh", "-c", _BUSY)
    run("idle", "busybox", "sleep", "1000")
    engine.cli("create", "--name", "made", "busybox", "true")
    rows = {
        row["Name"]: row
        for row in map(
            json.loads, engine.cli("stats", "--no-stream", "--format", "json").stdout.splitlines()
        )
    }
    assert set(rows) == {"busy", "idle"}
    assert 5 < float(rows["busy"]["CPUPerc"].rstrip("%")) < 45
    assert float(rows["idle"]["CPUPerc"].rstrip("%")) < 5
    assert rows["busy"]["MemUsage"].endswith(" / 64MiB")
    assert rows["idle"]["PIDs"] == "1"
    table = engine.cli("stats", "--no-stream", "-a").stdout.splitlines()
    assert table[0].split("  ")[0] == "CONTAINER ID"
    assert table[1].split()[1:4] == ["made", "--", "--"]
    refused(engine.run("stats", "--no-stream", "nobody"), "No such container")

    found = engine.inspect("busy")
    groups = control_groups(found["State"]["Pid"], found["Id"])
    _, told = engine.request("GET", "/containers/busy/stats?stream=false")
    account = groups["cpuacct"] if "cpuacct" in groups else groups[""]
    if "cpuacct" in groups:
        now = int((account / "cpuacct.usage").read_text())
        assert 0 <= now - told["cpu_stats"]["cpu_usage"]["total_usage"] < 1_000_000_000
    assert told["memory_stats"]["limit"] == 64 << 20
    assert told["pids_stats"]["current"] == 1
    assert (told["name"], told["id"]) == ("/busy", found["Id"])
    before = told["precpu_stats"]["cpu_usage"]["total_usage"]
    spent = told["cpu_stats"]["cpu_usage"]["total_usage"] - before
    passed = told["cpu_stats"]["system_cpu_usage"] - told["precpu_stats"]["system_cpu_usage"]
    assert 0.05 < spent / passed * told["cpu_stats"]["online_cpus"] < 0.45
    interface = told["networks"]["eth0"]
    device = Path(f"/proc/{found['State']['Pid']}/net/dev").read_text()
    assert 0 < interface["rx_bytes"] <= int(device.partition("eth0:")[2].split()[0])
    _, once = engine.request("GET", "/containers/busy/stats?stream=0&one-shot=1")
    assert "system_cpu_usage" not in once["precpu_stats"]
    _, stopped = engine.request("GET", "/containers/made/stats?stream=0")
    assert (stopped["read"], stopped["name"]) == ("0001-01-01T00:00:00Z", "/made")


def test_port_tells_where_a_port_is_published(
    engine: EngineUnderTest, run: Callable[..., str]
) -> None:
    run("web", "-p", "127.0.0.1:8080:80", "-p", "127.0.0.1:5353:53/udp", "busybox", "sleep", "100")
    assert engine.cli("port", "web").stdout.splitlines() == [
        "53/udp -> 127.0.0.1:5353",
        "80/tcp -> 127.0.0.1:8080",
    ]
    assert engine.cli("port", "web", "80").stdout == "127.0.0.1:8080\n"
    assert engine.cli("container", "port", "web", "53/udp").stdout == "127.0.0.1:5353\n"
    refused(engine.run("port", "web", "81"), "no public port '81/tcp' published for web")
