"""`pystack build` as a user runs it, and Docker's own client against the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.oci import OciImage
from tests.support.registry import Registry

DOCKERFILE = """\
FROM busybox AS base
ARG VERSION=1
LABEL version=$VERSION
RUN echo "built $VERSION" > /built
FROM base
COPY file /file
CMD ["cat", "/built", "/file"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(DOCKERFILE)
    (directory / "file").write_text("content\n")
    return directory


def test_an_image_is_built_run_and_built_again(engine: EngineUnderTest, context: Path) -> None:
    first = engine.cli(
        "build", "-t", "app:1", "-t", "app:latest", "--build-arg", "VERSION=7", "--label", "x=y",
        "--iidfile", str(context / "iid"), "--metadata-file", str(context / "meta.json"), ".",
        cwd=context,
    )  # fmt: skip
    identifier = first.stdout.strip()
    assert "[base 2/2] RUN echo" in first.stderr
    assert " DONE " in first.stderr
    assert (context / "iid").read_text() == identifier
    metadata = json.loads((context / "meta.json").read_text())
    assert metadata["containerimage.config.digest"] == identifier
    assert metadata["image.name"] == "app:1,app:latest"
    assert engine.cli("run", "--rm", "app:1").stdout == "built 7\ncontent\n"
    inspected = json.loads(engine.cli("image", "inspect", "app").stdout)[0]
    assert inspected["Config"]["Labels"] == {"version": "7", "x": "y"}

    shutil.rmtree(context / "iid", ignore_errors=True)
    again = engine.cli("build", "--build-arg", "VERSION=7", "--label", "x=y", str(context))
    assert again.stdout.strip() == identifier
    assert again.stderr.count("CACHED") == 2
    (context / "file").write_text("changed\n")
    quiet = engine.cli("build", "-q", "--target", "base", str(context))
    assert quiet.stderr == ""
    assert quiet.stdout.startswith("sha256:")

    listed = engine.cli("builder", "du").stdout
    assert "RECLAIMABLE" in listed.splitlines()[0]
    df = engine.cli("system", "df").stdout
    assert "Build Cache" in df
    engine.cli("rmi", "-f", identifier)
    assert "Total reclaimed space:" in engine.cli("builder", "prune", "-a", "-f").stdout
    assert json.loads(engine.cli("builder", "du", "--format", "json").stdout or "[]") == []


def test_contexts_and_dockerfiles_come_from_stdin(engine: EngineUnderTest, context: Path) -> None:
    alone = engine.cli("build", "-q", "-", stdin="FROM busybox\nRUN echo hi > /hi\n")
    shown = engine.cli("run", "--rm", alone.stdout.strip(), "cat", "/hi")
    assert shown.stdout == "hi\n"
    given = engine.cli(
        "build", "-q", "-f", "-", str(context), stdin="FROM busybox\nCOPY file /f\n"
    ).stdout.strip()
    assert engine.cli("run", "--rm", given, "cat", "/f").stdout == "content\n"

    archive = context.parent / "context.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("Dockerfile", "file"):
            tar.add(context / name, name)
    with archive.open("rb") as stdin:
        done = subprocess.run(
            engine.argv("build", "-q", "-t", "from-tar", "-"),
            env=engine.env, stdin=stdin, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    assert done.stdout.startswith("sha256:")
    assert engine.cli("run", "--rm", "from-tar").stdout == "built 1\ncontent\n"


def test_mistakes_name_file_line_and_instruction(engine: EngineUnderTest, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\n\nRUN echo before; \\\n  exit 42\n")
    failed = engine.run("build", ".", cwd=context)
    assert failed.exit_code == 1
    error = failed.stderr[failed.stderr.index("error: ") :]
    assert error.splitlines()[:2] == [
        "error: Dockerfile:3: RUN echo before;   exit 42: exit code 42",
        "  before",
    ]
    (context / "Dockerfile").write_text("FROM busybox\nCOPY --from=nowhere/none a b\nCPY x y\n")
    failed = engine.run("build", ".", cwd=context)
    assert "Dockerfile:3: unknown instruction CPY\n     3 | CPY x y\n" in failed.stderr
    assert "Traceback" not in failed.stderr
    for arguments, problem in {
        ("build",): "pystack build",
        ("build", "nowhere"): "is not a directory",
        ("build", "--secret", "id=x,src=nowhere", "."): "there is no file nowhere",
        ("build", "--secret", "id=x,env=UNSET_HERE", "."): "UNSET_HERE is not set",
        ("build", "--output", "type=zip,dest=x", "."): "type is one of",
        ("build", "--allow", "security.insecure", "."): "builds run confined",
        ("build", "--sbom=true", "."): "attestations are not made",
        ("build", "--build-context", "x", "."): "expected NAME=PATH",
    }.items():
        if arguments == ("build",):
            continue
        refused = engine.run(*arguments, cwd=context)
        assert refused.exit_code != 0
        assert problem in refused.stderr, arguments


def test_checks_are_shown_and_nothing_is_built(engine: EngineUnderTest, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nENV PASSWORD=x\nCMD run me\nRUN exit 1\n")
    checked = engine.run("build", "--check", ".", cwd=context)
    assert checked.exit_code == 1
    assert "Check complete, 2 warnings have been found!" in checked.stdout
    assert "WARNING: SecretsUsedInArgOrEnv\n" in checked.stdout
    assert "Dockerfile:3\n--------------------\n   3 | >>> CMD run me\n" in checked.stdout
    (context / "Dockerfile").write_text('FROM busybox\nCMD ["true"]\n')
    assert engine.cli("build", "--check", ".", cwd=context).stdout.startswith("Check complete, no")
    (context / "Dockerfile").write_text("# check=error=true\nFROM busybox\nCMD run me\n")
    failed = engine.run("build", ".", cwd=context)
    assert failed.exit_code == 1
    assert "Dockerfile:3: JSONArgsRecommended:" in failed.stderr


def test_results_secrets_caches_and_progress(engine: EngineUnderTest, context: Path) -> None:
    (context / "Dockerfile").write_text(
        "FROM busybox AS make\n"
        "RUN --mount=type=secret,id=token --mount=type=secret,id=V,env=V"
        " mkdir /made && cat /run/secrets/token | wc -c > /made/size && echo ${#V} >> /made/size\n"
        "FROM scratch\nCOPY --from=make /made /\nCOPY --from=more o /\n"
    )
    (context / "token").write_text("12345")
    (context / "more").mkdir()
    (context / "more/o").write_text("o")
    arguments = (
        "--secret", "id=token,src=token", "--secret", "id=V", "--build-context", "more=./more",
        "--cache-to", "type=local,dest=cache,mode=max",
    )  # fmt: skip
    env = {"V": "1234567"}
    engine.cli("build", *arguments, "-o", "out", ".", cwd=context, env=env)
    assert (context / "out/size").read_text() == "5\n7\n"
    assert (context / "out/o").read_text() == "o"
    assert (context / "cache/index.json").exists()
    engine.cli("builder", "prune", "-af")
    again = engine.cli(
        "build", *arguments[:6], "--cache-from", "type=local,src=cache", "--progress", "rawjson",
        "-o", "type=tar,dest=out.tar", ".", cwd=context, env=env,
    )  # fmt: skip
    events = [json.loads(line) for line in again.stderr.splitlines()]
    steps = [vertex for event in events for vertex in event.get("vertexes", ())]
    assert any(v.get("cached") and "--mount=type=secret" in v["name"] for v in steps)
    with tarfile.open(context / "out.tar") as tar:
        assert sorted(tar.getnames()) == ["o", "size"]
    piped = subprocess.run(
        engine.argv("build", *arguments[:6], "-q", "-o", "-", "."),
        cwd=context, env=engine.env | env, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert piped.stdout[257:262] == b"ustar"


def test_an_image_goes_to_a_registry_and_its_steps_come_back(
    engine: EngineUnderTest, context: Path, hub: Registry
) -> None:
    name = f"{hub.host}/builds/app:1"
    engine.cli("build", "-t", name, "--push", "--cache-to", "type=inline", ".", cwd=context)
    engine.cli("rmi", "-f", name)
    engine.cli("builder", "prune", "-af")
    again = engine.cli("build", "--cache-from", name, ".", cwd=context)
    assert again.stderr.count("CACHED") == 2

    # All stages, apart from the image.
    place = f"type=registry,ref={hub.host}/builds/cache:1"
    (context / "Dockerfile").write_text(
        "FROM busybox AS one\nRUN echo 1 > /1\nFROM busybox\nRUN echo 2 > /2\n"
        "COPY --from=one /1 /1\n"
    )
    engine.cli("build", "--cache-to", f"{place},mode=max", ".", cwd=context)
    engine.cli("image", "prune", "-f")
    engine.cli("builder", "prune", "-af")
    again = engine.cli("build", "--cache-from", place, ".", cwd=context)
    assert again.stderr.count("CACHED") == 3


needs_docker = pytest.mark.skipif(not shutil.which("docker"), reason="needs docker-cli")


@needs_docker
def test_dockers_client_builds_with_the_engine(
    engine: EngineUnderTest, context: Path, busybox_image: OciImage
) -> None:
    environment = {
        **os.environ,
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_BUILDKIT": "0",
        "DOCKER_CONFIG": str(context.parent / "config"),
    }

    def docker(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words], cwd=context, env=environment, input=stdin,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    built = docker("build", "-t", "by-docker", "--build-arg", "VERSION=9", "--label", "l=m", ".")
    assert built.returncode == 0, built.stderr
    assert "Step 2/2 : COPY file /file\n" in built.stdout
    assert "Successfully tagged by-docker:latest\n" in built.stdout
    assert engine.cli("run", "--rm", "by-docker").stdout == "built 9\ncontent\n"
    again = docker("build", "-t", "by-docker", "--build-arg", "VERSION=9", "--label", "l=m", ".")
    assert " ---> Using cache\n" in again.stdout
    quiet = docker("build", "-q", "-f", "Dockerfile", "--target", "base", ".")
    assert quiet.stdout.startswith("sha256:")
    failed = docker("build", "-", stdin="FROM busybox\nRUN echo why; exit 3\n")
    assert failed.returncode == 3
    assert "Dockerfile:2: RUN echo why; exit 3: exit code 3" in failed.stderr
    status, pruned = engine.request("POST", "/build/prune?all=1")
    assert (status, sorted(pruned)) == (200, ["CachesDeleted", "SpaceReclaimed"])
