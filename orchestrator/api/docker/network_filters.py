"""Which networks a list shows and a prune removes. Pure.

Source: the Docker Engine API reference, "NetworkList" and "NetworkPrune", filters.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.model.observed import Network
from orchestrator.wire.filters import Filters
from orchestrator.wire.times import moment_of

LISTING = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")
PRUNING = ("label", "label!", "until")
_BUILT_IN = ("bridge", "host", "none")


def listed(filters: Filters, used: Callable[[Network], bool]) -> Callable[[Network], bool]:
    """Whether a network is asked for; `used` tells whether a container is on it.

    Raises: InvalidInput: a value means nothing.
    """
    kinds = filters.one_of("type", ("custom", "builtin"))
    dangling = filters.flag("dangling")
    filters.one_of("scope", ("local", "swarm", "global"))

    def wanted(network: Network) -> bool:
        built_in = network.name in _BUILT_IN
        return (
            filters.exact("driver", network.driver)
            and filters.prefix("id", network.id)
            and filters.pattern("name", network.name)
            and filters.labels(network.labels)
            and filters.exact("scope", "local")
            and (not kinds or ("builtin" if built_in else "custom") in kinds)
            and (dangling is None or dangling == (not built_in and not used(network)))
        )

    return wanted


def pruned(filters: Filters, now: float) -> Callable[[Network], bool]:
    """Whether a network that nobody is on is to go.  Raises: InvalidInput."""
    until = filters.each("until", lambda text: moment_of(text, now), "a time")

    def wanted(network: Network) -> bool:
        old = all(network.created_at < moment for moment in until)
        return old and filters.labels(network.labels)

    return wanted
