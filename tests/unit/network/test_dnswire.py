"""DNS messages as bytes."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.network import dnswire

LABELS = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=20),
    min_size=1,
    max_size=5,
)


def query(name: str, kind: int = dnswire.A, *, edns: int = 0, identifier: int = 0x1234) -> bytes:
    head = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 1 if edns else 0)
    extra = struct.pack("!BHHIH", 0, dnswire.OPT, edns, 0, 0) if edns else b""
    return head + dnswire.name_data(name) + struct.pack("!HH", kind, 1) + extra


@settings(deadline=None)
@given(LABELS, st.integers(0, 65535), st.sampled_from([0, 1232, 4096]))
def test_a_question_is_read_as_it_was_written(
    labels: list[str], identifier: int, edns: int
) -> None:
    name = ".".join(labels)
    found = dnswire.parse_question(query(name, edns=edns, identifier=identifier))
    assert (found.identifier, found.name, found.kind) == (identifier, name.lower(), dnswire.A)
    assert found.room == (edns or 512)


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_no_bytes_break_the_reading(packet: bytes) -> None:
    with contextlib.suppress(dnswire.MalformedError):
        dnswire.parse_question(packet)
    with contextlib.suppress(dnswire.MalformedError):
        dnswire.lifetimes(packet)
    dnswire.refusal(packet, dnswire.FORMERR)


def test_an_answer_repeats_the_question_and_holds_every_address() -> None:
    packet = query("Web")
    answer = dnswire.reply(packet, dnswire.parse_question(packet), [b"\1\2\3\4", b"\5\6\7\x08"], 9)
    assert answer[:12] == struct.pack("!HHHHHH", 0x1234, 0x8580, 1, 2, 0, 0)
    assert answer[12:21] == packet[12:21], "the letters as they were asked with"
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 9, 4)
    assert answer[21:] == record + b"\1\2\3\4" + record + b"\5\6\7\x08"
    assert dnswire.answers_to(packet, answer)


def test_an_answer_that_does_not_fit_is_cut_between_records_and_says_so() -> None:
    packet = query("web")
    answer = dnswire.reply(packet, dnswire.parse_question(packet), [bytes(4)] * 100, 1, room=512)
    assert dnswire.is_truncated(answer)
    count = int.from_bytes(answer[6:8], "big")
    assert (len(answer), count) == (21 + 16 * 30, 30)


def test_a_forwarded_answer_that_does_not_fit_is_only_its_question() -> None:
    packet = query("web")
    answer = dnswire.reply(packet, dnswire.parse_question(packet), [bytes(4)] * 100, 1)
    cut = dnswire.truncated(answer, 512)
    assert dnswire.is_truncated(cut)
    assert cut[4:12] == b"\0\1" + bytes(6)
    assert cut[12:] == packet[12:]
    assert dnswire.truncated(answer, 65535) == answer


def test_an_answer_to_another_question_is_not_taken() -> None:
    packet, other = query("web"), query("db")
    answer = dnswire.reply(other, dnswire.parse_question(other), [bytes(4)], 1)
    assert not dnswire.answers_to(packet, answer)
    assert not dnswire.answers_to(packet, packet), "a query is no answer"


def test_a_refusal_says_only_its_code() -> None:
    packet = query("web", edns=1232)
    answer = dnswire.refusal(packet, dnswire.SERVFAIL)
    assert answer == struct.pack("!HHHHHH", 0x1234, 0x8182, 1, 0, 0, 0) + packet[12:21]
    assert dnswire.refusal(answer, dnswire.FORMERR) == b"", "answers are not answered"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("2.0.210.10.in-addr.arpa", "10.210.0.2"),
        ("1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"),
        ("10.in-addr.arpa", ""),
        ("web", ""),
    ],
)
def test_reverse_names_are_read(name: str, address: str) -> None:
    assert dnswire.reverse_address(name) == address


def test_lifetimes_are_where_the_records_say() -> None:
    packet = query("web")
    answer = dnswire.reply(packet, dnswire.parse_question(packet), [bytes(4), bytes(4)], 77)
    fields = dnswire.lifetimes(answer)
    assert [int.from_bytes(answer[at : at + 4], "big") for at in fields] == [77, 77]
