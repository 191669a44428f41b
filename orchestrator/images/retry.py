"""When a request is tried again, and how long after. Pure."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
TRIES = 5
_FIRST_S = 0.5
_LONGEST_S = 20.0
_PATIENCE_S = 120.0


def delay_s(attempt: int, retry_after: str = "") -> float | None:
    """Seconds to wait before another try after failure number `attempt` (from 1); None means give
    up. A server's Retry-After is honoured, unless it asks for more patience than two minutes.

    Source: RFC 9110, 10.2.3.
    """
    if attempt >= TRIES:
        return None
    if retry_after:
        asked = _seconds(retry_after)
        if asked is not None:
            return asked if asked <= _PATIENCE_S else None
    base: float = min(_LONGEST_S, _FIRST_S * 2 ** (attempt - 1))
    # Half of it at random, so that a fleet does not come back in step.
    return base * (0.5 + random.random() / 2)


def _seconds(text: str) -> float | None:
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
