"""Images through the command line, as somebody who knows docker would use them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.oci import add_file

Pystack = Callable[..., Result]


@pytest.fixture
def busybox(pystack: Pystack) -> str:
    """The id of the image busybox, which is here."""
    pystack("pull", "-q", "busybox")
    return pystack("images", "-q", "--no-trunc", "busybox").stdout.strip()


def columns(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_images_are_listed_named_and_removed_as_docker_does(
    pystack: Pystack, engine: EngineUnderTest, busybox: str
) -> None:
    short = busybox.removeprefix("sha256:")[:12]
    assert pystack("tag", "busybox", "r.example:5000/team/app:1").output == ""
    pystack("tag", short, "app:2")
    listed = columns(pystack("images").stdout)
    assert listed[0] == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    assert sorted(row[:3] for row in listed[1:]) == [
        ["app", "2", short],
        ["busybox", "latest", short],
        ["r.example:5000/team/app", "1", short],
    ]
    assert columns(pystack("image", "ls", "--digests", "busybox").stdout)[0][2] == "DIGEST"
    by = pystack("images", "--format", "{{.Repository}}@{{.Digest}}", "busybox").stdout.strip()
    assert re.fullmatch(r"busybox@sha256:[0-9a-f]{64}", by)
    assert pystack("images", "-q", by).stdout.strip() == short

    for given, names in {
        "reference=*app*": ["app:2"],
        "reference=*/*/app": ["r.example:5000/team/app:1"],
        "dangling=true": [],
        "before=busybox": [],
        "since=busybox": [],
        "until=2020-01-01": [],
        "label=none": [],
    }.items():
        shown = pystack("images", "-f", given, "--format", "{{.Repository}}:{{.Tag}}").stdout
        assert shown.split() == names, given
    wrong = engine.run("images", "-f", "colour=blue")
    assert (wrong.exit_code, wrong.stderr.splitlines()[0]) == (1, "error: invalid filter 'colour'")
    document = json.loads(pystack("images", "--format", "json", "app").stdout)
    assert (document["Repository"], document["Tag"], document["ID"]) == ("app", "2", short)

    several = engine.run("rmi", short)
    assert several.exit_code == 1
    assert "(must be forced) - image is referenced in multiple repositories" in several.stderr
    assert pystack("rmi", "app:2").stdout == "Untagged: app:2\n"
    pystack("rmi", "r.example:5000/team/app:1")
    gone = pystack("rmi", "busybox").stdout.splitlines()
    assert gone[:3] == ["Untagged: busybox:latest", f"Untagged: {by}", f"Deleted: {busybox}"]
    assert re.fullmatch(r"Deleted: sha256:[0-9a-f]{64}", gone[3])
    absent = engine.run("rmi", "busybox")
    assert (absent.exit_code, absent.stderr.splitlines()[0]) == (
        1,
        "error: No such image: busybox:latest",
    )
    assert engine.run("rmi", "-f", "busybox").exit_code == 0
    assert pystack("images", "-q").stdout == ""
    content = engine.directory / "data/content"
    assert list((content / "l").iterdir()) == []
    assert list((content / "blobs/sha256").iterdir()) == []


def test_an_image_in_use_is_kept_by_dockers_rules(
    pystack: Pystack, engine: EngineUnderTest, busybox: str
) -> None:
    running = pystack("run", "-d", "busybox", "sleep", "1000").stdout.strip()
    refused = engine.run("rmi", "busybox")
    assert refused.exit_code == 1
    assert f"container {running[:12]} is using its referenced image" in refused.stderr
    refused = engine.run("rmi", "-f", busybox)
    assert f"image is being used by running container {running[:12]}" in refused.stderr
    assert pystack("image", "prune", "-a", "-f").stdout == "Total reclaimed space: 0B\n"
    pystack("kill", running)
    pystack("wait", running)
    refused = engine.run("rmi", busybox)
    assert "(must be forced) - image is being used by stopped container" in refused.stderr
    assert f"Deleted: {busybox}" in pystack("rmi", "-f", busybox).stdout
    assert pystack("images", "-q").stdout == ""
    # Its content is the container's until that goes too.
    pystack("start", running)
    pystack("rm", "-f", running)
    assert list((engine.directory / "data/content/l").iterdir()) == []


def test_inspect_and_history_tell_everything(pystack: Pystack, project: Path) -> None:
    (project / "Dockerfile").write_text(
        "FROM busybox\n"
        "ENV A=1\n"
        'HEALTHCHECK --interval=7s CMD ["true"]\n'
        'SHELL ["/bin/sh", "-ec"]\n'
        "ONBUILD RUN true\n"
        "EXPOSE 80\nVOLUME /data\nUSER 5\nWORKDIR /work\nSTOPSIGNAL SIGINT\nLABEL a=b\n"
        "RUN echo hello > /tmp/hello; touch '/tmp/a long name so that the line is cut'\n"
    )
    pystack("build", "-q", "-t", "app", str(project))
    (found,) = json.loads(pystack("image", "inspect", "app").stdout)
    config = found["Config"]
    assert config["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 7_000_000_000}
    assert config["Shell"] == ["/bin/sh", "-ec"]
    assert config["OnBuild"] == ["RUN true"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("5", "/work", "SIGINT")
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert config["Labels"] == {"a": "b"}
    assert "A=1" in config["Env"]
    assert found["RepoTags"] == ["app:latest"]
    assert (found["Os"], found["Parent"], found["GraphDriver"]["Name"]) == ("linux", "", "overlay2")
    assert found["Architecture"]
    assert found["RootFS"]["Type"] == "layers"
    assert found["Metadata"]["LastTagTime"].startswith("20")
    assert pystack("image", "inspect", "-f", "{{.Config.User}}", "app").stdout == "5\n"

    lines = columns(pystack("history", "app").stdout)
    assert lines[0] == ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"]
    assert lines[1][0] == found["Id"].removeprefix("sha256:")[:12]
    assert {line[0] for line in lines[2:]} == {"<missing>"}
    assert any(line[2].endswith("…") and len(line[2]) == 45 for line in lines[1:])
    sizes = pystack("history", "-H=false", "--format", "{{.Size}}", "app").stdout.split()
    assert sum(map(int, sizes)) == found["Size"]
    assert pystack("history", "-q", "--no-trunc", "app").stdout.split()[0] == found["Id"]


@pytest.mark.parametrize("form", ["both", "docker", "oci"])
def test_what_is_saved_is_loaded_again(
    pystack: Pystack, engine: EngineUnderTest, busybox: str, project: Path, form: str
) -> None:
    (project / "Dockerfile").write_text("FROM busybox\nRUN echo made > /made\n")
    pystack("build", "-q", "-t", "made:1", str(project))
    made = pystack("images", "-q", "--no-trunc", "made").stdout.strip()
    archive = project / "images.tar"
    pystack("tag", "busybox", "busybox:again")
    pystack("save", "--format", form, "-o", str(archive), "busybox", "made:1")
    for name in ("busybox", "busybox:again", "made:1"):
        pystack("rmi", "-f", name)
    assert pystack("images", "-q").stdout == ""
    said = pystack("load", "-q", "-i", str(archive)).stdout
    assert sorted(said.splitlines()) == [
        "Loaded image: busybox:again",
        "Loaded image: busybox:latest",
        "Loaded image: made:1",
    ]
    assert set(pystack("images", "-q", "--no-trunc").stdout.split()) == {busybox, made}
    assert pystack("run", "--rm", "made:1", "cat", "/made").stdout == "made\n"
    assert pystack("image", "verify").stdout == "2 images: 0 damaged, 0 not mended\n"
    # Nothing half done stays behind, and a directory that is not there is told.
    assert [path.name for path in project.iterdir() if path.name.startswith(".")] == []
    nowhere = engine.run("save", "-o", str(project / "no/where.tar"), "made:1")
    assert (nowhere.exit_code, "invalid output path" in nowhere.stderr) == (1, True)


def test_load_reads_stdin_whatever_it_is_packed_with(
    pystack: Pystack, engine: EngineUnderTest, busybox: str, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    with archive.open("wb") as file:
        subprocess.run(engine.argv("save", busybox), env=engine.env, stdout=file, check=True)
    for pack in ("cat", "gzip -1", "zstd -1"):
        pystack("rmi", "-f", busybox)
        load = " ".join(f"'{word}'" for word in engine.argv("load"))
        done = subprocess.run(
            f"{pack} < {archive} | {load}",
            shell=True, env=engine.env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == f"Loaded image ID: {busybox}\n", pack


def test_the_engine_reads_a_file_itself_only_if_it_is_the_one_meant(
    pystack: Pystack, engine: EngineUnderTest, busybox: str, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    pystack("save", "-o", str(archive), "busybox")
    info = archive.stat()
    meant = f"file={archive}&device={info.st_dev}&inode={info.st_ino}"
    other = f"file={archive}&device={info.st_dev}&inode={info.st_ino + 1}"
    for query, seen in {meant: True, other: False, "file=/absent": False}.items():
        assert engine.request("GET", f"/pystack/v1/local-file?{query}") == (200, {"seen": seen})
    assert engine.request("POST", f"/images/load?{meant}")[0] == 200
    status, body = engine.request("POST", f"/images/load?{other}")
    assert (status, body["code"]) == (404, "no-such-file")
    # What is no regular file is sent.
    pystack("rmi", "busybox")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: pipe.write_bytes(archive.read_bytes()))
        assert pystack("load", "-i", str(pipe)).stdout == "Loaded image: busybox:latest\n"
        writing.result(timeout=30)


def test_a_file_tree_becomes_an_image(
    pystack: Pystack, engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "root/bin/busybox").chmod(0o755)
    archive = tmp_path / "root.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path / "root", "."], check=True)
    changes = ["-c", 'ENTRYPOINT ["/bin/busybox"]', "-c", "ENV A=1 B=2", "-c", 'CMD ["env"]']
    said = pystack("import", "-m", "by hand", *changes, str(archive), "made:1").stdout.strip()
    assert said == pystack("images", "-q", "--no-trunc", "made").stdout.strip()
    assert {"A=1", "B=2"} <= set(pystack("run", "--rm", "made:1").stdout.split())
    assert pystack("history", "--format", "{{.Comment}}", "made:1").stdout == "by hand\n"
    assert pystack("image", "inspect", "-f", "{{.Comment}}", "made:1").stdout == "by hand\n"
    refused = engine.run("import", "-c", "RUN true", str(archive))
    assert (refused.exit_code, "RUN is not a valid change command" in refused.stderr) == (1, True)
    nameless = pystack("import", str(archive)).stdout.strip()
    rows = columns(pystack("images", "--no-trunc", "-f", "dangling=true").stdout)
    assert rows[1][:3] == ["<none>", "<none>", nameless]
    pruned = pystack("image", "prune", stdin="y\n").stdout
    assert pruned.startswith(
        "WARNING! This will remove all dangling images.\n"
        "Are you sure you want to continue? [y/N] Deleted Images:\n"
        f"deleted: {nameless}\n"
    )
    assert re.search(r"\n\nTotal reclaimed space: [\d.]+[kM]?B\n$", pruned)
    assert pystack("image", "prune", stdin="n\n").stdout.endswith(
        "[y/N] Total reclaimed space: 0B\n"
    )


def test_a_file_tree_is_imported_from_the_web(
    pystack: Pystack, engine: EngineUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "hello").write_text("hello")
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "hello", "hello")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            identifier = pystack("import", f"{url}/root.tar.gz", "web:1").stdout.strip()
            assert pystack("images", "-q", "--no-trunc", "web").stdout.strip() == identifier
            comment = pystack("history", "--format", "{{.Comment}}", "web:1").stdout
            assert comment == f"Imported from {url}/root.tar.gz\n"
            absent = engine.run("import", f"{url}/absent.tar")
            assert (absent.exit_code, "the server answers 404" in absent.stderr) == (1, True)
        finally:
            server.shutdown()
            thread.join()


def test_what_takes_room_is_told(
    pystack: Pystack, engine: EngineUnderTest, busybox: str, project: Path
) -> None:
    (project / "Dockerfile").write_text(
        "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1000 count=1000 2>/dev/null\n"
    )
    pystack("build", "-q", "-t", "big", str(project))
    pystack("run", "--name", "writer", "-v", "data:/data", "busybox", "sh", "-c",
            "dd if=/dev/zero of=/data/file bs=1000 count=500; echo 12345 > /written")  # fmt: skip
    rows = {row[0]: row[1:] for row in columns(pystack("system", "df").stdout)}
    assert rows["TYPE"] == ["TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert rows["Images"][:2] == ["2", "1"]
    assert re.fullmatch(r"1MB \(\d+%\)", rows["Images"][3])
    assert rows["Containers"] == ["1", "0", "6B", "6B (100%)"]
    assert rows["Local Volumes"] == ["1", "1", "500kB", "0B (0%)"]
    assert rows["Build Cache"][2] == "1MB"
    _, usage = engine.request("GET", "/system/df")
    sizes = {tuple(image["RepoTags"]): image for image in usage["Images"]}
    base, big = sizes["busybox:latest",], sizes["big:latest",]
    assert usage["LayersSize"] == big["Size"] == base["Size"] + 1_000_000
    assert base["SharedSize"] == big["SharedSize"] == base["Size"]
    assert usage["Containers"][0]["SizeRw"] == 6
    assert usage["Containers"][0]["SizeRootFs"] == base["Size"] + 6
    verbose = pystack("system", "df", "-v").stdout
    for heading in ("Images space usage:", "Containers space usage:", "Local Volumes space usage:"):
        assert heading in verbose
    assert re.search(r"big +latest +\w+ +.*ago +\S+ +\S+ +1MB +0\n", verbose)
    shown = pystack("system", "df", "--format", "{{.Type}}={{.TotalCount}}").stdout
    assert shown.splitlines()[0] == "Images=2"
    _, listed = engine.request("GET", "/containers/json?all=1&size=1")
    assert (listed[0]["SizeRw"], listed[0]["SizeRootFs"]) == (6, base["Size"] + 6)


def test_damaged_content_is_found_and_mended(
    pystack: Pystack, engine: EngineUnderTest, busybox: str, project: Path
) -> None:
    (project / "Dockerfile").write_text("FROM busybox\nRUN echo made > /made\n")
    pystack("build", "-q", "-t", "made", str(project))
    content = engine.directory / "data/content"
    _, found = engine.request("GET", "/images/made/json")
    directories = found["GraphDriver"]["Data"]
    base, top = Path(directories["LowerDir"]), Path(directories["UpperDir"])
    assert pystack("image", "verify").stdout == "2 images: 0 damaged, 0 not mended\n"

    # A file of a pulled layer: made again from its blob, without any registry.
    program = base / "bin/busybox"
    before = program.read_bytes()
    program.write_bytes(b"damaged")
    mended = pystack("image", "verify", "-q", "busybox").stdout
    assert re.fullmatch(
        r"busybox:latest, made:latest: layer sha256:\w{64}: mended\n"
        r"1 images: 1 damaged, 0 not mended\n",
        mended,
    )
    assert program.read_bytes() == before

    # Its blob too, and the configuration: pulled again.
    _, image = engine.request("GET", "/images/busybox/json")
    for blob in (content / "blobs/sha256").iterdir():
        if blob.stat().st_size > 100_000 or blob.name in image["Id"]:
            with blob.open("r+b") as file:
                file.write(b"\0\0\0\0")
    program.unlink()
    mended = pystack("image", "verify", "busybox").stdout
    assert "not mended:" not in mended
    assert program.read_bytes() == before
    assert pystack("image", "verify", "busybox").stdout.startswith("1 images: 0 damaged")

    # A step that only the build cache has: forgotten, and done again by the next build.
    pystack("tag", "made", "kept")
    (project / "Dockerfile").write_text("FROM busybox\nRUN echo other > /other\n")
    pystack("build", "-q", "-t", "other", str(project))
    _, other = engine.request("GET", "/images/other/json")
    made_other = Path(other["GraphDriver"]["Data"]["UpperDir"]) / "other"
    pystack("rmi", "other")
    made_other.write_text("damaged")
    assert pystack("image", "verify").stdout.startswith("build cache: layer sha256:")
    pystack("build", "-q", "-t", "other", str(project))
    assert pystack("run", "--rm", "other", "cat", "/other").stdout == "other\n"

    # What was made here cannot be had from elsewhere.
    (top / "made").write_text("else")
    broken = engine.run("image", "verify")
    assert broken.exit_code == 1
    assert "not mended: it was not pulled from a registry" in broken.stdout


def test_what_runs_is_not_changed_under_it(
    pystack: Pystack, engine: EngineUnderTest, busybox: str
) -> None:
    _, found = engine.request("GET", "/images/busybox/json")
    pystack("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    (Path(found["GraphDriver"]["Data"]["UpperDir"]) / "etc/group").write_text("damaged")
    broken = engine.run("image", "verify")
    assert (broken.exit_code, "not mended: stop web first" in broken.stdout) == (1, True)
    pystack("rm", "-f", "web")
    assert pystack("image", "verify").stdout.endswith("1 damaged, 0 not mended\n")


def test_save_writes_to_no_terminal(engine: EngineUnderTest, busybox: str) -> None:
    primary, secondary = os.openpty()
    try:
        done = subprocess.run(
            engine.argv("save", "busybox"),
            env=engine.env, stdout=secondary, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(secondary)
        os.close(primary)
    assert done.returncode == 1
    assert "cowardly refusing to save to a terminal" in done.stderr


def test_a_device_in_an_image_opens_nothing(pystack: Pystack, tmp_path: Path) -> None:
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as tar:
        with Path("/bin/busybox").open("rb") as program:
            size = os.fstat(program.fileno()).st_size
            add_file(tar, "bin/busybox", program, mode=0o755, size=size)
        # The loop devices' and the kernel's memory's numbers: whatever they are, they stay shut.
        for name, major, minor in (("disk", 7, 0), ("memory", 1, 1)):
            kind = tarfile.BLKTYPE if name == "disk" else tarfile.CHRTYPE
            add_file(tar, name, type=kind, devmajor=major, devminor=minor, mode=0o666)
    pystack("import", str(root), "smuggler")
    for name in ("disk", "memory"):
        script = f"/bin/busybox ls -l /{name}; /bin/busybox dd if=/{name} count=1"
        said = pystack("run", "--rm", "smuggler", "/bin/busybox", "sh", "-c", f"{script}; true")
        assert "rw-rw-rw-" in said.stdout
        assert f"can't open '/{name}': Operation not permitted" in said.stderr


def test_runs_pulls_and_removals_at_once_fail_in_words_only(engine: EngineUnderTest) -> None:
    commands = [
        (["run", "--rm", "busybox", "echo", "ran"], 5),
        (["pull", "-q", "busybox"], 5),
        (["rmi", "-f", "busybox"], 7),
        (["image", "prune", "-a", "-f"], 4),
    ]

    def again(words: list[str], times: int) -> list[Result]:
        return [engine.run(*words) for _ in range(times)]

    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(again, words, times) for words, times in (*commands, commands[0])]
        results = [result for answer in answers for result in answer.result()]
    ran = [result for result in results if result.argv[0] == "run"]
    assert any(result.stdout == "ran\n" for result in ran)
    for result in results:
        if result.exit_code:
            # It went between the pull and the container, or was in use: both are in order.
            assert re.search(r"No such image: busybox|conflict: unable to", result.stderr), result
    assert engine.run("run", "--rm", "busybox", "echo", "ran").stdout == "ran\n"
    engine.run("rmi", "-f", "busybox")
    content = engine.directory / "data/content"
    for place in ("l", "layers", "tmp", "blobs/sha256"):
        assert list((content / place).iterdir()) == [], place


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker's client is not installed")
def test_dockers_own_client_manages_images(
    engine: EngineUnderTest, busybox: str, tmp_path: Path
) -> None:
    env = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}

    def docker(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            ["docker", *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, (words, done)
        return done.stdout + done.stderr

    docker("tag", "busybox", "team/app:2")
    shown = docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert sorted(shown.splitlines()) == [f"busybox:latest {busybox}", f"team/app:2 {busybox}"]
    assert docker("images", "-q", "-f", "reference=team/*").strip() == busybox[7:19]
    assert docker("history", "-q", "--no-trunc", "team/app:2").split()[0] == busybox
    (found,) = json.loads(docker("image", "inspect", "team/app:2"))
    assert (found["Id"], found["RootFS"]["Type"]) == (busybox, "layers")
    archive = str(tmp_path / "app.tar")
    docker("save", "-o", archive, "team/app:2")
    assert docker("rmi", "team/app:2") == "Untagged: team/app:2\n"
    assert docker("load", "-q", "-i", archive) == "Loaded image: team/app:2\n"
    assert "Loaded image: team/app:2" in docker("load", "-i", archive)
    assert docker("import", archive, "tree:1").startswith("sha256:")
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    assert "not an image archive" in docker("load", "-i", str(tmp_path / "junk"), code=1)
    assert "No such image: none:latest" in docker("rmi", "none", code=1)
    assert docker("system", "df", "--format", "{{.TotalCount}}").split()[0] == "2"
    assert "SHARED SIZE" in docker("system", "df", "-v")
    pruned = docker("image", "prune", "-a", "-f")
    assert f"deleted: {busybox}" in pruned
    assert docker("images", "-q") == ""
