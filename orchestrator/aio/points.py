"""Moments just before something outside this process is changed.

Told to Python's audit hooks, of which a usual process has none: whoever wants to see what happens
when an engine dies at each of them adds one (`sys.addaudithook`). Files and child processes are
told by Python itself.
"""

from __future__ import annotations

import sys

EVENT = "pystack.point"


def reach(what: str, about: str = "") -> None:
    """Nothing; `what` is about to be done, to `about`."""
    sys.audit(EVENT, what, about)
