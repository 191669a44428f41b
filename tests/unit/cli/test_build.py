"""`build` on the command line: its flags, and how progress and findings look."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.build.boards import JsonBoard, LiveSteps, PlainSteps, build_board
from orchestrator.cli.build.findings import brief, report
from orchestrator.cli.build.flags import Output, read_output, read_secret, read_ssh, read_ulimit
from orchestrator.cli.options import UsageError
from orchestrator.cli.terminal import Terminal


def test_outputs_are_directories_archives_and_streams(tmp_path: Path) -> None:
    here = Path.cwd()
    assert read_output("out") == Output("local", str(here / "out"))
    assert read_output("-") == Output("tar", "-")
    assert read_output("type=oci,dest=/x.tar,name=a:1") == Output("oci", "/x.tar", ("a:1",))
    assert read_output("type=tar") == Output("tar", "-")
    assert read_output("type=docker") == Output("image")
    assert read_output("type=docker,dest=-") == Output("docker", "-")
    assert read_output("type=image,name=a,push=true") == Output("image", "", ("a",), push=True)
    assert read_output("type=registry") == Output("registry", push=True)
    for text in ("type=local", "type=zip,dest=x", "dest=x", "type=tar,where=x"):
        with pytest.raises(UsageError, match=f"--output {text}"):
            read_output(text)


def test_secrets_are_files_or_variables(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x")
    environ = {"TOKEN": "value"}
    assert read_secret(f"id=a,src={file}", environ) == {"id": "a", "file": str(file)}
    assert read_secret(f"src={file}", environ) == {"id": "token", "file": str(file)}
    assert read_secret("id=a,env=TOKEN", environ) == {"id": "a", "value": "value"}
    assert read_secret("id=TOKEN", environ) == {"id": "TOKEN", "value": "value"}
    assert read_secret("type=env,id=TOKEN", environ) == {"id": "TOKEN", "value": "value"}
    for text in ("id=a,src=/nowhere", "id=a,env=NONE", "env=TOKEN", "id=a,what=b", "id=nowhere"):
        with pytest.raises(UsageError, match="--secret"):
            read_secret(text, environ)


def test_agents_and_limits() -> None:
    assert read_ssh("default", {"SSH_AUTH_SOCK": "/run/agent"}) == ("default", "/run/agent")
    assert read_ssh("git=/k1,/k2", {}) == ("git", "/k1,/k2")
    with pytest.raises(UsageError, match="no agent runs"):
        read_ssh("default", {})
    assert read_ulimit("nofile=10:20") == {"name": "nofile", "soft": 10, "hard": 20}
    assert read_ulimit("NOFILE=10") == {"name": "nofile", "soft": 10, "hard": 10}
    with pytest.raises(UsageError, match="expected NAME=SOFT"):
        read_ulimit("nofile")


STEPS: list[dict[str, Any]] = [
    {"subject": "[a 1/3] FROM x", "step": "running"},
    {"subject": "[a 1/3] FROM x", "step": "done", "done": True},
    {"subject": "[a 2/3] RUN y", "step": "running"},
    {"subject": "[b 2/2] COPY z", "step": "cached", "done": True},
    {"subject": "[a 2/3] RUN y", "step": "output", "detail": "said"},
    {"subject": "[a 2/3] RUN y", "step": "error", "detail": "why", "done": True},
]


def test_plain_progress_numbers_the_steps() -> None:
    stream, time = io.StringIO(), iter(range(100))
    board = PlainSteps(stream, lambda: float(next(time)))
    for step in STEPS:
        board.update(step)
    board.close()
    assert stream.getvalue().splitlines() == [
        "#1 [a 1/3] FROM x",
        "#1 DONE 2.0s",
        "",
        "#2 [a 2/3] RUN y",
        "",
        "#3 [b 2/2] COPY z",
        "#3 CACHED",
        "",
        "#2 4.000 said",
        "#2 ERROR",
        "",
    ]


def test_live_progress_shows_what_runs_and_what_it_says() -> None:
    board = LiveSteps(Terminal(io.StringIO()), lambda: 1.0)
    for step in STEPS[:-1]:
        board.update(step)
    lines = board.lines(final=False)
    assert lines[0] == "[+] Building 0.0s (2/3)"
    assert [line[:40].strip() for line in lines[1:]] == [
        "=> [a 1/3] FROM x",
        "=> [a 2/3] RUN y",
        "=> => # said",
        "=> CACHED [b 2/2] COPY z",
    ]
    board.update(STEPS[-1])
    final = board.lines(final=True)
    assert final[0].endswith("(3/3) FINISHED")
    assert final[2].startswith(" => ERROR [a 2/3] RUN y")


def test_raw_progress_is_what_buildkits_clients_read() -> None:
    stream = io.StringIO()
    board = JsonBoard(stream)
    for step in STEPS:
        board.update(step)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    first, ended = events[0]["vertexes"][0], events[1]["vertexes"][0]
    assert (first["name"], "completed" in first) == ("[a 1/3] FROM x", False)
    assert ended["digest"] == first["digest"]
    assert ended["completed"] >= first["started"]
    assert events[3]["vertexes"][0]["cached"] is True
    log = events[4]["logs"][0]
    assert (base64.b64decode(log["data"]), log["stream"]) == (b"said\n", 1)
    assert events[5]["vertexes"][0]["error"] == "why"


def test_a_board_is_chosen_by_the_flag_and_the_terminal() -> None:
    terminal = Terminal(io.StringIO())
    assert isinstance(build_board("", terminal), PlainSteps)
    assert isinstance(build_board("auto", terminal), PlainSteps)
    assert isinstance(build_board("tty", terminal), LiveSteps)
    assert isinstance(build_board("rawjson", terminal), JsonBoard)


def test_findings_are_reported_whole_or_briefly() -> None:
    finding = {
        "rule": "R",
        "message": "m",
        "file": "Dockerfile",
        "line": 3,
        "source": "RUN a \\\n b",
    }
    assert list(report([])) == ["Check complete, no warnings found."]
    assert list(report([finding])) == [
        "Check complete, 1 warning has been found!",
        "",
        "WARNING: R",
        "m",
        "Dockerfile:3",
        "--------------------",
        "   3 | >>> RUN a \\",
        "   4 | >>>  b",
        "--------------------",
    ]
    assert list(brief([finding])) == [
        " 1 warning found (use --check to expand):",
        " - R: m (line 3)",
    ]
    assert list(brief([])) == []
