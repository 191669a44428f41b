from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.client.engine import Engine, quote, value_of
from orchestrator.client.frames import Frames
from orchestrator.client.http import _Chunked
from orchestrator.errors import Conflict, Failed, NotFound, Unavailable
from tests.unit.client.fake_engine import CHUNKED, LAST, FakeEngine, as_json, chunk, json_lines


def test_a_value_is_fetched_and_its_query_is_encoded(fake: FakeEngine) -> None:
    fake.on("GET /containers/json", as_json([{"Id": "a"}]))
    query = {"label": ["a=b c"]}
    found = fake.engine().get(
        "/containers/json", all=True, size=False, name="", filters=json.dumps(query)
    )
    assert found == [{"Id": "a"}]
    assert fake.asked() == [
        "GET /containers/json?all=1&filters=%7B%22label%22%3A%20%5B%22a%3Db%20c%22%5D%7D"
    ]


def test_a_body_is_sent_as_json_with_its_length(fake: FakeEngine) -> None:
    fake.on("POST /x", as_json({"Id": "1"}, status=201))
    assert fake.engine().post("/x", {"a": ["ü"]}) == {"Id": "1"}
    request = fake.request("POST /x")
    assert request.json() == {"a": ["ü"]}
    assert request.headers["content-type"] == "application/json"


def test_an_answer_without_a_body_is_none(fake: FakeEngine) -> None:
    fake.on("DELETE /x", b"HTTP/1.1 204 No Content\r\n\r\n")
    assert fake.engine().delete("/x") is None


def test_lines_are_told_apart_however_they_arrive(fake: FakeEngine) -> None:
    fake.on(
        "GET /l", [CHUNKED, chunk(b'{"a":1}\n{"b"'), chunk(b":2}\n\n"), chunk(b'{"c":3}'), LAST]
    )
    assert list(fake.engine().lines("GET", "/l")) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_a_stream_ticks_while_nothing_comes(fake: FakeEngine) -> None:
    def slow(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + chunk(b'{"a":1}\n'))
        connection.recv(1)  # until the client has ticked and gone

    fake.on("GET /l", slow)
    stream = fake.engine().lines("GET", "/l", tick_s=0.01)
    assert next(stream) == {"a": 1}
    assert next(stream) is None
    stream.close()  # type: ignore[attr-defined]


def test_an_engine_that_dies_in_the_middle_is_told_as_that(fake: FakeEngine) -> None:
    fake.on("GET /l", CHUNKED + chunk(b'{"a":1}\n') + b"1")
    stream = fake.engine().lines("GET", "/l")
    assert next(stream) == {"a": 1}
    with pytest.raises(Unavailable) as caught:
        next(stream)
    assert caught.value.code == "engine-gone"


def test_an_engine_that_dies_before_it_answers_is_told_as_that(fake: FakeEngine) -> None:
    fake.on("GET /l", b"")
    with pytest.raises(Unavailable) as caught:
        fake.engine().get("/l")
    assert caught.value.code == "engine-gone"


def test_a_short_answer_with_a_length_is_an_engine_that_died(fake: FakeEngine) -> None:
    fake.on("GET /l", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    with pytest.raises(Unavailable):
        fake.engine().get("/l")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (409, Conflict), (500, Failed), (503, Unavailable)]
)
def test_an_error_comes_back_as_its_class_with_everything_it_says(
    fake: FakeEngine, status: int, kind: type[Exception]
) -> None:
    said = {"message": "port 80 is in use", "code": "port-in-use", "about": "80", "hint": "free it"}
    fake.on("POST /x", as_json(said, status=status))
    with pytest.raises(kind) as caught:
        fake.engine().post("/x")
    error = caught.value
    assert {name: getattr(error, name) for name in said} == said


def test_an_error_that_is_no_json_keeps_its_text(fake: FakeEngine) -> None:
    fake.on("GET /x", b"HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nbroken")
    with pytest.raises(Failed, match="broken"):
        fake.engine().get("/x")


