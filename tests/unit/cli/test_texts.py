"""What is shown and how what is typed is read: pure."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import containers
from orchestrator.cli.arguments import moment
from orchestrator.cli.container.flags import container_arguments, create_body
from orchestrator.cli.container.ports import port_bindings
from orchestrator.cli.progress import LiveBoard, PlainBoard, watch
from orchestrator.cli.stack.follow import LogPrinter
from orchestrator.cli.system import event_line
from orchestrator.cli.table import table
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.units import bytes_of, seconds_of, size
from orchestrator.errors import Failed, InvalidInput, NotFound


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (999, "999B"), (4_261_550, "4.26MB"), (117e6, "117MB"), (2.5e12, "2.5TB")],
)
def test_a_size_has_three_digits(count: float, text: str) -> None:
    assert size(count) == text


def test_durations_and_sizes_are_read() -> None:
    assert [seconds_of(text) for text in ("90", "1m30s", "500ms", "1h")] == [90, 90, 0.5, 3600]
    assert [seconds_of(text) for text in ("5us", "1µs", "2ns")] == pytest.approx([5e-6, 1e-6, 2e-9])
    assert [bytes_of(text) for text in ("10", "64m", "1g", "2KiB", "1.5k")] == [
        10,
        64 << 20,
        1 << 30,
        2048,
        1536,
    ]
    for text in ("", "x", "1x", "1m x"):
        with pytest.raises(ValueError, match="is not a"):
            seconds_of(text)
        with pytest.raises(ValueError, match="is not a"):
            bytes_of(text)


def test_a_moment_is_a_duration_ago_a_date_or_a_number() -> None:
    assert moment("10m", 1000.0) == "400.000000"
    assert moment("1700000000.5", 0.0) == "1700000000.5"
    assert moment("2023-11-14T22:13:20+00:00", 0.0) == "1700000000.000000"


def test_columns_are_as_wide_as_they_need_and_ten_at_least() -> None:
    assert list(table(("A", "LONG", "B"), [("wide", "x", "1"), ("y", "long enough", "")])) == [
        "A         LONG          B",
        "wide      x             1",
        "y         long enough",
    ]


def port(private: int, public: int = 0, address: str = "0.0.0.0", kind: str = "tcp") -> Any:
    found: dict[str, Any] = {"PrivatePort": private, "Type": kind}
    return {**found, "PublicPort": public, "IP": address} if public else found


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(6379)], "6379/tcp"),
        ([port(80, 8080), port(443)], "443/tcp, 0.0.0.0:8080->80/tcp"),
        ([port(443), port(80, 8080, "::")], "443/tcp, [::]:8080->80/tcp"),
        ([port(80, 80), port(80, 80, "::"), port(81, 81), port(82, 8083), port(84, 84)],
         "0.0.0.0:80-81->80-81/tcp, [::]:80->80/tcp, 0.0.0.0:84->84/tcp, 0.0.0.0:8083->82/tcp"),
        ([port(53, 53, kind="udp"), port(53, 53), port(9000), port(9001)],
         "0.0.0.0:53->53/tcp, 0.0.0.0:53->53/udp, 9000-9001/tcp"),
    ],
)  # fmt: skip
def test_ports_are_shown_as_docker_shows_them(ports: list[Any], text: str) -> None:
    assert containers.ports({"Ports": ports}) == text


def test_a_long_command_is_cut_and_quoted() -> None:
    container = {"Command": "python3 -m http.server 8000"}
    assert containers.command(container) == '"python3 -m http.ser…"'
    assert containers.command(container, whole=True) == '"python3 -m http.server 8000"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", {"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
        ("8080:80", {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        ("127.0.0.1::80", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
        ("[::1]:8080:80/udp", {"80/udp": [{"HostIp": "::1", "HostPort": "8080"}]}),
        ("9000-9010:80", {"80/tcp": [{"HostIp": "", "HostPort": "9000-9010"}]}),
        (
            "8000-8001:80-81",
            {
                "80/tcp": [{"HostIp": "", "HostPort": "8000"}],
                "81/tcp": [{"HostIp": "", "HostPort": "8001"}],
            },
        ),
    ],
)
def test_a_published_port_is_read(text: str, expected: object) -> None:
    assert port_bindings([text]) == expected


@given(st.text(alphabet="0189:-[]/tcpud.x", max_size=20))
def test_a_malformed_port_is_named_and_nothing_else_happens(text: str) -> None:
    said = ""
    try:
        port_bindings([text])
    except InvalidInput as error:
        said = error.about
    assert said in ("", text)


def body_of(line: str, **environ: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser(add_help=False)
    container_arguments(parser)
    return create_body(parser.parse_args(line.split()), environ, attached=True)


def test_what_comes_after_the_image_is_the_containers() -> None:
    body = body_of("--rm -it -e A=1 busybox sh -c x --rm -e B=2")
    assert body["Image"] == "busybox"
    assert body["Cmd"] == ["sh", "-c", "x", "--rm", "-e", "B=2"]
    assert body["Env"] == ["A=1"]
    assert (body["Tty"], body["OpenStdin"], body["HostConfig"]["AutoRemove"]) == (True,) * 3


def test_a_variable_without_a_value_is_this_shells_or_taken_from_the_image() -> None:
    assert body_of("-e HOME -e NONE x", HOME="/root")["Env"] == ["HOME=/root", "NONE"]


def test_host_paths_become_absolute_and_anonymous_volumes_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    body = body_of("-v ./a:/a:ro -v data:/data -v /anon x")
    assert body["HostConfig"]["Binds"] == [f"{tmp_path}/a:/a:ro", "data:/data"]
    assert body["Volumes"] == {"/anon": {}}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("-v a:b x", "volume-invalid"),
        ("-v rel x", "volume-invalid"),
        ("-e =1 x", "variable-invalid"),
        ("--restart sometimes x", "restart-policy-invalid"),
        ("--rm --restart always x", "flags-conflict"),
        ("-p 0:80:90:1 x", "port-invalid"),
    ],
)
def test_a_malformed_flag_is_named(line: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        body_of(line)
    assert caught.value.code == code
    assert caught.value.hint


def test_an_empty_entrypoint_clears_the_images() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    container_arguments(parser)
    args = parser.parse_args(["--entrypoint", "", "x", "ls"])
    assert create_body(args, {}, attached=False)["Entrypoint"] == [""]


class Screen(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def step(subject: str, word: str, detail: str = "", done: bool = False, **more: Any) -> Any:
    return {"progress": {"subject": subject, "step": word, "detail": detail, "done": done, **more}}


def test_plain_progress_tells_each_step_once_and_no_byte_counts() -> None:
    stream = io.StringIO()
    board = PlainBoard(Terminal(stream, {}))
    values = [
        step("image redis", "pulling"),
        step("image redis", "downloading", "aa", current=1, total=9),
        step("image redis", "unpacking", "bb", current=1, total=9),
        step("image redis", "downloading", "aa", current=9, total=9),
        step("image redis", "pulled", "12ab", done=True),
        None,
        step("image redis", "pulled", "12ab", done=True),
        {"result": {"changed": 1}},
    ]
    assert watch(values, board) == {"changed": 1}
    assert stream.getvalue().splitlines() == [
        "image redis: pulling",
        "image redis: downloading",
        "image redis: unpacking",
        "image redis: pulled: 12ab",
    ]


def test_an_error_in_a_stream_is_raised_with_all_it_says() -> None:
    said = {"message": "no such image x", "code": "no-such-image", "about": "x", "hint": "pull it"}
    with pytest.raises(NotFound, match="no such image x") as caught:
        watch([{"error": said}], PlainBoard(Terminal(io.StringIO(), {})))
    assert caught.value.hint == "pull it"


def test_live_progress_is_redrawn_in_place_and_adds_up_the_layers() -> None:
    screen = Screen()
    now = [0.0]
    board = LiveBoard(Terminal(screen, {"NO_COLOR": "1"}), "up demo", lambda: now[0])
    board.update(step("image redis", "downloading", "aa", current=1_000, total=4_000)["progress"])
    now[0] = 1.0
    board.update(step("image redis", "downloading", "bb", current=500, total=6_000)["progress"])
    board.update(step("network demo", "created", done=True)["progress"])
    assert board.lines(final=False) == [
        "[+] up demo 1/2",
        " ⠋ image redis   downloading [==>                ]  1.5kB/10kB  500B/s 17s  1.0s",
        " ✔ network demo  created" + " " * 52 + "0.0s",
    ]
    now[0] = 2.0
    board.tick()
    assert screen.getvalue().endswith("\x1b[J")
    assert "\x1b[2A\r" in screen.getvalue(), "it goes back over the two lines drawn before"


PULLED = [
    {"status": "Pulling from library/redis", "id": "7"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"},
    {"status": "Already exists", "progressDetail": {}, "id": "bb"},
    {
        "status": "Downloading",
        "progressDetail": {"current": 1_000, "total": 4_000},
        "progress": "[====>    ]",
        "id": "aa",
    },
]


def test_dockers_messages_are_a_row_for_each_layer() -> None:
    screen = Screen()
    board = LiveBoard(Terminal(screen, {"NO_COLOR": "1"}), "pull redis:7", lambda: 0.0)
    shown: list[str] = []

    def lines() -> Iterator[Any]:
        yield from PULLED
        shown.extend(board.lines(final=False))
        yield {"status": "Pull complete", "progressDetail": {}, "id": "aa"}
        yield {"status": "Digest: sha256:00"}

    said: list[str] = []
    assert watch(lines(), board, said.append) == {}
    assert [line.split() for line in shown] == [
        ["[+]", "pull", "redis:7", "1/2"],
        ["⠋", "aa", "Downloading", "[=======>", "]", "1kB/4kB", "0.0s"],
        ["✔", "bb", "Already", "exists", "0.0s"],
    ]
    assert said == ["7: Pulling from library/redis", "Digest: sha256:00"]


def test_dockers_messages_are_plain_lines_in_a_pipe() -> None:
    stream = io.StringIO()
    more = {"status": "Downloading", "progressDetail": {"current": 2, "total": 4}, "id": "aa"}
    watch([*PULLED, more], PlainBoard(Terminal(stream, {})))
    assert stream.getvalue().splitlines() == [
        "7: Pulling from library/redis",
        "aa: Pulling fs layer",
        "bb: Already exists",
        "aa: Downloading",
    ]


def test_a_line_of_its_own_stands_above_what_is_redrawn() -> None:
    screen = Screen()
    board = LiveBoard(Terminal(screen, {"NO_COLOR": "1"}), "pull", lambda: 1.0)
    board.update({"subject": "aa", "step": "Downloading"})
    before = len(screen.getvalue())
    board.say("a line")
    assert screen.getvalue()[before:].startswith("\x1b[2A\r\x1b[2Ka line\n\x1b[2K[+] pull 0/1\n")


def test_what_failed_carries_what_to_do_about_it() -> None:
    fault = {"message": "no", "code": "no-such-image", "about": "x", "hint": "try y"}
    line = {"error": "no", "errorDetail": {"message": "no"}, "fault": fault}
    with pytest.raises(NotFound) as caught:
        watch([line], PlainBoard(Terminal(io.StringIO(), {})))
    assert caught.value.hint == "try y"


def test_what_a_failing_step_said_is_shown_when_it_is_over() -> None:
    screen = Screen()
    board = LiveBoard(Terminal(screen, {"NO_COLOR": "1"}), "build", lambda: 0.0)
    values = [
        step("image web", "RUN one", "fine"),
        step("image web", "RUN two", "compiling"),
        step("image web", "RUN two", "broken here"),
        {"error": {"message": "RUN two: exit code 3", "code": "build-failed"}},
    ]
    with pytest.raises(Failed):
        watch(values, board)
    assert screen.getvalue().endswith("image web:\n  | compiling\n  | broken here\n")


def test_live_progress_never_is_higher_than_the_screen() -> None:
    board = LiveBoard(Terminal(Screen(), {"NO_COLOR": "1"}), "up", lambda: 0.0)
    for number in range(100):
        board.update(step(f"container {number}", "created", done=number < 50)["progress"])
    lines = board.lines(final=False)
    assert len(lines) <= 24
    assert "container 50 " in lines[1], "what is under way comes first"
    assert len(board.lines(final=True)) == 101


def test_prefixes_are_aligned_and_coloured_per_container() -> None:
    screen = Screen()
    printer = LogPrinter(Terminal(screen, {}), ["web-1", "database-1"])
    printer.show({"service": "web", "number": 1, "time": 0.0, "line": "hello"})
    printer.show({"service": "database", "number": 1, "time": 0.0, "line": "ready\n"})
    assert screen.getvalue().splitlines() == [
        "\x1b[36mweb-1       | \x1b[0mhello",
        "\x1b[33mdatabase-1  | \x1b[0mready",
    ]


def test_prefixes_are_plain_in_a_pipe_and_can_be_left_out() -> None:
    stream = io.StringIO()
    LogPrinter(Terminal(stream, {})).show({"service": "web", "number": 2, "line": "a"})
    LogPrinter(Terminal(stream, {}), prefix=False, timestamps=True).show(
        {"service": "web", "number": 2, "line": "a", "time": 1700000000.25}
    )
    assert stream.getvalue() == "web-2  | a\n2023-11-14T22:13:20.250000000Z a\n"


def test_an_event_is_one_line() -> None:
    event = {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "ab", "Attributes": {"name": "web", "exitCode": "3"}},
        "timeNano": 1700000000000000000,
    }
    assert event_line(event) == (
        "2023-11-14T22:13:20.000000000Z container die ab (exitCode=3, name=web)"
    )
