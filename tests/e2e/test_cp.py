"""`cp` both ways, running and stopped, and what it must not be led to."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import subprocess
import tarfile
import urllib.parse
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")


def running(engine: EngineUnderTest, name: str, script: str, *flags: str) -> str:
    """A container that has run the script and then does nothing."""
    command = ("sh", "-c", f"{script}; touch /ready; exec sleep 1000")
    engine.cli("run", "-d", "--name", name, *flags, "busybox", *command)
    engine.cli("exec", name, "sh", "-c", "until [ -e /ready ]; do sleep 0.02; done")
    return name


def tree(directory: Path) -> dict[str, str]:
    """Every path below the directory with what is there."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "dir" if path.is_dir() else path.read_text()
    return found


def piped(engine: EngineUnderTest, *args: str, stdin: bytes = b"") -> bytes:
    """The bytes that a command writes to stdout."""
    done = subprocess.run(
        engine.argv(*args), env=engine.env, input=stdin, capture_output=True, check=True, timeout=60
    )
    return done.stdout


FILES = "mkdir -p /a/b; echo hi > /a/b/f; ln -s b/f /a/l; ln -s /a/b /a/d; chmod 640 /a/b/f"
WHOLE = {"b": "dir", "b/f": "hi\n", "d": "-> /a/b", "l": "-> b/f"}


def test_out_of_a_container_as_docker_names_it(engine: EngineUnderTest, tmp_path: Path) -> None:
    box = running(engine, "box", FILES)
    for state in ("running", "stopped"):
        here = tmp_path / state
        here.mkdir()
        (here / "into").mkdir()
        for source, target in (
            ("/a/b/f", "file"),  # a new name
            ("/a/b/f", "into"),  # into a directory that is there
            ("/a", "new"),  # a directory that is not there is made
            ("/a", "into"),
            ("/a/.", "into/content"),
            ("a/l", "link"),
        ):
            engine.cli("cp", f"{box}:{source}", str(here / target))
        engine.cli("cp", "-L", f"{box}:/a/l", str(here / "followed"))
        engine.cli("cp", f"{box}:/a/d/.", str(here / "through"))
        assert tree(here) == {
            "file": "hi\n",
            "into": "dir",
            "into/f": "hi\n",
            "into/a": "dir",
            "into/content": "dir",
            "link": "-> b/f",
            "followed": "hi\n",
            "new": "dir",
            "through": "dir",
            "through/f": "hi\n",
            **{f"into/a/{name}": what for name, what in WHOLE.items()},
            **{f"into/content/{name}": what for name, what in WHOLE.items()},
            **{f"new/{name}": what for name, what in WHOLE.items()},
        }
        assert (here / "file").stat().st_mode & 0o777 == 0o640
        for wrong, said in (
            (("/nothing", here / "x"), "could not find the file /nothing in the container"),
            (("/a", here / "file"), "cannot copy directory"),
            (("/a/b/f", f"{here}/none/"), "no such directory"),
        ):
            refused = engine.run("cp", f"{box}:{wrong[0]}", str(wrong[1]))
            assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output
        (here / "file").rename(here / "kept")
        engine.cli("cp", f"{box}:/a/b/f", f"{here}/into/")
        if state == "running":
            engine.cli("stop", "-t", "0", box)