def test_a_stream_is_sent_in_chunks(fake: FakeEngine) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        yield b""
        yield b"d" * 20

    fake.on("POST /load", json_lines({"stream": "ok"}))
    assert list(fake.engine().lines("POST", "/load", content=pieces())) == [{"stream": "ok"}]
    assert fake.request("POST /load").body == b"3\r\nabc\r\n14\r\n" + b"d" * 20 + b"\r\n0\r\n\r\n"


def test_a_hijacked_connection_is_raw_both_ways(fake: FakeEngine) -> None:
    def echo(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly")
        connection.sendall(connection.recv(100).upper())

    fake.on("POST /attach", echo)
    connection, early = fake.engine().hijack("/attach", stream=True)
    with connection:
        connection.sendall(b"hello")
        received = early
        while len(received) < 10:
            received += connection.recv(100)
    assert received == b"earlyHELLO"
    assert fake.request("POST /attach").headers["upgrade"] == "tcp"


def test_an_answers_head_can_be_had_before_its_body(fake: FakeEngine) -> None:
    def late(connection: socket.socket) -> None:
        connection.sendall(CHUNKED)
        connection.recv(1)
        connection.sendall(chunk(b'{"StatusCode": 3}') + LAST)

    fake.on("POST /wait", late)
    ended = fake.engine().open("POST", "/wait", query={"condition": "removed"})
    connection, early = ended.hijack()
    assert early == b""
    connection.sendall(b"x")
    assert value_of(ended) == {"StatusCode": 3}


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_by_its_status_is_not_waited_for(fake: FakeEngine, status: int) -> None:
    fake.on(
        "POST /x",
        lambda connection: [  # type: ignore[arg-type,return-value]
            connection.sendall(f"HTTP/1.1 {status} X\r\n\r\n".encode()),
            connection.recv(1),
        ],
    )
    assert fake.engine().post("/x") is None


def test_something_else_at_the_socket_is_named_as_that(fake: FakeEngine) -> None:
    fake.on("GET /x", b"SSH-2.0-OpenSSH\r\n\r\n")
    with pytest.raises(Unavailable) as caught:
        fake.engine().get("/x")
    assert caught.value.code == "not-an-engine"


@given(st.lists(st.binary(min_size=1)), st.integers(min_value=1, max_value=9))
def test_a_chunked_body_is_the_same_however_it_is_cut(pieces: list[bytes], step: int) -> None:
    sent = b"".join(chunk(piece) for piece in pieces) + LAST
    body = _Chunked()
    got = b"".join(body.feed(sent[at : at + step]) for at in range(0, len(sent), step))
    assert (got, body.done) == (b"".join(pieces), True)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1))), st.integers(1, 20))
def test_frames_are_the_same_however_they_are_cut(
    frames: list[tuple[int, bytes]], step: int
) -> None:
    sent = b"".join(bytes([s, 0, 0, 0]) + len(c).to_bytes(4, "big") + c for s, c in frames)
    reader = Frames()
    got = [part for at in range(0, len(sent), step) for part in reader.feed(sent[at : at + step])]
    for stream in (1, 2):
        expected = b"".join(content for number, content in frames if number == stream)
        assert b"".join(content for number, content in got if number == stream) == expected


def test_a_path_segment_is_quoted_by_bytes() -> None:
    assert quote("a/b c:ü~1") == "a%2Fb%20c%3A%C3%BC~1"


def test_an_engine_opens_a_connection_per_request(fake: FakeEngine) -> None:
    opened = []

    def connect() -> socket.socket:
        opened.append(fake.connect())
        return opened[-1]

    fake.on("GET /x", as_json(1))
    engine = Engine(connect)
    assert (engine.get("/x"), engine.get("/x")) == (1, 1)
    assert len(opened) == 2
    assert all(connection.fileno() == -1 for connection in opened), "and closes each"
