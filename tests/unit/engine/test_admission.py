"""What a container may ask for, and what it does without."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.engine.admission import admit
from orchestrator.engine.link_variables import link_variables
from orchestrator.engine.mount_plan import planned_mounts
from orchestrator.errors import InvalidInput
from orchestrator.images.manifest import host_platform
from orchestrator.model.container import Attachment, ContainerSpec, DeviceLimit, Mount, Resources
from orchestrator.model.image import Image, ImageConfig
from orchestrator.model.observed import Container, Endpoint
from orchestrator.runtime.capabilities import NAMES
from orchestrator.runtime.host import Host
from orchestrator.runtime.kernel_limits import LIMITS

HOST = Host(capabilities=frozenset(NAMES), cpus=4)


def admitted(
    *,
    lacking: frozenset[str] = frozenset(),
    host: Host = HOST,
    image: ImageConfig | None = None,
    **spec: Any,
) -> tuple[str, ...]:
    return admit(
        ContainerSpec(image="x", **spec), image or ImageConfig(), host,
        lacking=lacking, runtimes=("crun",),
    )  # fmt: skip


def test_an_ordinary_container_is_admitted_in_silence() -> None:
    limits = Resources(memory_bytes=64 << 20, nano_cpus=4 * 10**9, cpuset_cpus="0-2,3")
    assert admitted(resources=limits, runtime="crun", sysctls={"net/ipv4/x": "1"}) == ()
    assert admitted(ipc_mode="container:x", pid_mode="host", userns_mode="host") == ()


@pytest.mark.parametrize("limit", sorted(LIMITS - {"cpu-rt"}))
def test_a_limit_that_the_kernel_lacks_is_left_out_with_a_warning(limit: str) -> None:
    disk = (DeviceLimit(path="/dev/x", value=20),)
    limits = Resources(
        memory_bytes=64 << 20, memory_swappiness=3, oom_kill_disable=True, blkio_weight=20,
        device_read_bps=disk,
    )  # fmt: skip
    assert admitted(resources=limits) == ()
    (warning,) = admitted(resources=limits, lacking=frozenset([limit]))
    assert "does not support" in warning


def test_other_warnings() -> None:
    no_swap = Host(capabilities=frozenset(NAMES), cpus=4, swap=False)
    assert "without swap" in admitted(host=no_swap, resources=Resources(memory_bytes=8 << 20))[0]
    assert "no memory limit" in admitted(resources=Resources(oom_kill_disable=True))[0]
    assert "discarded" in admitted(network_mode="host", publish_all=True)[0]
    foreign = ImageConfig(architecture="s390x")
    assert "linux/s390x" in admitted(image=foreign)[0]
    assert admitted(image=foreign, platform="linux/s390x") == ()
    assert admitted(image=ImageConfig(architecture=host_platform().architecture)) == ()


@pytest.mark.parametrize(
    "spec",
    [
        {"uts_mode": "host", "hostname": "x"},
        {"network_mode": "container:x", "dns": ("1.1.1.1",)},
        {"ipc_mode": "host", "sysctls": {"kernel.shmmax": "1"}},
        {"sysctls": {"vm.swappiness": "1"}},
        {"cgroupns_mode": "container:x"},
        {"pid_mode": "container:"},
        {"resources": Resources(cpuset_cpus="4")},
        {"resources": Resources(cpuset_mems="a")},
        {"resources": Resources(cpu_period_us=10)},
        {"resources": Resources(cpu_quota_us=10)},
        {"resources": Resources(memory_swap_bytes=64 << 20)},
        {"resources": Resources(memory_bytes=64 << 20, memory_reservation_bytes=65 << 20)},
        {"resources": Resources(blkio_weight_device=(DeviceLimit(path="/dev/x", value=1),))},
    ],
)
def test_what_cannot_be_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        admitted(**spec)
    assert caught.value.hint


def test_real_time_limits_are_refused_where_the_kernel_has_none() -> None:
    limits = Resources(cpu_rt_runtime_us=1000)
    assert admitted(resources=limits) == ()
    with pytest.raises(InvalidInput):
        admitted(resources=limits, lacking=frozenset(["cpu-rt"]))


def container(name: str, *mounts: Mount, **spec: Any) -> Container:
    return Container(
        id=name * 8, name=name, spec=ContainerSpec(image="x", **spec), image_id="i",
        created_at=0.0, mounts=mounts,
    )  # fmt: skip


def test_own_mounts_win_over_others_and_those_over_the_images() -> None:
    image = Image(id="sha:1", manifest_digest="", config=ImageConfig(volumes=("/a", "/c/", "/d")))
    other = container(
        "other",
        Mount(kind="volume", source="theirs", target="/a"),
        Mount(kind="bind", source="/h", target="/b"),
        Mount(kind="tmpfs", target="/t"),
    )
    spec = ContainerSpec(
        image="x",
        mounts=(
            Mount(kind="volume", source="mine", target="/c"),
            Mount(kind="image", source="busybox", target="/i"),
        ),
        volumes_from=("other:ro",),
    )
    planned = planned_mounts(
        spec, image, container=lambda _: other,
        found=lambda _: Image(id="sha:2", manifest_digest="", config=ImageConfig()),
    )  # fmt: skip
    assert planned == [
        Mount(kind="volume", source="mine", target="/c"),
        Mount(kind="image", source="busybox", target="/i", image_id="sha:2"),
        Mount(kind="volume", source="theirs", target="/a", read_only=True),
        Mount(kind="bind", source="/h", target="/b", read_only=True),
        Mount(kind="volume", target="/d"),
    ]


def test_a_link_tells_by_variables() -> None:
    there = Endpoint(network_id="n", network_name="bridge", interface="eth0", ipv4="10.0.0.2")
    database = Container(
        id="d", name="db-1", image_id="i", created_at=0.0, endpoints=(there,),
        spec=ContainerSpec(image="x", environment={"USER": "u"}, expose=("5432/tcp",)),
    )  # fmt: skip
    linked = container(
        "web",
        attachments=(
            Attachment(network="bridge", links=("db-1:the-db", "gone:x")),
            Attachment(network="mine", links=("db-1:other",)),
        ),
    )
    records = {"db-1": database}
    image = ImageConfig(environment=("PATH=/bin", "V=1"))
    assert link_variables(linked, records.get, lambda _: image) == {
        "THE_DB_NAME": "/web/the-db",
        "THE_DB_PORT": "tcp://10.0.0.2:5432",
        "THE_DB_PORT_5432_TCP": "tcp://10.0.0.2:5432",
        "THE_DB_PORT_5432_TCP_ADDR": "10.0.0.2",
        "THE_DB_PORT_5432_TCP_PORT": "5432",
        "THE_DB_PORT_5432_TCP_PROTO": "tcp",
        "THE_DB_ENV_V": "1",
        "THE_DB_ENV_USER": "u",
    }
