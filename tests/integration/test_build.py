"""Dockerfiles built for real: what configuration, files and messages come of them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from orchestrator.errors import Failed, InvalidInput, NotFound, PystackError
from orchestrator.model.container import Healthcheck
from orchestrator.model.events import Progress
from orchestrator.model.image import Image
from orchestrator.model.stack import Build
from orchestrator.volumes.mounts import mount_overlay
from tests.support.builds import Place, build_place
from tests.support.isolation import Isolation
from tests.support.oci import OciImage


@pytest.fixture
async def place(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path, cgroup_parent: str
) -> AsyncIterator[Place]:
    """Builds, with an image called `busybox`."""
    directory = isolation.work_dir / tmp_path.name
    async with build_place(directory, busybox_image, "busybox", cgroup_parent) as made:
        yield made


async def test_every_instruction_leaves_its_mark_on_the_configuration(place: Place) -> None:
    image = await place.build(
        """
        ARG BASE=busybox
        FROM ${BASE}
        ARG VERSION=1
        ENV APP_VERSION=$VERSION GREETING="hello world"
        LABEL a=b "c d"=e
        EXPOSE 80 53/udp 8000-8001
        VOLUME /data ["x"]
        USER www-data:users
        WORKDIR /srv
        WORKDIR app
        STOPSIGNAL SIGQUIT
        SHELL ["/bin/ash", "-ec"]
        HEALTHCHECK --interval=2s --retries=5 CMD wget -q localhost
        MAINTAINER somebody
        CMD echo $GREETING
        ENTRYPOINT ["/bin/sh"]
        """.replace('VOLUME /data ["x"]', "VOLUME /data /more"),
        args={"VERSION": "7"},
        labels={"built": "here"},
    )
    config = image.config
    assert config.environment[-2:] == ("APP_VERSION=7", "GREETING=hello world")
    assert config.labels == {"a": "b", "c d": "e", "built": "here"}
    assert config.exposed_ports == ("53/udp", "80/tcp", "8000/tcp", "8001/tcp")
    assert config.volumes == ("/data", "/more")
    assert (config.user, config.working_dir) == ("www-data:users", "/srv/app")
    assert (config.stop_signal, config.author) == ("SIGQUIT", "somebody")
    assert config.shell == ("/bin/ash", "-ec")
    assert config.healthcheck == Healthcheck(
        test=("CMD-SHELL", "wget -q localhost"), interval_s=2, retries=5
    )
    assert config.command == ("/bin/ash", "-ec", "echo $GREETING")
    assert config.entrypoint == ("/bin/sh",)
    assert image.tags == ("docker.io/library/test:latest",)
    assert (config.os, bool(config.architecture)) == ("linux", True)


async def test_run_sees_environment_arguments_user_and_directory(place: Place) -> None:
    image = await place.build(
        """
        FROM busybox
        ARG SECRET=1
        ENV NAME=value
        WORKDIR /out
        RUN echo "$SECRET $NAME $PWD $(id -un) $HOME" > seen
        RUN ["sh", "-c", "echo exec > form"]
        RUN <<EOF
        echo one > here
        echo two >> here
        EOF
        RUN <<X cat > other && echo more >> other
        $NAME
        X
        RUN chown www-data .
        USER www-data
        RUN touch mine
        """.replace("        ", ""),
        args={"SECRET": "2"},
    )
    assert await place.files(image, "out") == {
        "form": "644 0:0 exec\n",
        "here": "644 0:0 one\ntwo\n",
        "mine": "644 33:33 ",
        "other": "644 0:0 value\nmore\n",
        "seen": "644 0:0 2 value /out root /root\n",
    }
    assert "SECRET=2" not in image.config.environment


async def test_a_here_document_with_an_interpreter_is_a_script(place: Place) -> None:
    image = await place.build(
        'FROM busybox\nRUN <<\'EOF\'\n#!/bin/awk -f\nBEGIN { print "awk" > "/said" }\nEOF\n'
    )
    async with place.root(image) as root:
        assert (root / "said").read_text() == "awk\n"


async def test_copy_puts_files_directories_links_and_documents_in_place(place: Place) -> None:
    place.write({"a.txt": "a", "b.txt": "b", "dir/sub/c": "c", "dir/d": "d"})
    (place.context / "dir/link").symlink_to("d")
    (place.context / "tool").write_text("#!/bin/sh\n")
    (place.context / "tool").chmod(0o755)
    image = await place.build(
        """
        FROM busybox
        ENV NAME=world
        WORKDIR /out
        COPY a.txt renamed
        COPY *.txt many/
        COPY --chown=www-data:users --chmod=640 a.txt owned
        COPY --chown=7 dir tree
        COPY ["tool", "a.txt", "./tools/"]
        COPY a.txt missing* /out/
        COPY <<EOF greeting
        hello $NAME
        EOF
        COPY --chmod=700 <<-"ONE" <<TWO docs/
        \tas it is: $NAME
        ONE
        two
        TWO
        """.replace("        ", "")
    )
    assert await place.files(image, "out") == {
        "a.txt": "644 0:0 a",
        "docs": "755 0:0 /",
        "docs/ONE": "700 0:0 as it is: $NAME\n",
        "docs/TWO": "700 0:0 two\n",
        "greeting": "644 0:0 hello world\n",
        "many": "755 0:0 /",
        "many/a.txt": "644 0:0 a",
        "many/b.txt": "644 0:0 b",
        "owned": "640 33:100 a",
        "renamed": "644 0:0 a",
        "tools": "755 0:0 /",
        "tools/a.txt": "644 0:0 a",
        "tools/tool": "755 0:0 #!/bin/sh\n",
        "tree": "755 7:7 /",
        "tree/d": "644 7:7 d",
        "tree/link": "777 7:7 -> d",
        "tree/sub": "755 7:7 /",
        "tree/sub/c": "644 7:7 c",
    }


async def test_what_dockerignore_hides_is_not_there(place: Place) -> None:
    place.write(
        {
            ".dockerignore": "# secrets\n*.key\nnode_modules\n!node_modules/kept\n**/*.log\n",
            "my.key": "x",
            "a.log": "x",
            "src/deep/b.log": "x",
            "src/deep/b.c": "b",
            "node_modules/dropped": "x",
            "node_modules/kept": "k",
        }
    )
    image = await place.build("FROM scratch\nCOPY . /\n")
    assert sorted(await place.files(image, "")) == [
        ".dockerignore",
        "node_modules",
        "node_modules/kept",
        "src",
        "src/deep",
        "src/deep/b.c",
    ]
    with pytest.raises(InvalidInput, match=r"^dockerfile_inline:2: my.key: not found"):
        await place.build("FROM scratch\nCOPY my.key /\n")


async def test_no_link_leads_out_of_the_context_or_of_the_image(place: Place) -> None:
    (place.context / "out").symlink_to("/etc")
    (place.context / "up").symlink_to("../../../../../etc/passwd")
    for source in ("out/passwd", "up", "../../etc/passwd"):
        with pytest.raises(InvalidInput, match="not found"):
            await place.build(f"FROM scratch\nCOPY {source} /x\n")
    place.write({"evil": "evil"})
    target = place.settings.run_dir / "target"
    image = await place.build(
        "FROM busybox\n"
        f"RUN ln -s {target} /abs && ln -s ../../../../../../../../{target} /rel\n"
        f"RUN mkdir -p {target}\nCOPY evil /abs/1\nCOPY evil /rel/2\n"
    )
    assert not target.exists()
    assert set(await place.files(image, str(target).lstrip("/"))) == {"1", "2"}


async def test_add_unpacks_local_archives_and_copies_the_rest(place: Place) -> None:
    place.write({"inside/file": "text", "plain.gz": "not an archive"})
    for name, mode in (("a.tar", "w"), ("b.tgz", "w:gz"), ("c.tar.xz", "w:xz")):
        with tarfile.open(place.context / name, mode) as tar:  # type: ignore[call-overload]
            info = tar.gettarinfo(place.context / "inside/file", f"{name[0]}/file")
            info.uid, info.gid, info.mode = 5, 6, 0o600
            with (place.context / "inside/file").open("rb") as file:
                tar.addfile(info, file)
    image = await place.build("FROM scratch\nADD a.tar b.tgz c.tar.xz plain.gz /out/\n")
    assert await place.files(image, "out") == {
        "a": "755 0:0 /",
        "a/file": "600 5:6 text",
        "b": "755 0:0 /",
        "b/file": "600 5:6 text",
        "c": "755 0:0 /",
        "c/file": "600 5:6 text",
        "plain.gz": "644 0:0 not an archive",
    }


async def test_an_archive_cannot_write_through_a_link_of_the_image(place: Place) -> None:
    target = place.settings.run_dir / "target"
    target.mkdir()
    with tarfile.open(place.context / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("door/evil")
        tar.addfile(info)
    image = await place.build(
        f"FROM busybox\nRUN mkdir -p {target} && ln -s {target} /door\nADD evil.tar /\n"
    )
    assert list(target.iterdir()) == []
    assert "evil" in await place.files(image, str(target).lstrip("/"))


async def test_stages_copy_from_each_other_and_from_images(place: Place) -> None:
    image = await place.build(
        """
        FROM busybox AS one
        RUN mkdir /made && echo 1 > /made/one && chown 9:9 /made/one
        FROM busybox AS unused
        RUN exit 1
        FROM one AS two
        RUN echo 2 > /made/two
        FROM scratch
        COPY --from=two /made /out
        COPY --from=0 /made/one /out/again
        COPY --from=busybox /etc/passwd /out/
        """.replace("        ", "")
    )
    files = await place.files(image, "out")
    assert {name: text[:9] for name, text in files.items()} == {
        "one": "644 9:9 1",
        "two": "644 0:0 2",
        "again": "644 9:9 1",
        "passwd": "644 0:0 r",
    }
    target = await place.build("FROM busybox AS a\nENV X=1\nFROM scratch AS b\n", target="a")
    assert "X=1" in target.config.environment


async def test_a_second_build_is_the_same_image_from_the_cache(place: Place) -> None:
    place.write({"file": "1"})
    dockerfile = (
        "FROM busybox AS a\nRUN date +%N > /date\n"
        "FROM busybox\nENV A=1\nCOPY file /\nRUN echo ran > /ran\nCOPY --from=a /date /\n"
    )
    first = await place.build(dockerfile)
    assert place.cached() == []
    os.utime(place.context / "file", (1, 1))
    again = await place.build(dockerfile)
    assert again == first
    assert sorted(place.cached()) == [
        "COPY --from=a /date /",
        "COPY file /",
        "RUN date +%N > /date",
        "RUN echo ran > /ran",
    ]
    place.write({"file": "2"})
    other = await place.build(dockerfile)
    assert other.id != first.id
    assert "RUN echo ran > /ran" not in place.cached()
    assert "RUN date +%N > /date" in place.cached()
    fresh = await place.build(dockerfile, no_cache=True)
    assert place.cached() == []
    assert fresh.id != other.id


async def test_steps_that_change_nothing_make_no_layer(place: Place) -> None:
    base = place.images.get("busybox")
    image = await place.build(
        "FROM busybox\nENV A=1\nWORKDIR /root\nRUN true\nRUN cat /etc/hosts /etc/resolv.conf\n"
        "RUN touch /etc/x && rm /etc/x\n"
    )
    assert image.layers == base.layers
    assert [line.empty for line in image.history[-5:]] == [True] * 5
    scratch = await place.build("FROM scratch\nWORKDIR /only\n")
    assert set(await place.files(scratch, "")) == {"only"}


async def test_running_on_a_bare_image_leaves_no_mount_points(place: Place) -> None:
    (place.context / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (place.context / "busybox").chmod(0o755)
    image = await place.build(
        'FROM scratch\nCOPY busybox /busybox\nRUN ["/busybox", "touch", "/made"]\n'
    )
    async with place.root(image) as root:
        assert sorted(path.name for path in root.iterdir()) == ["busybox", "made"]
    assert len(image.layers) == 2


async def test_a_failing_run_says_where_what_and_why(place: Place) -> None:
    dockerfile = (
        "FROM busybox\nRUN echo kept > /kept\n\n"
        "RUN echo first; \\\n  for i in 1 2 3; do echo line $i; done; \\\n  exit 3\n"
    )
    with pytest.raises(Failed) as caught:
        await place.build(dockerfile)
    error = caught.value
    assert (error.code, error.about) == ("build-failed", "dockerfile_inline:4")
    assert error.message.startswith("dockerfile_inline:4: RUN echo first;")
    assert error.message.endswith("exit code 3\n  first\n  line 1\n  line 2\n  line 3")
    assert "line 2" in place.details()
    assert place.images.find("test") is None
    await place.build("FROM busybox\nRUN echo kept > /kept\n")
    assert place.cached() == ["RUN echo kept > /kept"]


async def test_a_cancelled_build_stops_and_leaves_nothing_but_its_cache(place: Place) -> None:
    ready = anyio.Event()

    def report(progress: Progress) -> None:
        if progress.detail == "ready":
            ready.set()

    build = Build(
        context=str(place.context),
        dockerfile_inline="FROM busybox\nRUN echo 1 > /one\nRUN echo ready; sleep 1000\n",
    )
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place.builds.build, build, ["test"], report)
            await ready.wait()
            tasks.cancel_scope.cancel()
    assert place.leftovers() == []
    assert place.images.find("test") is None
    await place.build("FROM busybox\nRUN echo 1 > /one\n")
    assert place.cached() == ["RUN echo 1 > /one"]


async def test_two_builds_at_once_share_the_step_under_way(place: Place) -> None:
    dockerfile = "FROM busybox\nRUN echo started; sleep 0.5; head -c 8 /dev/urandom > /random\n"
    build = Build(context=str(place.context), dockerfile_inline=dockerfile)
    said: dict[str, list[str]] = {"one": [], "two": []}
    made: list[Image] = []

    async def run(tag: str) -> None:
        def report(progress: Progress) -> None:
            said[tag].append(progress.detail)

        made.append(await place.builds.build(build, [tag], report))

    async with anyio.create_task_group() as tasks:
        for tag in said:
            tasks.start_soon(run, tag)
    assert made[0].id == made[1].id
    assert place.images.get("one").id == place.images.get("two").id
    assert all("started" in lines for lines in said.values())


async def test_the_next_build_takes_over_from_a_cancelled_one(place: Place) -> None:
    dockerfile = "FROM busybox\nRUN echo started; sleep 1; echo done > /done\n"
    build = Build(context=str(place.context), dockerfile_inline=dockerfile)
    first, second = anyio.Event(), anyio.Event()
    scope = anyio.CancelScope()

    async def run_first() -> None:
        with scope:
            await place.builds.build(build, ["one"], reporter("started", first))

    async def run_second() -> None:
        await place.builds.build(build, ["two"], reporter("built", second))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_first)
            await first.wait()
            tasks.start_soon(run_second)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert second.is_set()
    assert place.images.find("one") is None
    assert "done" in await place.files(place.images.get("two"), "")


def reporter(word: str, event: anyio.Event) -> Any:
    def report(progress: Progress) -> None:
        if word in (progress.detail, progress.step):
            event.set()

    return report


async def test_independent_stages_run_at_the_same_time(place: Place) -> None:
    # Each waits for the other: one after the other they would never end.
    wait = "i=0; until [ -e /c/{0} ]; do i=$((i+1)); [ $i -lt 300 ] || exit 1; usleep 20000; done"
    mount = "RUN --mount=type=cache,target=/c,id=meeting touch /c/{1}; "
    await place.build(
        "FROM busybox AS a\n" + (mount + wait).format("b", "a") + "\n"
        "FROM busybox AS b\n" + (mount + wait).format("a", "b") + "\n"
        "FROM scratch\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n"
    )


async def test_run_mounts_show_the_context_other_stages_and_caches(place: Place) -> None:
    place.write({"src/file": "from the context", ".dockerignore": "src/hidden", "src/hidden": "x"})
    dockerfile = (
        "FROM busybox AS other\nRUN echo other > /other\n"
        "FROM busybox\n"
        "RUN --mount=type=bind,source=src,target=/src"
        " --mount=type=bind,from=other,source=/other,target=/o"
        " --mount=type=cache,target=/cache,id=c --mount=type=tmpfs,target=/t"
        " cat /src/* /o > /seen; touch /t/x; echo {0} >> /cache/count; cat /cache/count >> /seen;"
        " ! touch /src/new\n"
    )
    image = await place.build(dockerfile.format("first"))
    async with place.root(image) as root:
        assert (root / "seen").read_text() == "from the contextother\nfirst\n"
        assert not {"src", "o", "cache", "t"} & {path.name for path in root.iterdir()}
    image = await place.build(dockerfile.format("second"))
    async with place.root(image) as root:
        assert (root / "seen").read_text() == "from the contextother\nfirst\nsecond\n"
    assert not (place.context / "src/new").exists()


async def test_triggers_run_in_the_build_that_starts_from_the_image(place: Place) -> None:
    place.write({"file": "text"})
    await place.build(
        "FROM busybox\nONBUILD COPY file /copied\nONBUILD RUN <<E\necho ran > /ran\nE\n", "base"
    )
    image = await place.build("FROM base\n")
    files = await place.files(image, "")
    assert (files["copied"], files["ran"]) == ("644 0:0 text", "644 0:0 ran\n")
    assert image.config.onbuild == ()


async def test_a_run_is_on_the_network_unless_it_says_otherwise(place: Place) -> None:
    await place.build(
        "FROM busybox\nRUN ip route | grep -q '^default via' && cat /etc/resolv.conf\n"
    )
    await place.build(
        "FROM busybox\nRUN --network=none ! ip route | grep -q default && ip a | grep lo\n"
    )


async def test_a_dockerfile_that_asks_too_much_is_refused_before_anything_runs(
    place: Place,
) -> None:
    for line, what in {
        "RUN --security=insecure true": "RUN --security=insecure is not supported",
        "COPY --nothing a b": "COPY has no flag --nothing",
        "FORM x": "unknown instruction FORM",
        "COPY a": "COPY needs a source and a destination",
    }.items():
        with pytest.raises(InvalidInput) as caught:
            await place.build(f"FROM busybox\nRUN echo ran\n{line}\n")
        assert caught.value.message.startswith("dockerfile_inline:3: "), caught.value.message
        assert what in caught.value.message
        assert "ran" not in place.details()
    with pytest.raises(NotFound, match="no such Dockerfile"):
        await place.builds.build(Build(context=str(place.context)), ["x"], place.said.append)
    for line in (
        "COPY --from=localhost:1/x:y a b",
        "RUN --mount=from=localhost:1/x:y,target=/m true",
    ):
        with pytest.raises(
            PystackError, match=r"^dockerfile_inline:2: localhost:1 cannot be reach"
        ):
            await place.build(f"FROM busybox\n{line}\n")
    with pytest.raises(PystackError, match=r"^dockerfile_inline:1: localhost:1 cannot be reach"):
        await place.build("FROM localhost:1/x:y\n")
    with pytest.raises(NotFound, match="no such directory"):
        await place.builds.build(Build(context="/nowhere"), ["x"], place.said.append)


async def test_recovering_clears_what_a_killed_engine_left(place: Place) -> None:
    left = place.settings.run_dir / "builds" / ("ab" * 32)
    (left / "merged").mkdir(parents=True)
    mount_overlay([place.store.empty], None, None, left / "merged")
    await place.builds.recover()
    assert place.leftovers() == []


async def test_pruning_frees_what_only_the_cache_needs(place: Place) -> None:
    dockerfile = "FROM busybox\nRUN --mount=type=cache,target=/c echo x > /c/x; echo 1 > /one\n"
    image = await place.build(dockerfile)
    await place.build("FROM busybox\nRUN head -c 5000 /dev/zero > /zeros\n", "other")
    await place.images.remove("other")
    pruned = await place.builds.storage.prune(everything=True)
    assert pruned.size_bytes >= 5000
    assert "one" in await place.files(image, "")
    await place.build(dockerfile)
    assert place.cached() == []


async def test_times_are_kept_and_directories_that_were_there_keep_theirs(place: Place) -> None:
    place.write({"dir/sub/file": "x", "dir/file": "x"})
    for name in ("dir/sub/file", "dir/sub", "dir/file", "dir"):
        os.utime(place.context / name, (1000, 1000))
    base = place.images.get("busybox")
    async with place.root(base) as root:
        before = (root / "etc").stat().st_mtime
    image = await place.build("FROM busybox\nCOPY dir /etc\nCOPY dir /new\n")
    async with place.root(image) as root:
        names = ("etc/sub/file", "etc/sub", "etc/file", "new/file", "new/sub", "new/sub/file")
        assert {name: (root / name).stat().st_mtime for name in names} == dict.fromkeys(names, 1000)
        assert (root / "etc").stat().st_mtime == before


async def test_a_run_is_confined_as_a_container_is(place: Place) -> None:
    image = await place.build(
        "FROM busybox\nWORKDIR /out\n"
        "RUN grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status | tr -d '\\t' > status\n"
        "RUN cat /proc/sysrq-trigger /proc/kcore 2>/dev/null | wc -c > masked;"
        " ! (echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo kept >> masked\n"
        "RUN ! mount -t tmpfs none /mnt 2>/dev/null && [ $(ls -d /proc/[0-9]* | wc -l) -lt 5 ]\n"
    )
    files = await place.files(image, "out")
    assert "Seccomp:2" in files["status"]
    # Docker's fourteen capabilities, and no more.
    assert "CapEff:00000000a80425fb" in files["status"]
    assert files["masked"] == "644 0:0 0\nkept\n"


async def test_an_image_can_be_built_in_a_network_of_ones_own(place: Place) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        await place.build("FROM busybox\nRUN true\n", network="nowhere")
    image = await place.build(
        "FROM busybox\nRUN readlink /proc/self/ns/net > /namespace\n", network="host"
    )
    async with place.root(image) as root:
        assert (root / "namespace").read_text().strip() == str(Path("/proc/self/ns/net").readlink())


async def test_a_linked_or_bound_mount_is_the_same_for_every_run(place: Place) -> None:
    place.write({"src/a": "1"})
    mount = "--mount=type=bind,source=src,target=/m"
    image = await place.build(
        f"FROM busybox\nRUN {mount} cp /m/a /1\nRUN {mount},rw echo 2 > /m/a && cp /m/a /2\n"
        f"RUN {mount} cp /m/a /3\n"
    )
    async with place.root(image) as root:
        assert [(root / n).read_text().strip() for n in "123"] == ["1", "2", "1"]


async def test_a_build_waits_for_the_image_that_another_one_makes(place: Place) -> None:
    contexts = {"base": "docker-image://first"}
    build = Build(
        context="", dockerfile_inline="FROM base\nRUN cat /made > /seen\n", contexts=contexts
    )

    async def second() -> None:
        await place.builds.build(build, ["second"], place.said.append)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            # It may even be asked for first.
            tasks.start_soon(second)
            await anyio.sleep(0.1)
            await place.builds.build(
                Build(
                    context="", dockerfile_inline="FROM busybox\nRUN sleep 0.5; echo 1 > /made\n"
                ),
                ["first"],
                place.said.append,
            )
    assert (await place.files(place.images.get("second"), ""))["seen"] == "644 0:0 1\n"


async def test_builds_that_wait_for_each_other_are_told(place: Place) -> None:
    errors: list[str] = []

    async def build(tag: str, other: str) -> None:
        wanted = Build(
            context="",
            dockerfile_inline="FROM base\n",
            contexts={"base": f"docker-image://{other}"},
        )
        try:
            await place.builds.build(wanted, [tag], place.said.append)
        except PystackError as error:
            errors.append(error.code)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build, "localhost/a", "localhost/b")
            tasks.start_soon(build, "localhost/b", "localhost/a")
    assert "build-circular" in errors
