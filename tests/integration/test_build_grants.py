"""Secrets and ssh agents: there for one RUN, and nowhere afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.build.grants import relayed
from orchestrator.build.instructions import RunMount
from orchestrator.errors import Failed, InvalidInput, Unavailable
from orchestrator.model.stack import Build, BuildSecret
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage
from tests.support.waiting import wait_until

SECRET = "tiger-7f3a9b"
needs_ssh = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="needs openssh-client")


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        yield made


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The socket of an ssh agent that holds one key."""
    socket = tmp_path / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as one:
        try:
            wait_until(socket.exists, "the agent listens")
            key = make_key(tmp_path)
            subprocess.run(["ssh-add", "-q", str(key)], env=with_agent(socket), check=True)
            yield socket
        finally:
            one.terminate()


def make_key(directory: Path) -> Path:
    key = directory / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test's key", "-f", str(key)]
    subprocess.run(command, check=True)
    return key


def with_agent(socket: Path) -> dict[str, str]:
    return {**os.environ, "SSH_AUTH_SOCK": str(socket)}


async def test_a_secret_is_seen_by_its_run_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    secrets = (
        BuildSecret(id="token", file=str(tmp_path / "token")),
        BuildSecret(id="variable", value=f"{SECRET}-v"),
    )
    dockerfile = (
        "FROM busybox\nWORKDIR /out\n"
        "RUN --mount=type=secret,id=token stat -c '%a %u' /run/secrets/token > mode"
        " && wc -c < /run/secrets/token > size\n"
        "RUN --mount=type=secret,id=variable,env=V,target=/at/place,mode=0440,uid=33"
        " stat -c '%a %u' /at/place >> mode && [ $V = $(cat /at/place) ] && echo ${#V} >> size\n"
        "RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ]\n"
        "RUN [ ! -e /run/secrets ] && [ ! -e /at ]\n"
    )
    image = await place.build(dockerfile, secrets=secrets)
    assert await place.files(image, "out") == {
        "mode": "644 0:0 400 0\n440 33\n",
        "size": f"644 0:0 {len(SECRET)}\n{len(SECRET) + 2}\n",
    }
    async with place.root(image) as root:
        assert not (root / "run").exists()
        assert not (root / "at").exists()
    # Neither layers, nor history, nor records, nor what is left of the build has it.
    grep = ["grep", "-rlF", SECRET, str(place.settings.data_dir), str(place.settings.run_dir)]
    assert (await anyio.run_process(grep, check=False)).stdout == b""
    # Another secret of the same id is no reason to build again.
    await place.build(dockerfile, secrets=(BuildSecret(id="token", value="another"),))
    assert len(place.cached()) == 5


async def test_a_required_secret_must_be_given(place: Place) -> None:
    with pytest.raises(InvalidInput, match=r"^dockerfile_inline:2: the secret t is not given"):
        await place.build("FROM busybox\nRUN --mount=type=secret,id=t,required=true true\n")
    lost = BuildSecret(id="t", file="/nowhere/t")
    with pytest.raises(InvalidInput, match="/nowhere/t: No such file"):
        await place.build("FROM busybox\nRUN --mount=type=secret,id=t true\n", secrets=(lost,))
    with pytest.raises(InvalidInput, match="the ssh agent default is not given"):
        await place.build("FROM busybox\nRUN --mount=type=ssh,required true\n")


@needs_ssh
async def test_a_run_reaches_the_agent_through_a_socket_of_its_own(
    place: Place, agent: Path
) -> None:
    image = await place.build(
        "FROM busybox\nUSER www-data\n"
        "RUN --mount=type=ssh,uid=33,mode=0600 [ -S $SSH_AUTH_SOCK ]"
        " && echo $SSH_AUTH_SOCK $(stat -c %a:%u $SSH_AUTH_SOCK) > /tmp/seen\n"
        "RUN [ -z $SSH_AUTH_SOCK ] && [ ! -e /run/buildkit ]\n",
        ssh={"default": str(agent)},
    )
    async with place.root(image) as root:
        assert (root / "tmp/seen").read_text() == "/run/buildkit/ssh_agent.default 600:33\n"
        assert not (root / "run").exists()


@needs_ssh
async def test_the_socket_leads_to_the_agent_and_to_keys_in_files(
    agent: Path, tmp_path: Path
) -> None:
    mount = RunMount(kind="ssh", target="/x", mode=0o600)
    for number, place in enumerate((str(agent), str(tmp_path / "key"))):
        directory = tmp_path / str(number)
        directory.mkdir()
        async with relayed(place, directory, mount) as socket:
            with anyio.fail_after(20):
                listed = await anyio.run_process(["ssh-add", "-l"], env=with_agent(socket))
        assert b"a test's key (ED25519)" in listed.stdout
    (tmp_path / "no-key").write_text("no key")
    with pytest.raises(Failed, match="a key cannot be used"):
        async with relayed(str(tmp_path / "no-key"), tmp_path, mount):
            pass
    with pytest.raises(Unavailable, match="neither an ssh agent's socket nor a key"):
        async with relayed("/nowhere", tmp_path, mount):
            pass


async def test_a_secret_does_not_show_in_what_is_stored_of_a_build() -> None:
    assert SECRET not in repr(Build(context="/", secrets=(BuildSecret(id="a", value=SECRET),)))
