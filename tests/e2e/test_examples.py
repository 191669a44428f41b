"""The stacks of examples/compose, as they are: each is brought up and does what its head says."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.registry import Registry
from tests.support.waiting import wait_until
from tests.support.web import get

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/compose"
BUILD_S = 280.0
# Their images share their first steps, which the engine's build cache keeps for the next test.
pytestmark = pytest.mark.timeout(400)

Stack = Callable[..., Result]


@pytest.fixture
def stack(shared: EngineUnderTest, debian_hub: Registry) -> Callable[[str], Any]:
    """Brings an example up for a `with` block, in which its command line is what is given."""

    @contextmanager
    def running(name: str, file: Path | None = None, **env: str) -> Iterator[Stack]:
        path = str(file or EXAMPLES / name / "stack.yml")

        def run(*words: str, **more: str) -> Result:
            return shared.cli("-f", path, *words, env=env | more, timeout_s=BUILD_S)

        run("up", "-d", "--wait")
        try:
            yield run
        finally:
            run("--profile", "*", "down", "-v", "-t", "2")

    return running


def test_guestbook_what_is_written_is_in_the_database(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8081/"
    with stack("guestbook") as run:
        assert page(url) == "0 entries\n"
        assert post(url, "Hello from me") == "thank you\n"
        assert post(url, "Grüße") == "thank you\n"
        assert page(url) == "2 entries\n1. Hello from me\n2. Grüße\n"
        assert "2 steps done, 0 were done before" in run("logs", "migrate").stdout
        # The database is made anew from its volume, and the job finds its steps done.
        run("down")
        run("up", "-d", "--wait")
        assert page(url).startswith("2 entries\n")
        assert "0 steps done, 2 were done before" in run("logs", "migrate").stdout
        answer = run("exec", "-T", "db", "sh", "-c", 'echo "$PGDATA"; env').stdout
        assert "change-this-one" not in answer, "the secret is a file, not a variable"


def test_replicas_share_the_load_and_an_update_is_seen_by_nobody_as_an_error(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8082/"
    with stack("replicas") as run:
        answers = Counter(page(url) for _ in range(30))
        assert len(answers) == 2, answers
        assert all(re.fullmatch(r"version 1 from \w+\n", answer) for answer in answers)
        with asked_all_the_time(url) as seen:
            run("up", "-d", "--wait", VERSION="2")
            wait_until(lambda: seen[-1:] and seen[-1].startswith("version 2"), "version 2")
        assert {answer.partition(" from ")[0] for answer in seen} == {"version 1", "version 2"}
        wait_until(lambda: {page(url).split()[1] for _ in range(10)} == {"2"}, "version 1 is gone")
        assert len(shared.containers(com_docker_compose_service="site")) == 2


def test_queue_jobs_are_shared_by_the_workers_and_outlive_redis(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8083/"
    with stack("queue") as run:
        assert page(url) == "0 jobs done, sum 0\n"
        assert post(url, "40") == "40 jobs taken in\n"
        total = sum(n * n for n in range(1, 41))
        wait_until(lambda: page(url).startswith(f"40 jobs done, sum {total}\n"), "all are done")
        workers = re.findall(r"^(\w+) did (\d+)$", page(url), re.MULTILINE)
        assert len(workers) == 2, "both worked"
        assert sum(int(count) for _, count in workers) == 40
        run("scale", "worker=3")
        assert len(shared.containers(com_docker_compose_service="worker")) == 3


def test_development_saved_files_are_carried_over(
    shared: EngineUnderTest, stack: Callable[..., Any], tmp_path: Path
) -> None:
    url = "http://127.0.0.1:8084/"
    source = tmp_path / "development"
    shutil.copytree(EXAMPLES / "development", source)
    with stack("development", source / "stack.yml"):
        assert "<h1>A page</h1>\n<p>Edit me.</p>" in page(url)
        (before,) = shared.containers()
        with watching(shared, source):
            replace(source / "pages/index.html", "Edit me.", "Edited.")
            wait_until(lambda: "<p>Edited.</p>" in page(url), "the page is carried over")
            replace(source / "app.py", '"A page"', '"The page"')
            wait_until(lambda: "<h1>The page</h1>" in tried(url), "the code is, and restarts")
            (after,) = shared.containers()
            assert after["Id"] == before["Id"], "no image was built for that"


def test_chain_each_job_runs_after_the_one_before_it(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    with stack("chain", FIGURES="12") as run:
        assert page("http://127.0.0.1:8085/") == "the first 12 squares add up to 650\n"
        ends = {
            c["Labels"]["com.docker.compose.service"]: shared.inspect(c["Id"])["State"]
            for c in shared.containers()
        }
        for earlier, later in (("prepare", "fetch"), ("fetch", "render"), ("render", "site")):
            assert ends[earlier]["ExitCode"] == 0
            assert ends[earlier]["FinishedAt"] <= ends[later]["StartedAt"]
        first = {c["Id"] for c in shared.containers()}
        run("up", "-d", "--wait")
        assert {c["Id"] for c in shared.containers()} == first, "the jobs run again, in theirs"


def test_secrets_open_the_vault_and_new_configuration_is_taken_over_by_a_signal(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8086/"
    with stack("secrets", TOKEN="open-sesame") as run:
        assert page(url) == "Good morning\n"
        assert asked(url + "vault", "Bearer guess") == (403, "The vault is closed.\n")
        assert asked(url + "vault", "Bearer open-sesame") == (200, "The vault is open.\n")
        (before,) = shared.containers()
        assert "open-sesame" not in str(shared.inspect(before["Id"]))
        assert "open-sesame" not in run("config").stdout
        started = shared.inspect(before["Id"])["State"]["StartedAt"]
        run("up", "-d", "--wait", GREETING="Good evening")
        wait_until(lambda: page(url) == "Good evening\n", "the greeting is read again")
        assert shared.inspect(before["Id"])["State"]["StartedAt"] == started
        run("up", "-d", "--wait", GREETING="Good evening", TOKEN="changed")
        assert page(url) == "Good evening\n"
        assert asked(url + "vault", "Bearer open-sesame")[0] == 403
        assert asked(url + "vault", "Bearer changed")[0] == 200
        (after,) = shared.containers()
        assert after["Id"] != before["Id"], "a new secret is for a new container"


def test_profiles_the_tool_runs_when_it_is_asked_for(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    with stack("profiles") as run:
        assert page("http://127.0.0.1:8087/") == "The site.\n"
        assert run("ps", "--services").stdout == "web\n"
        measured = r"http://web:8000/ answered 200, 10 bytes in [\d.]+ ms\n"
        assert re.fullmatch(measured, run("run", "--rm", "debug", "--once").stdout)
        run("--profile", "debug", "up", "-d")
        assert run("--profile", "debug", "ps", "--services").stdout.split() == ["debug", "web"]
        wait_until(
            lambda: re.search(measured, run("--profile", "debug", "logs", "debug").stdout),
            "the tool measures",
        )


def test_networks_keep_the_page_from_the_store_and_the_store_from_the_world(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8088/"
    with stack("networks") as run:
        for count in (1, 2):
            assert page(url) == f"page: the store is unknown here\ninterface: visits {count}\n"
        (store,) = shared.containers(com_docker_compose_service="store")
        (address,) = (
            n["IPAddress"]
            for n in shared.inspect(store["Id"])["NetworkSettings"]["Networks"].values()
        )
        code = f"import socket; socket.create_connection(('{address}', 6379), 1)"
        refused = shared.run(
            "-f", str(EXAMPLES / "networks/stack.yml"), "exec", "-T", "page", "python3", "-c", code
        )
        assert refused.exit_code != 0, "not by its address either"
        routes = run("exec", "-T", "store", "cat", "/proc/net/route").stdout.splitlines()[1:]
        assert routes
        assert all(line.split()[1] != "00000000" for line in routes), "no way out"


def test_backup_brings_back_what_was_lost(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8089/"
    with stack("backup") as run:
        assert page(url) == "no notes\n"
        for note in ("milk", "bread"):
            assert post(url, note) == "noted\n"
        assert "written: /backups/notes-" in run("run", "--rm", "backup").stdout
        run("exec", "-T", "notes", "rm", "/notes/notes.txt")
        assert page(url) == "no notes\n"
        assert "restored: /backups/notes-" in run("run", "--rm", "restore").stdout
        assert page(url) == "milk\nbread\n"
        assert post(url, "butter") == "noted\n", "and it is its owner's as before"


def test_ordered_services_start_by_health_and_again_when_what_they_need_changed(
    shared: EngineUnderTest, stack: Callable[..., Any]
) -> None:
    url = "http://127.0.0.1:8090/"

    def starts() -> list[str]:
        """When each started, in the order of what they need."""
        return [
            shared.inspect(f"ordered-{name}-1")["State"]["StartedAt"]
            for name in ("settings", "middle", "page")
        ]

    with stack("ordered") as run:
        assert page(url) == "red by way of settings by way of middle by way of page\n"
        first = starts()
        assert first == sorted(first)
        run("up", "-d", "--wait", COLOUR="green")
        assert page(url) == "green by way of settings by way of middle by way of page\n"
        second = starts()
        assert second == sorted(second)
        assert min(second) > max(first)
        run("restart", "settings")
        third = starts()
        assert third == sorted(third)
        assert min(third) > max(second), "those that need it, and those that need them, too"


@contextmanager
def watching(engine: EngineUnderTest, directory: Path) -> Iterator[None]:
    """`pystack watch` in the directory while the block lasts; it ends well on Ctrl-C."""
    said = directory / "watch.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            engine.argv("watch"), cwd=directory, env=engine.env, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "watching" in said.read_text(), "it watches", within_s=30)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0, said.read_text()


@contextmanager
def asked_all_the_time(url: str) -> Iterator[list[str]]:
    """The answers so far, while a thread asks; the block's end fails when one was no answer."""
    seen: list[str] = []
    failed: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.01):
            try:
                seen.append(get(url))
            except (OSError, http.client.HTTPException) as error:
                failed.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
    assert failed == []


def post(url: str, text: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, text.encode(), timeout=10) as answer:
        return str(answer.read().decode())


def asked(url: str, authorization: str) -> tuple[int, str]:
    """The status and the body of the answer, whatever they are."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Authorization": authorization})
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def page(url: str) -> str:
    """The body of the answer, once there is one: a server that was just started may not listen."""
    return wait_until(lambda: tried(url), f"{url} answers")


def tried(url: str) -> str:
    """The body of the answer, "" while there is none."""
    try:
        return get(url, timeout_s=2)
    except (OSError, http.client.HTTPException):
        return ""


def replace(path: Path, old: str, new: str) -> None:
    """Saves the file with that change as editors do: whole, by a rename."""
    text = path.read_text()
    assert old in text
    saved = path.with_name(f"{path.name}.new")
    saved.write_text(text.replace(old, new))
    saved.replace(path)
