"""Asking a published port, as a user's browser would."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request


def get(url: str, *, timeout_s: float = 10.0) -> str:
    """The body of the answer. Raises OSError when there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        return str(answer.read().decode())


def answers(url: str) -> bool:
    """Whether the port answers with a success now."""
    try:
        get(url, timeout_s=2)
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False
    return True
