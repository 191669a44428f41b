"""Which cgroup layout a machine has."""

from __future__ import annotations

import pytest

from orchestrator.runtime.cgroups import Layout, layout

V1 = (
    "30 20 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory\n"
)
UNIFIED = "32 30 0:28 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw\n"
HIDDEN = "33 32 0:29 / /sys/fs/cgroup/unified rw - tmpfs pystack rw\n"
V2 = "40 20 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        (V1, "v1"),
        (V1 + UNIFIED, "hybrid"),
        (V1 + UNIFIED + HIDDEN, "v1"),
        (V2, "v2"),
        (V1 + UNIFIED + V2, "v2"),
    ],
)
def test_the_layout_is_what_is_mounted_last(mountinfo: str, expected: Layout) -> None:
    assert layout(mountinfo) == expected
