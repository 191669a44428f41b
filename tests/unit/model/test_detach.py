"""The keys that detach: how they are written, and how they are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.model.detach import DEFAULT, DetachKeys, key_bytes


def test_keys_are_written_as_docker_has_them() -> None:
    assert key_bytes(DEFAULT) == b"\x10\x11"
    assert key_bytes("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_") == b"\x00\x1b\x1c\x1d\x1e\x1f"
    assert key_bytes("a,Q,DEL,ctrl-A") == b"aQ\x7f\x01"
    assert key_bytes("") == b""


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "ctrl-ab", "a,,b", "ä"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        key_bytes(text)


def test_the_keys_may_come_in_pieces_and_nothing_after_them_counts() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"abc\x10") == (b"abc", False)
    assert keys.feed(b"\x11def") == (b"", True)


def test_what_only_began_as_the_keys_is_handed_on() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.feed(b"\x10") == (b"\x10", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"\x10") == (b"", False)
    assert keys.rest() == b"\x10"
    assert keys.rest() == b""


@given(st.lists(st.binary(max_size=8)), st.binary(min_size=2, max_size=3))
def test_without_the_keys_everything_arrives(pieces: list[bytes], wanted: bytes) -> None:
    data = b"".join(pieces)
    keys = DetachKeys(wanted)
    passed = b""
    for piece in pieces:
        more, detached = keys.feed(piece)
        passed += more
        if detached:
            assert wanted in data
            assert data.startswith(passed + wanted)
            return
    assert passed + keys.rest() == data


def test_no_keys_find_nothing() -> None:
    keys = DetachKeys(b"")
    assert keys.feed(b"\x10\x11") == (b"\x10\x11", False)
    assert keys.rest() == b""
