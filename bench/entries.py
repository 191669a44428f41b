"""Everything that can be measured, in the order of the report."""

from __future__ import annotations

from bench.builds import BUILDS
from bench.entry import Benchmark
from bench.floor import FLOORS
from bench.growth import GROWTH
from bench.images import IMAGES
from bench.lifecycles import LIFECYCLES
from bench.networks import NETWORKS
from bench.rest import REST
from bench.stacks import STACKS

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (*FLOORS, *LIFECYCLES, *STACKS, *IMAGES, *BUILDS, *NETWORKS, *REST, *GROWTH)
}
