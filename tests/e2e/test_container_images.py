"""`diff`, `export` and `commit`: a container's changes, its files, an image of it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")

SCRIPT = (
    "mkdir -p /new/sub; echo 1 > /new/sub/f; rm /bin/wget; rm -r /home; echo x >> /etc/group;"
    " mkdir -p /www; echo y > /vol/y; rm -r /root; mkdir /root; touch /ready; exec sleep 1000"
)


@pytest.fixture
def changed(engine: EngineUnderTest) -> str:
    """A running container that has changed its files."""
    engine.cli(
        *("run", "-d", "--name", "changed", "-v", "/vol", "-e", "KEPT=1", "-w", "/tmp"),
        *("--label", "made=here", "busybox", "sh", "-c", SCRIPT),
    )
    engine.cli("exec", "changed", "sh", "-c", "until [ -e /ready ]; do sleep 0.02; done")
    return "changed"


def test_diff_tells_what_was_added_changed_and_deleted(
    engine: EngineUnderTest, changed: str
) -> None:
    lines = engine.cli("diff", changed).stdout.splitlines()
    assert set(lines) >= {
        *("A /new", "A /new/sub", "A /new/sub/f", "C /bin", "D /bin/wget", "D /home"),
        *("C /etc", "C /etc/group", "A /ready", "A /www"),
    }
    # What the runtime mounts on, and what is in a volume, is no change of the container's.
    assert not [line for line in lines if line.split()[1].startswith(("/vol", "/proc", "/dev"))]
    assert not [line for line in lines if "hosts" in line or "resolv.conf" in line]
    engine.cli("stop", "-t", "0", changed)
    assert engine.cli("diff", changed).stdout.splitlines() == lines
    _, answer = engine.request("GET", f"/containers/{changed}/changes")
    assert {"Path": "/bin/wget", "Kind": 2} in answer
    engine.cli("create", "--name", "untouched", "busybox")
    assert engine.cli("diff", "untouched").stdout == ""


def test_export_is_the_whole_root_as_a_tar(engine: EngineUnderTest, changed: str) -> None:
    listed = []
    for state in ("running", "stopped"):
        done = subprocess.run(
            engine.argv("export", changed), env=engine.env, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            names = set(tar.getnames())
            group = tar.extractfile("etc/group")
            assert group is not None
            assert group.read().endswith(b"x\n")
        assert names >= {"bin/busybox", "new/sub/f", "etc/passwd"}
        assert not names & {"bin/wget", "home", "vol/y"}
        listed.append(names)
        if state == "running":
            engine.cli("stop", "-t", "0", changed)
    assert listed[0] == listed[1]
    target = engine.directory / "root.tar"
    engine.cli("export", "-o", str(target), changed)
    with tarfile.open(target) as tar:
        assert set(tar.getnames()) == listed[1]


def test_commit_makes_an_image_with_the_changes_and_the_configuration(
    engine: EngineUnderTest, changed: str
) -> None:
    identifier = engine.cli(
        *("commit", "-a", "Me <me@example.org>", "-m", "why", "-c", 'CMD ["cat", "/new/sub/f"]'),
        *("-c", "ENV ADDED=$KEPT", "-c", "EXPOSE 80/tcp", "-c", "LABEL more=yes"),
        *("-c", "USER 1000", "-c", "VOLUME /data", changed, "made:1"),
    ).stdout.strip()
    assert engine.cli("run", "--rm", "made:1").stdout == "1\n"
    seen = engine.cli(
        "run", "--rm", "made:1", "sh", "-c", "ls -d /home /bin/wget /vol/y; pwd; id -u"
    )
    assert seen.stdout == "/tmp\n1000\n"
    image = json.loads(engine.cli("image", "inspect", "made:1").stdout)[0]
    assert (image["Id"], image["Author"], image["Comment"]) == (
        identifier, "Me <me@example.org>", "why",
    )  # fmt: skip
    config = image["Config"]
    assert {"KEPT=1", "ADDED=1"} <= set(config["Env"])
    assert (config["ExposedPorts"], set(config["Volumes"])) == ({"80/tcp": {}}, {"/data", "/vol"})
    assert config["Labels"] == {"made": "here", "more": "yes"}
    refused = engine.run("commit", "-c", "RUN true", changed)
    assert (refused.exit_code, "not a valid change command" in refused.stderr) == (1, True)


def test_commit_holds_the_container_still_and_lets_it_go_on(
    engine: EngineUnderTest, changed: str
) -> None:
    for pause in ("true", "false"):
        engine.cli("commit", f"--pause={pause}", changed, f"image:{pause}")
        assert engine.cli("exec", changed, "echo", "goes on").stdout == "goes on\n"
    engine.cli("pause", changed)
    engine.cli("commit", changed, "image:paused")
    assert engine.inspect(changed)["State"]["Status"] == "paused"
    engine.cli("unpause", changed)
    engine.cli("stop", "-t", "0", changed)
    engine.cli("commit", changed, "image:stopped")
    assert engine.cli("run", "--rm", "image:stopped", "cat", "/new/sub/f").stdout == "1\n"


def test_a_container_held_still_by_a_killed_engine_goes_on(
    engine: EngineUnderTest, changed: str
) -> None:
    engine.cli("exec", changed, "sh", "-c", "head -c 300000000 /dev/zero > /large")
    with subprocess.Popen(
        engine.argv("commit", changed), env=engine.env, stderr=subprocess.DEVNULL
    ) as commit:
        notes = engine.directory / "run/commits"
        wait_until(lambda: notes.is_dir() and any(notes.iterdir()), "it is held still")
        engine.kill9()
        commit.kill()
    assert engine.cli("exec", changed, "echo", "goes on").stdout == "goes on\n"
    assert not any(notes.iterdir())
