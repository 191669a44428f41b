"""What `stats` makes of two samples."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.columns import Shown
from orchestrator.cli.container.stats import Use, columns


def sample(total: int, system: int, **more: Any) -> dict[str, Any]:
    return {
        "cpu_stats": {
            "cpu_usage": {"total_usage": total},
            "system_cpu_usage": system,
            "online_cpus": 4,
        },
        **more,
    }


NOW = sample(
    3_000, 20_000,
    memory_stats={"usage": 2 << 20, "limit": 8 << 20, "stats": {"inactive_file": 1 << 20}},
    networks={"eth0": {"rx_bytes": 1500, "tx_bytes": 2}, "eth1": {"rx_bytes": 500, "tx_bytes": 0}},
    blkio_stats={"io_service_bytes_recursive": [
        {"op": "Read", "value": 1000}, {"op": "write", "value": 10}, {"op": "total", "value": 1010},
    ]},
    pids_stats={"current": 7},
)  # fmt: skip


def test_a_line_has_shares_and_sums() -> None:
    use = Use("web", "a" * 64, "web", NOW, sample(1_000, 10_000))
    shown = Shown(columns(), "")
    head, row = shown.lines([use])
    assert head.split("  ")[0] == "CONTAINER ID"
    assert row.split() == [
        "a" * 12, "web", "80.00%", "1MiB", "/", "8MiB", "12.50%", "2kB", "/", "2B",
        "1kB", "/", "10B", "7",
    ]  # fmt: skip


def test_a_container_that_does_not_run_is_told_with_dashes() -> None:
    use = Use("", "b" * 64, "off", {"cpu_stats": {"cpu_usage": {"total_usage": 0}}})
    line = next(iter(Shown(columns(), "{{.Container}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}")
                     .lines([use])))  # fmt: skip
    assert line == f"{'b' * 12} -- -- / -- --"


def test_counters_that_began_anew_are_no_negative_share() -> None:
    assert Use("", "c", "c", sample(1, 20_000), sample(5_000, 10_000)).cpu_percent == 0
    assert Use("", "c", "c", sample(1, 20_000)).cpu_percent == 0
