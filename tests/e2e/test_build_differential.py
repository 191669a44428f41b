"""The same Dockerfiles built by Docker's own builders and by this one: the same configuration, and
the same files with the same modes, owners and content."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import dockerd
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

DOCKERFILES = {
    "files": """
        FROM base
        RUN echo 'app:x:1000:100::/:/bin/sh' >> /etc/passwd
        COPY a.txt /one/
        COPY --chown=app:users dir/sub /sixteen/
        COPY a.txt b.txt /two/
        COPY *.txt /three/
        COPY dir /four
        COPY dir/ /five/six/
        COPY --chown=www-data:users a.txt /seven
        COPY --chown=7 dir /eight
        COPY ["with space", "/nine/"]
        COPY link /ten
        COPY exec /bin/exec
        ADD packed.tar.gz /eleven/
        ADD a.txt packed.tar.gz /twelve/
        WORKDIR /thirteen
        COPY a.txt .
        COPY dir/sub ../fourteen
        COPY ignored* kept /fifteen/
        """,
    "owners": """
        FROM base
        RUN echo 'app:x:1000:100::/:/bin/sh' >> /etc/passwd
        COPY --chown=app dir /one/new
        COPY --chown=app a.txt /two
        USER app
        WORKDIR /three/four
        """,
    "commands": """
        FROM base
        ENV GREETING=hello
        RUN echo $GREETING > /said && mkdir -p /made/deep && chmod 750 /made
        RUN ["touch", "/exec form"]
        RUN cd /root && touch here
        RUN rm /bin/yes && ln -s /said /link && chown 5:6 /said
        USER www-data
        RUN touch /tmp/mine
        USER root
        WORKDIR /work/er
        RUN pwd > where
        SHELL ["/bin/sh", "-xec"]
        RUN echo $0 > shell
        """,
    "stages": """
        ARG TAG=latest
        FROM base:${TAG} AS first
        RUN mkdir /out && echo one > /out/1 && chown 9:9 /out/1
        FROM first AS second
        RUN echo two > /out/2
        FROM scratch
        COPY --from=first /out /from-first
        COPY --from=1 /out/2 /from-second
        COPY --from=base /etc/group /group
        """,
    "configuration": """
        FROM base
        ARG VERSION=1
        ENV A=1 B="two words" C=three\\ words D=$VERSION
        ENV E the rest
        LABEL a=b "c d"="e f"
        EXPOSE 80 53/udp 8000-8001
        VOLUME /data
        VOLUME ["/more", "/yet more"]
        USER nobody:nogroup
        WORKDIR /srv
        WORKDIR app
        STOPSIGNAL SIGQUIT
        HEALTHCHECK --interval=5s --timeout=3s --retries=4 --start-period=1m CMD test -e /
        ONBUILD COPY . /src
        ONBUILD RUN true
        ENTRYPOINT ["/bin/echo", "x"]
        CMD ["one", "two"]
        """,
    "shell forms": """
        FROM base
        ENV P=/usr/lib.d EMPTY=
        ENV X=${P:-a} Y=${EMPTY:-b} Z=${NONE:+c} W=${P:+d} V="\\$P" U='$P'
        LABEL l=${P}x
        WORKDIR ${P}
        STOPSIGNAL 9
        ENTRYPOINT exec top
        CMD echo $P
        HEALTHCHECK NONE
        """,
    "onbuild": """
        FROM base AS parent
        ONBUILD RUN echo triggered > /triggered
        ONBUILD ENV FROM_TRIGGER=1
        FROM parent
        CMD ["x"]
        """,
}
# Where the classic builder differs from BuildKit, this one is with BuildKit: what WORKDIR makes is
# the USER's, and nothing at all begins in /.
CLASSIC = {
    "configuration: srv": ("b'5' 755 65534:65534 ", "b'5' 755 0:0 "),
    "configuration: srv/app": ("b'5' 755 65534:65534 ", "b'5' 755 0:0 "),
    "stages: WorkingDir": ("/", None),
}
MEMBERS = (
    "User", "ExposedPorts", "Env", "Cmd", "Healthcheck", "Volumes", "WorkingDir", "Entrypoint",
    "OnBuild", "Labels", "StopSignal", "Shell",
)  # fmt: skip
# What a daemon makes in every container, and what only the one or the other leaves in a tar.
MADE = ("dev", "proc", "sys", ".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf",
        "etc/mtab")  # fmt: skip


@pytest.mark.skipif(bool(dockerd.missing()), reason=dockerd.missing())
@pytest.mark.parametrize("builder", ["classic", "buildkit"])
def test_docker_comes_to_the_same(
    engine: EngineUnderTest,
    busybox_image: OciImage,
    isolation: Isolation,
    tmp_path: Path,
    builder: str,
) -> None:
    context = _context(tmp_path / "context")
    archive = busybox_image.archive(tmp_path / "base.tar")
    loaded = engine.cli("load", "-q", "-i", str(archive)).stdout.split()[-1]
    engine.cli("tag", loaded, "base:latest")
    buildkit = builder == "buildkit"
    if buildkit and not dockerd.has_buildkit():
        pytest.skip("needs docker-buildx, or a client from before it")
    differences: dict[str, Any] = {}
    try:
        with dockerd.running(isolation.work_dir / f"dockerd-{builder}") as docker:
            engine.cli("save", "-o", str(tmp_path / "saved.tar"), "base:latest")
            docker("load", "-q", "-i", str(tmp_path / "saved.tar"))
            for name, text in DOCKERFILES.items():
                if name == "owners" and not buildkit:
                    continue  # the classic builder looks for a group of the user's name
                dockerfile = context / "Dockerfile"
                dockerfile.write_text(text.replace("        ", "").lstrip())
                arguments = ("--build-arg", "VERSION=3", "--network=none", "-t", "same", context)
                docker("build", "-q", *map(str, arguments), DOCKER_BUILDKIT=str(int(buildkit)))
                engine.cli("build", "-q", *map(str, arguments))
                ours, theirs = _ours(engine, tmp_path / "ours.tar", context), _theirs(docker)
                for key in ours.keys() | theirs.keys():
                    if ours.get(key) != theirs.get(key):
                        differences[f"{name}: {key}"] = (ours.get(key), theirs.get(key))
        assert differences == (CLASSIC if builder == "classic" else {})
    except RuntimeError as error:
        pytest.skip(f"dockerd does not run here: {error}")


def _context(directory: Path) -> Path:
    files = {
        "a.txt": "a", "b.txt": "b", "with space": "s", "dir/x": "x", "dir/sub/y": "y",
        "dir/.hidden": "h", "exec": "#!/bin/sh\n", "ignored1": "i", "kept": "k",
        ".dockerignore": "ignored*\n!kept\n",
    }  # fmt: skip
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (directory / "exec").chmod(0o755)
    (directory / "dir/sub").chmod(0o700)
    (directory / "dir/link").symlink_to("x")
    (directory / "link").symlink_to("a.txt")
    with tarfile.open(directory / "packed.tar.gz", "w:gz") as tar:
        for name, kind in (("in", tarfile.DIRTYPE), ("in/file", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.gid = kind, 0o750, 3, 4
            tar.addfile(info)
    return directory


def _ours(engine: EngineUnderTest, path: Path, context: Path) -> dict[str, Any]:
    status, image = engine.request("GET", "/images/same/json")
    assert status == 200
    arguments = ("--build-arg", "VERSION=3", "--network=none")
    engine.cli("build", "-q", "-o", f"type=tar,dest={path}", *arguments, str(context))
    return {**_configuration(image), **_tree(path.read_bytes())}


def _theirs(docker: dockerd.Docker) -> dict[str, Any]:
    (image,) = json.loads(docker("image", "inspect", "same"))
    container = docker("create", "same", "x").decode().strip()
    try:
        return {**_configuration(image), **_tree(docker("export", container))}
    finally:
        docker("rm", container)


def _configuration(image: dict[str, Any]) -> dict[str, Any]:
    """The configuration, what is empty left out: the two write nothing in different ways."""
    found = {name: image["Config"].get(name) for name in MEMBERS}
    if isinstance(found["Env"], list):
        found["Env"] = sorted(found["Env"])
    return {name: value for name, value in found.items() if value}


def _tree(data: bytes) -> dict[str, str]:
    """Every path with its type, mode, owner, and content or link."""
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            name = info.name.strip("/")
            if name in ("", ".", "etc") or any(name == m or name.startswith(f"{m}/") for m in MADE):
                continue
            what = info.linkname
            if info.isreg():
                file = tar.extractfile(info)
                what = repr(file.read(64)) if file else ""
            found[name] = f"{info.type!r} {info.mode & 0o7777:o} {info.uid}:{info.gid} {what}"
    return found
