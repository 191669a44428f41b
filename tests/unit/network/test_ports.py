"""Addresses that ports are published at."""

from __future__ import annotations

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.network import ports


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ""),
        ("*", ""),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FD00::1", "fd00::1"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert ports.address(text) == address


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput):
        ports.address("example.org")