def test_into_a_container_as_docker_names_it(engine: EngineUnderTest, tmp_path: Path) -> None:
    box = running(engine, "box", "mkdir /there; ln -s /there /led; echo old > /there/old")
    source = tmp_path / "src"
    (source / "sub").mkdir(parents=True)
    (source / "sub/f").write_text("local\n")
    (source / "l").symlink_to("sub/f")
    os.chown(source / "sub/f", 1234, 4321)
    for state in ("running", "stopped"):
        to = f"/there/{state}"
        engine.cli("cp", str(source), f"{box}:{to}")
        engine.cli("cp", str(source / "sub/f"), f"{box}:{to}/renamed")
        engine.cli("cp", str(source / "sub/f"), f"{box}:/led")
        engine.cli("cp", f"{source}/.", f"{box}:{to}/sub")
        engine.cli("cp", "-a", f"{source}/sub", f"{box}:{to}/owned")
        out = tmp_path / f"out-{state}"
        engine.cli("cp", f"{box}:/there", str(out))
        assert tree(out / state) == {
            "l": "-> sub/f",
            "sub": "dir",
            "sub/f": "local\n",
            "sub/l": "-> sub/f",
            "sub/sub": "dir",
            "sub/sub/f": "local\n",
            "renamed": "local\n",
            "owned": "dir",
            "owned/f": "local\n",
        }
        assert (out / "f").read_text() == "local\n"
        with tarfile.open(fileobj=io.BytesIO(piped(engine, "cp", f"{box}:{to}", "-"))) as tar:
            owners = {m.name: (m.uid, m.gid) for m in tar}
        assert owners[f"{state}/sub/f"] == (0, 0)
        assert owners[f"{state}/owned/f"] == (1234, 4321)
        for where, said in (
            (f"{box}:/none/", "no such directory"),
            (f"{box}:/none/x", "could not find the file /none"),
            (f"{box}:/there/old/", "no such directory"),
        ):
            refused = engine.run("cp", str(source / "sub/f"), where)
            assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output
        refused = engine.run("cp", str(source), f"{box}:/there/old")
        assert "cannot copy directory" in refused.stderr
        if state == "running":
            engine.cli("stop", "-t", "0", box)
    engine.cli("start", box)
    assert engine.cli("exec", box, "cat", "/there/stopped/renamed").stdout == "local\n"


def test_tar_by_stdin_and_stdout(engine: EngineUnderTest, tmp_path: Path) -> None:
    box = running(engine, "box", FILES)
    data = piped(engine, "cp", f"{box}:/a", "-")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/f", "a/d", "a/l"]
    piped(engine, "cp", "-", f"{box}:/tmp", stdin=data)
    import gzip

    engine.cli("exec", box, "mkdir", "/zipped")
    piped(engine, "cp", "-", f"{box}:/zipped", stdin=gzip.compress(data))
    for place in ("/tmp", "/zipped"):
        assert engine.cli("exec", box, "cat", f"{place}/a/b/f").stdout == "hi\n"
    refused = engine.run("cp", "-", f"{box}:/a/b/f")
    assert "must be a directory" in refused.stderr


