"""Sources and contexts that are fetched: by HTTP from a server, by git from a repository."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import Failed, NotFound, PystackError
from orchestrator.model.stack import Build
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage
from tests.support.waiting import wait_until

GIT_PORT = 9418


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        yield made


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and the address where its files are served."""
    directory = tmp_path / "www"
    directory.mkdir()
    handler = functools.partial(_Handler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield directory, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A repository with a tag and a later commit, and the address that it is served at."""
    directory = tmp_path / "repositories/app"
    directory.mkdir(parents=True)
    git(directory, "init", "-q", "-b", "main")
    (directory / "file").write_text("one")
    (directory / "sub").mkdir()
    (directory / "sub/deep").write_text("deep")
    (directory / "sub/Dockerfile").write_text("FROM scratch\nCOPY . /out/\n")
    commit(directory, "first")
    git(directory, "tag", "-a", "v1", "-m", "one")
    (directory / "file").write_text("two")
    commit(directory, "second")
    command = ["git", "daemon", f"--base-path={directory.parent}", "--export-all", "--reuseaddr"]
    command += ["--listen=127.0.0.1", f"--port={GIT_PORT}"]
    url = f"git://127.0.0.1:{GIT_PORT}/app"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
        try:
            answered = ["git", "ls-remote", url]
            wait_until(
                lambda: subprocess.run(answered, capture_output=True, check=False).returncode == 0,
                "git daemon answers",
            )
            yield directory, url
        finally:
            daemon.terminate()


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(directory), *identity, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(directory: Path, message: str) -> None:
    git(directory, "add", "--all")
    git(directory, "commit", "-q", "-m", message)


async def test_add_downloads_files_and_checks_them(place: Place, web: tuple[Path, str]) -> None:
    directory, url = web
    (directory / "file.txt").write_text("content")
    with tarfile.open(directory / "packed.tgz", "w:gz") as tar:
        tar.add(directory / "file.txt", "in/file")
    digest = hashlib.sha256(b"content").hexdigest()
    dockerfile = (
        "FROM scratch\n"
        f"ADD --checksum=sha256:{digest} {url}/file.txt /out/\n"
        f"ADD --chmod=644 --chown=5:6 {url}/file.txt?v=2 /out/named\n"
        f"ADD {url}/packed.tgz /out/whole/\n"
        f"ADD --unpack=true {url}/packed.tgz /out/\n"
    )
    image = await place.build(dockerfile)
    files = await place.files(image, "out")
    assert files.pop("whole/packed.tgz").startswith("600 0:0 ")
    assert files == {
        "file.txt": "600 0:0 content",
        "in": "755 0:0 /",
        "in/file": "644 0:0 content",
        "named": "644 5:6 content",
        "whole": "755 0:0 /",
    }
    assert (await place.build(dockerfile)).id == image.id
    assert len(place.cached()) >= 1

    with pytest.raises(Failed, match=f"^dockerfile_inline:2: {url}/file.txt has the checksum"):
        await place.build(f"FROM scratch\nADD --checksum=sha256:{'0' * 64} {url}/file.txt /\n")
    with pytest.raises(NotFound, match=r"^dockerfile_inline:2: .*answers 404"):
        await place.build(f"FROM scratch\nADD {url}/nothing /\n")


async def test_a_download_that_changed_is_a_new_step(place: Place, web: tuple[Path, str]) -> None:
    directory, url = web
    (directory / "file").write_text("1")
    dockerfile = f"FROM scratch\nADD {url}/file /out/\n"
    first = await place.build(dockerfile)
    (directory / "file").write_text("2")
    second = await place.build(dockerfile)
    assert await place.files(second, "out") == {"file": "600 0:0 2"}
    assert first.id != second.id


async def test_add_takes_the_files_of_a_repository(
    place: Place, repository: tuple[Path, str]
) -> None:
    directory, url = repository
    head = git(directory, "rev-parse", "HEAD")
    image = await place.build(
        "FROM scratch\n"
        f"ADD {url}#v1 /out/tag\nADD {url}#main:sub /out/sub\n"
        f"ADD --checksum={head} {url} /out/head\n"
        f"ADD --keep-git-dir=true {url}#{head} /out/kept\n"
    )
    files = await place.files(image, "out")
    assert files["tag/file"] == "644 0:0 one"
    assert files["head/file"] == "644 0:0 two"
    assert files["sub/deep"] == "644 0:0 deep"
    assert "head/.git" not in files
    assert "kept/.git/HEAD" in files
    async with place.root(image) as root:
        made = int(git(directory, "show", "-s", "--format=%ct", "HEAD"))
        assert (root / "out/head/file").stat().st_mtime == made

    dockerfile = f"FROM scratch\nADD {url}#main /out/\n"
    await place.build(dockerfile)
    await place.build(dockerfile)
    assert place.cached() == [f"ADD {url}#main /out/"]
    with pytest.raises(NotFound, match=r"^dockerfile_inline:2: .* no branch or tag nothing"):
        await place.build(f"FROM scratch\nADD {url}#nothing /\n")
    with pytest.raises(PystackError, match="is at commit"):
        await place.build(f"FROM scratch\nADD --checksum={'a' * 40} {url} /\n")


async def test_a_repository_or_an_archive_can_be_the_context(
    place: Place, repository: tuple[Path, str], web: tuple[Path, str]
) -> None:
    _, url = repository
    image = await place.builds.build(Build(context=f"{url}#v1:sub"), ["r"], place.said.append)
    assert set(await place.files(image, "out")) == {"deep", "Dockerfile"}
    directory, address = web
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY x /out/\n")
    (directory / "x").write_text("x")
    with tarfile.open(directory / "context.tar.gz", "w:gz") as tar:
        for name in ("Dockerfile", "x"):
            tar.add(directory / name, name)
    for context in (f"{address}/context.tar.gz", str(directory / "context.tar.gz")):
        image = await place.builds.build(Build(context=context), ["a"], place.said.append)
        assert await place.files(image, "out") == {"x": "644 0:0 x"}
    (directory / "alone").write_text("FROM scratch\nCOPY <<E /out/e\ne\nE\n")
    image = await place.builds.build(
        Build(context=f"{address}/alone"), ["alone"], place.said.append
    )
    assert await place.files(image, "out") == {"e": "644 0:0 e\n"}


async def test_a_fetched_context_cannot_show_files_of_the_machine(
    place: Place, web: tuple[Path, str]
) -> None:
    directory, address = web
    with tarfile.open(directory / "evil.tar", "w") as tar:
        for name, target in (("Dockerfile", "/etc/passwd"), ("link", "/etc")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    with pytest.raises(NotFound, match="no such Dockerfile"):
        await place.builds.build(Build(context=f"{address}/evil.tar"), ["e"], place.said.append)
    build = Build(
        context=f"{address}/evil.tar", dockerfile_inline="FROM scratch\nCOPY link/passwd /out/\n"
    )
    with pytest.raises(PystackError, match="link/passwd: not found"):
        await place.builds.build(build, ["e"], place.said.append)


async def test_named_contexts_go_before_stages_and_images(
    place: Place, repository: tuple[Path, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o").write_text("o")
    (other / "hidden").write_text("h")
    (other / ".dockerignore").write_text("hidden\n.dockerignore\n")
    await place.build("FROM busybox\nRUN mkdir /i && echo image > /i/i\n", "localhost/base")
    contexts = {
        "files": str(other),
        "repo": f"{repository[1]}#v1",
        "stage": "docker-image://localhost/base",
        "root": str(other),
    }
    image = await place.build(
        "FROM busybox AS stage\nRUN exit 1\n"
        "FROM stage\nCOPY --from=files / /out/\nCOPY --from=repo file /out/\n"
        "COPY --from=stage /i/i /out/\n"
        "RUN --mount=type=bind,from=files,target=/m cp /m/o /out/mounted && cat /i/i\n",
        contexts=contexts,
    )
    assert await place.files(image, "out") == {
        "file": "644 0:0 one",
        "i": "644 0:0 image\n",
        "mounted": "644 0:0 o",
        "o": "644 0:0 o",
    }
    image = await place.build("FROM root\n", contexts=contexts)
    assert set(await place.files(image, "")) == {"o"}
    with pytest.raises(NotFound, match="no such directory"):
        await place.build("FROM root\n", contexts={"root": "/nowhere"})
