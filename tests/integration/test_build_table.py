"""A table of Dockerfiles: what each instruction and flag makes of the configuration and the files.

The tree is that below /out: path to mode, owner and content.
"""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.container import Healthcheck, Ulimit
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

FILES = {
    "a.txt": "a",
    "b.txt": "b",
    "notes.md": "n",
    "dir/x.c": "x",
    "dir/sub/y.c": "y",
    "dir/sub/z.md": "z",
    "dir/empty/.keep": "",
}


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        made.write(FILES)
        yield made


@dataclass(frozen=True)
class Case:
    """A Dockerfile after `FROM busybox`, and what comes of it."""

    text: str
    tree: Mapping[str, str] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)
    start: str = "FROM busybox\n"


CASES = {
    # -- RUN
    "run: the shell form, each in a shell of its own": Case(
        "RUN cd /root\nRUN mkdir /out && pwd > /out/where\n", {"where": "644 0:0 /\n"}
    ),
    "run: the exec form needs no shell": Case(
        'WORKDIR /out\nRUN ["touch", "a b", "$HOME"]\n',
        {"$HOME": "644 0:0 ", "a b": "644 0:0 "},
    ),
    "run: a here-document is a script": Case(
        "WORKDIR /out\nRUN <<EOF\necho 1 > a\nif true; then\n  echo 2 > b\nfi\nEOF\n",
        {"a": "644 0:0 1\n", "b": "644 0:0 2\n"},
    ),
    "run: a here-document is input": Case(
        "WORKDIR /out\nRUN cat <<-EOF > a && cat <<'E2' > b\n\tone $HOME\n\tEOF\ntwo $HOME\nE2\n",
        {"a": "644 0:0 one /root\n", "b": "644 0:0 two $HOME\n"},
    ),
    "run: continuations, comments in them, and another escape": Case(
        "WORKDIR /out\nRUN echo one `\n  # a comment\n\n  two > a\n",
        {"a": "644 0:0 one two\n"},
        start="# escape=`\nFROM busybox\n",
    ),
    "run: mounts leave nothing": Case(
        "WORKDIR /out\n"
        "RUN --mount=type=bind,target=/ctx --mount=type=tmpfs,target=/scratch,size=1m"
        " --mount=type=cache,target=/c,mode=0711,uid=7,gid=8"
        " cp /ctx/a.txt . && touch /scratch/x && stat -c %a:%u:%g /c > c\n",
        {"a.txt": "644 0:0 a", "c": "644 0:0 711:7:8\n"},
    ),
    "run: a writable bind mount forgets what is written": Case(
        "WORKDIR /out\n"
        "RUN --mount=type=bind,target=/ctx,rw echo new > /ctx/a.txt && cp /ctx/a.txt .\n"
        "COPY a.txt old\n",
        {"a.txt": "644 0:0 new\n", "old": "644 0:0 a"},
    ),
    "run: a cache begins with content from a stage": Case(
        "RUN mkdir -p /seed && echo seed > /seed/s\n"
        "FROM busybox\n"
        "RUN --mount=type=cache,target=/c,id=seeded,from=first,source=/seed cp -r /c /out\n",
        {"s": "644 0:0 seed\n"},
        start="FROM busybox AS first\n",
    ),
    "run: no network": Case(
        "RUN --network=none mkdir /out && ip -o link | grep -c . > /out/links\n",
        {"links": "644 0:0 1\n"},
    ),
    "run: the host name, hosts, shm and limits asked for": Case(
        "RUN mkdir /out && grep -c 'db.example' /etc/hosts > /out/hosts"
        " && df /dev/shm | awk 'NR==2 {print $2}' > /out/shm && ulimit -n > /out/files\n",
        {
            "files": "644 0:0 512\n",
            "hosts": "644 0:0 1\n",
            "shm": "644 0:0 8192\n",
        },
        build={
            "extra_hosts": ("db.example:10.0.0.9",),
            "shm_size_bytes": 8 << 20,
            "ulimits": ({"name": "nofile", "soft": 512, "hard": 1024},),
        },
    ),
    # -- COPY
    "copy: a file, a rename, a directory's content": Case(
        "COPY a.txt /out/\nCOPY b.txt /out/c\nCOPY dir/sub /out/d\n",
        {
            "a.txt": "644 0:0 a",
            "c": "644 0:0 b",
            "d": "755 0:0 /",
            "d/y.c": "644 0:0 y",
            "d/z.md": "644 0:0 z",
        },
    ),
    "copy: wildcards as Go has them": Case(
        "COPY [ab].t?t /out/\nCOPY d*/s*/*.[^m]* /out/deep/\n",
        {
            "a.txt": "644 0:0 a",
            "b.txt": "644 0:0 b",
            "deep": "755 0:0 /",
            "deep/y.c": "644 0:0 y",
        },
    ),
    "copy: owners by name and number": Case(
        "COPY --chown=www-data:users a.txt /out/1\nCOPY --chown=7 a.txt /out/2\n"
        "COPY --chown=7:users a.txt /out/3\nCOPY --chown=nobody a.txt /out/4\n",
        {
            "1": "644 33:100 a",
            "2": "644 7:7 a",
            "3": "644 7:100 a",
            "4": "644 65534:65534 a",
        },
    ),
    "copy: modes in digits and in letters": Case(
        "COPY --chmod=4750 a.txt /out/1\nCOPY --chmod=u=rwX,go=rX dir/sub /out/2\n"
        "COPY --chmod=a-r,u+x a.txt /out/3\nCOPY --chmod=g+s,o= dir/empty /out/4\n",
        {
            "1": "4750 0:0 a",
            "2": "755 0:0 /",
            "2/y.c": "644 0:0 y",
            "2/z.md": "644 0:0 z",
            "3": "300 0:0 a",
            "4": "755 0:0 /",
            "4/.keep": "2640 0:0 ",
        },
    ),
    "copy: with the directories above": Case(
        "COPY --parents dir/sub/y.c dir/./sub/z.md /out/\nCOPY --parents */x.c /out/w/\n",
        {
            "dir": "755 0:0 /",
            "dir/sub": "755 0:0 /",
            "dir/sub/y.c": "644 0:0 y",
            "sub": "755 0:0 /",
            "sub/z.md": "644 0:0 z",
            "w": "755 0:0 /",
            "w/dir": "755 0:0 /",
            "w/dir/x.c": "644 0:0 x",
        },
    ),
    "copy: without what is excluded": Case(
        "COPY --exclude=*.md --exclude=dir/empty --exclude=*.gz . /out/\n",
        {
            "a.txt": "644 0:0 a",
            "b.txt": "644 0:0 b",
            "dir": "755 0:0 /",
            "dir/sub": "755 0:0 /",
            "dir/sub/y.c": "644 0:0 y",
            "dir/sub/z.md": "644 0:0 z",
            "dir/x.c": "644 0:0 x",
        },
    ),
    "copy: excluded at every depth": Case(
        "COPY --exclude=**/*.md --exclude=**/.keep dir /out/\n",
        {
            "empty": "755 0:0 /",
            "sub": "755 0:0 /",
            "sub/y.c": "644 0:0 y",
            "x.c": "644 0:0 x",
        },
    ),
    "copy: linked layers look as others do": Case(
        "RUN mkdir /out && echo below > /out/below\n"
        "COPY --link --chown=www-data dir/x.c /out/linked\nCOPY --link=false a.txt /out/\n",
        {"a.txt": "644 0:0 a", "below": "644 0:0 below\n", "linked": "644 33:33 x"},
    ),
    "copy: from a stage by name and number, from an image, with owners": Case(
        "RUN mkdir /made && echo 1 > /made/1 && chown 9:9 /made/1\n"
        "FROM busybox\nCOPY --from=one /made /out\nCOPY --from=0 /made/1 /out/2\n"
        "COPY --from=busybox /etc/group /out/g\n",
        None,
        start="FROM busybox AS One\n",
    ),
    "copy: here-documents": Case(
        "ENV N=name\nCOPY <<one <<'two' /out/\n$N\none\n$N\ntwo\n"
        "COPY --chmod=755 --chown=1:2 <<-EOF /out/script\n\t#!/bin/sh\n\tEOF\n",
        {
            "one": "644 0:0 name\n",
            "script": "755 1:2 #!/bin/sh\n",
            "two": "644 0:0 $N\n",
        },
    ),
    "copy: onto a directory that is there keeps its mode": Case(
        "RUN mkdir -m 700 /out && chown 5:6 /out\nCOPY dir/sub/ /out/\n"
        "RUN stat -c %a:%u:%g /out > /out/s\n",
        {"s": "644 0:0 700:5:6\n", "y.c": "644 0:0 y", "z.md": "644 0:0 z"},
    ),
    # -- ADD
    "add: archives are unpacked where they are local": Case(
        "ADD packed.tar.gz a.txt /out/\nADD --unpack=false packed.tar.gz /out/whole/\n",
        None,
    ),
    # -- words
    "variables: every modifier": Case(
        "ARG S=/usr/lib.tar.gz E=\nENV S=${S} E=${E}\n"
        'ENV V="${N:-a}${N-b}${E:-c}${E-d}${S:+e}${E:+f}${E+g}" '
        'W="${S#*/}|${S##*/}|${S%.*}|${S%%.*}|${S/lib/LIB}|${S//r/R}"\n'
        "WORKDIR /out/${N:-sub}\nCOPY ${S:+a.txt} ${E:-named}\n",
        {"sub": "755 0:0 /", "sub/named": "644 0:0 a"},
        {
            "environment": (
                "S=/usr/lib.tar.gz",
                "E=",
                "V=abceg",
                "W=usr/lib.tar.gz|lib.tar.gz|/usr/lib.tar|/usr/lib|/usr/LIB.tar.gz|/usR/lib.taR.gz",
            )
        },
    ),
    "arguments: scopes, defaults, and those that are always there": Case(
        "ARG G\nARG L=local\nARG D\nARG TARGETARCH\nARG BUILDPLATFORM\n"
        'RUN mkdir /out && echo "$G $L [$D] [$TARGETOS] $TARGETARCH $BUILDPLATFORM" > /out/a\n'
        "FROM busybox\nRUN mkdir /out && echo [$G] > /out/b\nCOPY --from=0 /out/a /out/\n",
        {"a": "644 0:0 7 given [] [] amd64 linux/amd64\n", "b": "644 0:0 []\n"},
        build={"args": {"G": "7", "L": "given"}},
        start="ARG G=1\nFROM busybox\n",
    ),
    "arguments: proxies reach RUN and leave no trace": Case(
        "RUN mkdir /out && echo $http_proxy $HTTP_PROXY > /out/p\n",
        {"p": "644 0:0 http://p:1 http://q:2\n"},
        build={"args": {"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:2"}},
    ),
    # -- configuration
    "env, label, legacy forms": Case(
        'ENV A=1 B="two words" C=three\\ words\nENV D the rest of it\nLABEL x=1 "y z"="a b"\n'
        "LABEL old form\n",
        config={
            "environment": ("A=1", "B=two words", "C=three words", "D=the rest of it"),
            "labels": {"x": "1", "y z": "a b", "old": "form", "cli": "1"},
        },
        build={"labels": {"cli": "1"}},
    ),
    "expose, volume, user, workdir, stopsignal, shell, maintainer": Case(
        "EXPOSE 80 53/UDP 8000-8002\nVOLUME /data /v2\n"
        'VOLUME ["/json vol"]\nUSER www-data:users\nWORKDIR /out\nWORKDIR sub\nSTOPSIGNAL 9\n'
        'SHELL ["/bin/ash", "-ec"]\nMAINTAINER me <me@example.org>\nCMD run it\n',
        config={
            "exposed_ports": ("53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"),
            "volumes": ("/data", "/json vol", "/v2"),
            "user": "www-data:users",
            "working_dir": "/out/sub",
            "stop_signal": "9",
            "shell": ("/bin/ash", "-ec"),
            "author": "me <me@example.org>",
            "command": ("/bin/ash", "-ec", "run it"),
        },
    ),
    "cmd and entrypoint in both forms": Case(
        'ENTRYPOINT ["/bin/echo", "one"]\nCMD ["two"]\n',
        config={"entrypoint": ("/bin/echo", "one"), "command": ("two",)},
    ),
    "an entrypoint makes the base's command void": Case(
        "CMD base\nFROM first\nENTRYPOINT run\n",
        config={"entrypoint": ("/bin/sh", "-c", "run"), "command": ()},
        start="FROM busybox AS first\n",
    ),
    "healthcheck": Case(
        "HEALTHCHECK --interval=1m30s --timeout=2s --start-period=5s --start-interval=1s"
        ' --retries=7 CMD ["true"]\n',
        config={
            "healthcheck": Healthcheck(
                test=("CMD", "true"),
                interval_s=90,
                timeout_s=2,
                start_period_s=5,
                start_interval_s=1,
                retries=7,
            )
        },
    ),
    "healthcheck none": Case(
        "HEALTHCHECK CMD true\nHEALTHCHECK NONE\n",
        config={"healthcheck": Healthcheck(test=("NONE",))},
    ),
    "onbuild is for the next build": Case(
        "ONBUILD RUN true\nONBUILD COPY . /src\n",
        config={"onbuild": ("RUN true", "COPY . /src")},
    ),
    "onbuild copies from a stage of the build that it runs in": Case(
        "ONBUILD COPY --from=later /made /out/made\n"
        "FROM busybox AS later\nRUN echo made > /made\nFROM base\n",
        {"made": "644 0:0 made\n"},
        start="FROM busybox AS base\n",
    ),
    "workdir and user are made and kept": Case(
        "WORKDIR /out/deep/er\nUSER nobody\nRUN id -un > /tmp/who && cp /tmp/who /tmp/w2\n"
        "USER 0\nRUN cp /tmp/who .\n",
        {"deep": "755 0:0 /", "deep/er": "755 0:0 /", "deep/er/who": "644 0:0 nobody\n"},
        {"user": "0", "working_dir": "/out/deep/er"},
    ),
    "from scratch there is nothing": Case(
        "COPY a.txt /out/\n", {"a.txt": "644 0:0 a"}, {"environment": (PATH := (
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ),)}, start="FROM scratch\n",
    ),
    "from takes arguments, a platform and a stage": Case(
        "RUN mkdir /out && touch /out/x\nFROM --platform=$TARGETPLATFORM ${STAGE}\n",
        {"x": "644 0:0 "},
        start="# syntax=docker/dockerfile:1.7\nARG NAME=busy STAGE=st\nFROM ${NAME}box AS st\n",
    ),
    "a target is the end": Case(
        "ENV A=1\nFROM busybox\nRUN exit 1\n",
        config={"environment": ("A=1",)},
        build={"target": "first"},
        start="FROM busybox AS first\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_what_a_dockerfile_makes(place: Place, name: str) -> None:
    case = CASES[name]
    with tarfile.open(place.context / "packed.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("in/file")
        info.mode, info.uid, info.gid = 0o640, 3, 4
        tar.addfile(info)
    base = place.images.get("busybox").config
    build = dict(case.build)
    if "ulimits" in build:
        build["ulimits"] = tuple(Ulimit(**each) for each in build["ulimits"])
    image = await place.build(case.start + case.text, **build)
    for field_name, expected in case.config.items():
        found = getattr(image.config, field_name)
        if field_name == "environment":
            found = tuple(entry for entry in found if entry not in base.environment)
            if expected == (PATH,):
                found = tuple(image.config.environment)
        assert found == expected, field_name
    if case.tree is not None:
        assert await place.files(image, "out") == case.tree
    if name.startswith("add: archives"):
        files = await place.files(image, "out")
        assert files.pop("whole/packed.tar.gz").startswith("644 0:0 ")
        assert files == {
            "a.txt": "644 0:0 a",
            "in": "755 0:0 /",
            "in/file": "640 3:4 ",
            "whole": "755 0:0 /",
        }
    if name.startswith("copy: from a stage"):
        files = await place.files(image, "out")
        assert {n: t.split(" ")[:2] for n, t in files.items()} == {
            "1": ["644", "9:9"],
            "2": ["644", "9:9"],
            "g": ["644", "0:0"],
        }
    assert not any("http://p:1" in line.created_by for line in image.history)
    assert not any("http://p:1" in entry for entry in image.config.environment)