def test_volumes_and_binds_are_seen_and_read_only_is_respected(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/h").write_text("host\n")
    flags = (
        *("-v", "kept:/kept", "-v", f"{tmp_path}/host:/host:ro", "--read-only"),
        *("--tmpfs", "/ready-dir", "-v", "anon:/w"),
    )
    command = ("busybox", "sh", "-c", "echo v > /kept/v; exec sleep 1000")
    engine.cli("run", "-d", "--name", "box", *flags, *command)
    (tmp_path / "f").write_text("f\n")
    for state in ("running", "stopped"):
        assert piped(engine, "cp", "box:/host/h", "-")
        engine.cli("cp", "box:/kept/v", str(tmp_path / state))
        assert (tmp_path / state).read_text() == "v\n"
        engine.cli("cp", str(tmp_path / "f"), f"box:/w/{state}")
        for place in ("box:/etc/f", "box:/host/f"):
            refused = engine.run("cp", str(tmp_path / "f"), place)
            assert (refused.exit_code, "read-only" in refused.stderr) == (1, True), refused.output
        if state == "running":
            engine.cli("stop", "-t", "0", "box")
    assert tree(tmp_path / "host") == {"h": "host\n"}
    # A container that was never started, with a volume nobody has used: how data gets into one.
    engine.cli("create", "--name", "filler", "-v", "fresh:/fresh", "busybox")
    engine.cli("cp", str(tmp_path / "f"), "filler:/fresh/f")
    shown = engine.cli("run", "--rm", "-v", "fresh:/x", "busybox", "cat", "/x/f")
    assert shown.stdout == "f\n"
    assert not list((engine.directory / "run/roots").rglob("*"))


def test_links_lead_nowhere_outside_the_container(engine: EngineUnderTest, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret\n")
    script = (
        f"ln -s {outside} /abs; ln -s ../../../../../../../../{outside} /rel; ln -s / /root-link"
    )
    box = running(engine, "box", f"{script}; mkdir -p /target; ln -s {outside} /target/sub")
    (tmp_path / "f").write_text("mine\n")
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w") as tar:
        link = tarfile.TarInfo("escape")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        inside = tarfile.TarInfo("escape/planted")
        inside.size = 3
        tar.addfile(inside, io.BytesIO(b"bad"))
    climbing = io.BytesIO()
    with tarfile.open(fileobj=climbing, mode="w") as tar:
        up = tarfile.TarInfo("../../climbed")
        tar.addfile(up)
    for state in ("running", "stopped"):
        for path in ("/abs/secret", "/rel/secret", f"/root-link{outside}/secret"):
            assert engine.run("cp", f"{box}:{path}", str(tmp_path / "got")).exit_code == 1, path
        for path in ("/abs/planted", "/rel/planted", "/target/sub/planted"):
            assert engine.run("cp", str(tmp_path / "f"), f"{box}:{path}").exit_code == 1, path
        for data in (hostile.getvalue(), climbing.getvalue()):
            done = subprocess.run(
                engine.argv("cp", "-", f"{box}:/target"),
                env=engine.env, input=data, capture_output=True, check=False, timeout=30,
            )  # fmt: skip
            assert done.returncode == 1, done
        if state == "running":
            engine.cli("stop", "-t", "0", box)
    assert tree(outside) == {"secret": "secret\n"}
    assert not (tmp_path / "got").exists()


def test_a_live_container_that_swaps_directories_for_links_gives_nothing_away(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("secret of the host\n")
    secret = tmp_path / "host"
    script = (
        "mkdir -p /t/real && echo fine > /t/real/secret && "
        f"ln -s {secret} /t/link && mv /t/real /t/x && "
        "(while :; do mv /t/x /t/real; mv /t/link /t/x; mv /t/x /t/link; mv /t/real /t/x; done)"
        " & true"
    )
    box = running(engine, "box", script)
    for _ in range(25):
        done = subprocess.run(
            engine.argv("cp", f"{box}:/t", "-"),
            env=engine.env, capture_output=True, check=False, timeout=30,
        )  # fmt: skip
        assert b"secret of the host" not in done.stdout


def test_the_archive_endpoints_speak_docker_s(engine: EngineUnderTest) -> None:
    box = running(engine, "box", FILES)

    def stat_of(path: str) -> dict[str, object]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(engine.socket))
        connection.request("HEAD", f"/containers/{box}/archive?path={urllib.parse.quote(path)}")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 200:
            return {"status": answer.status}
        header = answer.headers["X-Docker-Container-Path-Stat"]
        return dict(json.loads(base64.b64decode(header)))

    file, link, directory = stat_of("/a/b/f"), stat_of("/a/l"), stat_of("/a/d/")
    assert (file["name"], file["size"], file["mode"]) == ("f", 3, 0o640)
    assert (link["linkTarget"], link["mode"]) == ("/a/b/f", 1 << 27 | 0o777)
    assert directory["mode"] == 1 << 31 | 0o755
    assert stat_of("/nothing") == {"status": 404}
    put = f"/containers/{box}/archive?path=/a/b/f"
    assert engine.request("PUT", put)[0] == 400
    assert engine.request("GET", f"/containers/{box}/archive")[0] == 400
    assert engine.request("GET", "/containers/none/archive?path=/")[0] == 404


def test_a_client_that_leaves_in_the_middle_leaves_nothing_mounted(engine: EngineUnderTest) -> None:
    box = running(engine, "box", "head -c 50000000 /dev/zero > /large")
    engine.cli("stop", "-t", "0", box)
    roots = engine.directory / "run/roots"
    for request in (
        f"GET /containers/{box}/archive?path=/ HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /containers/{box}/export HTTP/1.1\r\nHost: x\r\n\r\n",
        f"PUT /containers/{box}/archive?path=/tmp HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n400\r\n" + "x" * 100,
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(engine.socket))
            connection.sendall(request.encode())
            if request.startswith("GET"):
                assert connection.recv(1000)
            else:
                wait_until(lambda: any(roots.iterdir()), "its root is mounted")
        wait_until(lambda: not any(roots.iterdir()), "it is unmounted")
    engine.cli("start", box)
    mounted = Path(f"/proc/{engine.pid}/mountinfo").read_text()
    assert "run/roots" not in mounted


def test_copyuidgid_gives_everything_to_the_container_s_user(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "box", "-u", "1000:50", "busybox", "sleep", "1000")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo("f")
        member.uid, member.gid = 7, 8
        tar.addfile(member)
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(engine.socket))
    for query, owner in (("", "7:8"), ("&copyUIDGID=true", "1000:50")):
        connection.request("PUT", f"/containers/box/archive?path=/tmp{query}", data.getvalue())
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert engine.cli("exec", "box", "stat", "-c", "%u:%g", "/tmp/f").stdout == f"{owner}\n"
    connection.close()
