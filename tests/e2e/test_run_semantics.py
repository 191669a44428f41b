"""What a container does beyond single options: what it runs, as whom, where, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.oci import PATH, OciImage, add_file, write_image
from tests.support.registry import Registry
from tests.support.waiting import wait_until

Push = Callable[..., None]


@pytest.fixture
def push(hub: Registry, busybox_image: OciImage, tmp_path: Path) -> Push:
    """Makes an image NAME of busybox with some more files and this configuration."""

    def made(name: str, files: Mapping[str, Any] | None = None, **config: Any) -> None:
        layers = []
        for number, digest in enumerate(d["digest"] for d in busybox_image.manifest["layers"]):
            layer = tmp_path / f"{name}-{number}.tar"
            packed = busybox_image.blob(digest)
            with packed.open("rb") as source, layer.open("wb") as target:
                subprocess.run(["gzip", "-dc"], stdin=source, stdout=target, check=True)
            layers.append(layer)
        if files:
            more = tmp_path / f"{name}.tar"
            with tarfile.open(more, "w") as tar:
                for path, attributes in files.items():
                    add_file(tar, path, **attributes)
            layers.append(more)
        image = write_image(tmp_path / name, layers, config={"Env": [PATH], **config})
        hub.push(image, f"library/{name}", "latest")

    return made


@pytest.fixture
def ready(engine: EngineUnderTest) -> Iterator[EngineUnderTest]:
    """An engine whose containers are removed in the end."""
    yield engine
    for container in engine.containers():
        engine.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")


def lines(engine: EngineUnderTest, *words: str) -> list[str]:
    return engine.cli("run", "--rm", "-q", *words).stdout.splitlines()


def test_entrypoint_and_command_in_both_forms(ready: EngineUnderTest, push: Push) -> None:
    push("both", Entrypoint=["echo", "entry"], Cmd=["command"])
    push("shell", Entrypoint=["/bin/sh", "-c", "echo shell $0"], Cmd=["ignored"])
    push("only", Cmd=["echo", "only"], Entrypoint=None)
    assert lines(ready, "both") == ["entry command"]
    assert lines(ready, "both", "mine", "too") == ["entry mine too"]
    assert lines(ready, "--entrypoint", "echo", "both") == [""]
    assert lines(ready, "--entrypoint", "echo", "both", "x") == ["x"]
    assert lines(ready, "--entrypoint", "", "both", "echo", "reset") == ["reset"]
    assert lines(ready, "shell") == ["shell ignored"]
    assert lines(ready, "only") == ["only"]
    assert lines(ready, "only", "echo", "else") == ["else"]
    nothing = ready.run("run", "--rm", "--entrypoint", "", "both")
    assert (nothing.exit_code, "no command" in nothing.stderr) == (125, True)


def test_the_image_says_user_directory_variables_and_volumes(
    ready: EngineUnderTest, push: Push
) -> None:
    passwd = b"root:x:0:0::/root:/bin/sh\napp:x:1234:99::/home/app:/bin/sh\n"
    push(
        "app",
        {
            "etc/passwd": {"content": passwd},
            "etc/group": {"content": b"root:x:0:\nmore:x:77:app\n"},
            "store": {"type": tarfile.DIRTYPE, "mode": 0o750, "uid": 1234, "gid": 99},
            "store/file": {"content": b"of the image", "mode": 0o600, "uid": 1234, "gid": 99},
        },
        User="app",
        WorkingDir="/work/made",
        Env=[PATH, "ONE=1", "TWO=2"],
        Volumes={"/store": {}},
        Labels={"of": "image", "both": "image"},
        StopSignal="SIGUSR1",
        ExposedPorts={"80/tcp": {}},
    )
    ready.cli(
        *("run", "-d", "-q", "--name", "app", "-e", "TWO=mine", "-e", "ONE", "-l", "both=flag"),
        *("app", "sleep", "1000"),
        env={"ONE": "1"},
    )
    script = (
        "id -u; id -g; id -G; pwd; echo $ONE $TWO $HOME; stat -c '%a %u %g' /store /store/file;"
        " cat /store/file"
    )
    said = ready.cli("exec", "app", "sh", "-c", script).stdout.splitlines()
    assert said == [
        *("1234", "99", "99 77", "/work/made", "1 mine /home/app", "750 1234 99", "600 1234 99"),
        "of the image",
    ]
    shown = ready.inspect("app")
    config, (volume,) = shown["Config"], shown["Mounts"]
    assert (config["User"], config["WorkingDir"]) == ("app", "/work/made")
    assert config["Labels"] == {"of": "image", "both": "flag"}
    assert (config["StopSignal"], config["Volumes"]) == ("SIGUSR1", {"/store": {}})
    assert set(config["ExposedPorts"]) == {"80/tcp"}
    assert {"ONE=1", "TWO=mine"} <= set(config["Env"])
    assert (volume["Type"], volume["Destination"], volume["RW"]) == ("volume", "/store", True)
    assert re.fullmatch("[0-9a-f]{64}", volume["Name"])
    assert Path(volume["Source"], "file").read_text() == "of the image"
    ready.cli("rm", "-f", "-v", "app")
    assert ready.cli("volume", "ls", "-q").stdout == ""
    # A variable of the image that this shell has not is taken away.
    gone = ready.cli("run", "--rm", "-e", "UNKNOWN", "-e", "TWO", "app", "env", env={"X": "y"})
    assert "ONE=1" in gone.stdout.splitlines()
    assert not [line for line in gone.stdout.splitlines() if line.startswith("TWO=")]
    # A named volume is filled once, unless that is not wanted; what is there stays.
    assert lines(ready, "-v", "kept:/store", "app", "sh", "-c", "echo mine > /store/file; ls /store"
                 ) == ["file"]  # fmt: skip
    assert lines(ready, "-v", "kept:/store", "app", "cat", "/store/file") == ["mine"]
    assert lines(ready, "-v", "bare:/store:nocopy", "app", "ls", "-A", "/store") == []
    assert ready.cli("volume", "ls", "-q").stdout.split() == ["bare", "kept"]


def test_a_health_check_takes_from_the_image_what_is_left_open(
    ready: EngineUnderTest, push: Push
) -> None:
    push("well", Healthcheck={"Test": ["CMD", "test", "-e", "/tmp/up"], "Interval": 10**8})
    ready.cli("run", "-d", "-q", "--name", "well", "--health-retries", "2", "well", "sleep", "1000")
    assert ready.inspect("well")["Config"]["Healthcheck"] == {
        "Test": ["CMD", "test", "-e", "/tmp/up"], "Interval": 10**8, "Timeout": 30 * 10**9,
        "StartInterval": 5 * 10**9, "Retries": 2,
    }  # fmt: skip
    wait_until(lambda: _health(ready, "well") == "unhealthy", "unhealthy")
    ready.cli("exec", "well", "touch", "/tmp/up")
    wait_until(lambda: _health(ready, "well") == "healthy", "healthy")
    ready.cli("run", "-d", "--name", "off", "--no-healthcheck", "well", "sleep", "1000")
    assert "Health" not in ready.inspect("off")["State"]


def _health(engine: EngineUnderTest, name: str) -> str:
    return str(engine.inspect(name)["State"]["Health"]["Status"])


@pytest.mark.usefixtures("hub")
def test_how_a_container_ended_is_told(ready: EngineUnderTest) -> None:
    def code(*words: str) -> int:
        return ready.run("run", "-q", "--name", "ended", *words).exit_code

    def ended(*keys: str) -> list[Any]:
        state = ready.inspect("ended")["State"]
        ready.cli("rm", "ended")
        return [state[key] for key in keys]

    assert code("busybox", "sh", "-c", "exit 3") == 3
    assert ended("Status", "ExitCode", "OOMKilled", "Pid") == ["exited", 3, False, 0]
    assert code("-d", "busybox", "sleep", "1000") == 0
    ready.cli("kill", "ended")
    assert ready.cli("wait", "ended").stdout == "137\n"
    assert ended("ExitCode", "OOMKilled") == [137, False]
    assert code("busybox", "nothing") == 127
    assert ended("Status", "ExitCode", "Error") == [
        "created", 127, 'exec: "nothing": executable file not found in $PATH'
    ]  # fmt: skip
    assert code("busybox", "/etc/passwd") == 126
    assert ended("ExitCode", "Error") == [126, 'exec: "/etc/passwd": permission denied']
    assert code("--no-such-flag", "busybox") == 125
    hog = "x=a; while true; do x=$x$x; done"
    assert code("-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", hog) == 137
    assert ended("ExitCode", "OOMKilled") == [137, True]


@pytest.mark.usefixtures("hub")
def test_an_init_reaps_what_others_leave_and_hands_signals_on(ready: EngineUnderTest) -> None:
    script = (
        "trap 'echo asked; exit 9' TERM; touch /up; (sh -c 'sleep 0.1 & exec true' &);"
        " while true; do sleep 0.1; done"
    )
    ready.cli("run", "-d", "-q", "--name", "first", "--init", "busybox", "sh", "-c", script)
    wait_until(lambda: ready.run("exec", "first", "test", "-e", "/up").exit_code == 0, "its start")
    assert "docker-init" in ready.cli("exec", "first", "cat", "/proc/1/cmdline").stdout
    wait_until(lambda: " Z " not in ready.cli("exec", "first", "ps").stdout, "no zombie")
    ready.cli("stop", "first")
    assert ready.inspect("first")["State"]["ExitCode"] == 9
    assert ready.cli("logs", "first").stdout == "asked\n"


@pytest.mark.usefixtures("hub")
def test_names_ids_and_files_of_ids(ready: EngineUnderTest, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    container = ready.cli(
        *("create", "-q", "--cidfile", str(file), "--pull", "always", "busybox", "true")
    ).stdout.strip()
    assert file.read_text() == container
    assert re.fullmatch("/[a-z]+_[a-z]+", ready.inspect(container)["Name"])
    again = ready.run("run", "--rm", "--cidfile", str(file), "busybox", "true")
    assert (again.exit_code, str(file) in again.stderr) == (125, True)
    absent = tmp_path / "other"
    failed = ready.run("run", "--rm", "--cidfile", str(absent), "--pull", "never", "nope", "true")
    assert (failed.exit_code, absent.exists()) == (125, False)
    foreign = ready.run("run", "--rm", "-q", "--platform", "linux/s390x", "busybox", "true")
    assert (foreign.exit_code, "linux/s390x" in foreign.stderr) == (125, True)
    ready.cli("run", "--name", "taken", "busybox", "true")
    taken = ready.run("run", "--name", "taken", "busybox", "true")
    assert (taken.exit_code, "taken" in taken.stderr) == (125, True)


@pytest.mark.usefixtures("hub")
def test_rm_takes_anonymous_volumes_along_and_no_others(ready: EngineUnderTest) -> None:
    ready.cli("run", "--rm", "-q", "-v", "/anon", "-v", "named:/named", "busybox", "true")
    assert ready.cli("volume", "ls", "-q").stdout == "named\n"


@pytest.mark.usefixtures("hub")
def test_streams_are_those_that_were_attached(ready: EngineUnderTest) -> None:
    script = "echo out; echo err >&2; cat"
    said = ready.run("run", "--rm", "-q", "-a", "stdout", "busybox", "sh", "-c", script, stdin="in")
    assert (said.stdout, said.stderr) == ("out\n", "")
    said = ready.run("run", "--rm", "-i", "busybox", "sh", "-c", script, stdin="in")
    assert (said.stdout, said.stderr) == ("out\nin", "err\n")
    said = ready.run("run", "--rm", "--sig-proxy=false", "--rm=true", "--init=false",
                     "--log-driver", "none", "busybox", "cat", "/proc/1/comm")  # fmt: skip
    assert said.stdout == "cat\n"


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker's client is not installed")
@pytest.mark.usefixtures("hub")
def test_dockers_own_client_is_served(ready: EngineUnderTest) -> None:
    def docker(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DOCKER_HOST": f"unix://{ready.socket}"}
        return subprocess.run(
            ["docker", *words], capture_output=True, text=True, env=env, timeout=60, check=False
        )

    flags = (
        "--rm -e A=1 -l x=y -m 64m --cpus 0.5 -v data:/d:ro --mount type=tmpfs,dst=/t,tmpfs-size=1m"
        " --tmpfs /u:exec --ulimit nofile=100:200 --add-host a:1.2.3.4 -p 8080:80"
        " --cap-drop NET_RAW --security-opt systempaths=unconfined --init"
        " --health-cmd true --device /dev/null:/dev/n"
    )
    script = "echo $A; grep -cE ' /(d|t|u) ' /proc/mounts; ulimit -n; ls /dev/n; grep a$ /etc/hosts"
    done = docker("run", "--quiet", *flags.split(), "busybox", "sh", "-c", script)
    assert done.stdout.splitlines() == ["1", "3", "100", "/dev/n", "1.2.3.4\ta"], done.stderr
    assert docker("run", "--rm", "busybox", "nothing").returncode == 127
    assert docker("run", "--rm", "busybox", "/etc/passwd").returncode == 126
    refused = docker("run", "--rm", "--gpus", "all", "busybox", "true")
    assert (refused.returncode, "gpu" in refused.stderr, "{" in refused.stderr) == (
        125, True, False
    )  # fmt: skip
