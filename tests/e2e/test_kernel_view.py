"""What the kernel has of a container's network, read by a netlink library that is not ours."""

from __future__ import annotations

import pytest
from pyroute2 import IPRoute

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub", "emptied")


def test_a_container_has_the_interface_addresses_and_routes_that_inspect_tells(
    engine: EngineUnderTest,
) -> None:
    engine.cli("network", "create", "--subnet", "10.77.0.0/24", "--ipv6", "--subnet",
               "fd77::/64", "-o", "com.docker.network.driver.mtu=1400", "lab")  # fmt: skip
    engine.cli("run", "-d", "--init", "--name", "probe", "--network", "lab", "--ip", "10.77.0.9",
               "--mac-address", "02:42:0a:4d:00:09", "busybox", "sleep", "1000")  # fmt: skip
    found = engine.inspect("probe")
    told = found["NetworkSettings"]["Networks"]["lab"]
    with IPRoute(netns=f"/proc/{found['State']['Pid']}/ns/net") as kernel:
        [link] = [each for each in kernel.get_links() if each.get("ifname") == "eth0"]
        assert link.get("address") == told["MacAddress"] == "02:42:0a:4d:00:09"
        assert link.get("mtu") == 1400
        assert link["state"] == "up"
        addresses = {
            (each.get("address"), each["prefixlen"])
            for each in kernel.get_addr(index=link["index"])
            if not each.get("address").startswith("fe80:")
        }
        assert addresses == {("10.77.0.9", 24), (told["GlobalIPv6Address"], 64)}
        for family, gateway in ((2, told["Gateway"]), (10, told["IPv6Gateway"])):
            routes = [r for r in kernel.get_routes(family=family) if r["dst_len"] == 0]
            assert gateway in [r.get("gateway") for r in routes], (family, gateway)
    with IPRoute() as kernel:
        bridges = [each for each in kernel.get_links() if each.get("ifname", "").startswith("ps-")]
        masters = {each["index"] for each in bridges}
        ports = [each for each in kernel.get_links() if each.get("master") in masters]
        assert [each.get("mtu") for each in ports] == [1400]
    engine.cli("rm", "-f", "probe")
    engine.cli("network", "rm", "lab")
