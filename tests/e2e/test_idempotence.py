"""A stack that is as its file says is left alone; what matters is changed, once, and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import EngineUnderTest, Result

pytestmark = pytest.mark.usefixtures("hub")

Say = Callable[..., Result]
UNCHANGED = "up to date, nothing to change"
EVERYTHING = """
x-log: &log {driver: json-file, options: {max-size: 1m}}
services:
  web:
    image: busybox
    command: [sleep, "1000"]
    entrypoint: ["/bin/env", "--"]
    init: true
    hostname: host
    domainname: example.test
    container_name: own-name
    user: "0:0"
    working_dir: /tmp
    environment: {COLOUR: red, EMPTY: "", NUMBER: 3}
    env_file: [{path: web.env}]
    labels: {a.label: value}
    annotations: {an.annotation: value}
    ports: ["127.0.0.1:18180:80", {target: 81, protocol: udp, published: "18181"}]
    expose: ["99", "100-102/udp"]
    networks:
      front: {aliases: [alias], ipv4_address: 10.231.7.9, priority: 5}
      back: {mac_address: "02:42:0a:e7:07:09"}
    volumes:
      - kept:/kept
      - /anonymous
      - ./source:/source:ro
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1m, mode: 0o700}}
    tmpfs: ["/run:size=64k"]
    configs: [plain, {source: inline, target: /etc/inline, mode: 0o440, uid: "5"}]
    secrets: [from_file, {source: from_env, target: other}]
    depends_on:
      base: {condition: service_healthy, restart: true}
      job: {condition: service_completed_successfully}
    healthcheck: {test: [CMD, "true"], interval: 30s, start_period: 10s, start_interval: 200ms}
    logging: *log
    restart: on-failure:3
    stop_signal: SIGINT
    stop_grace_period: 3s
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD, AUDIT_WRITE]
    security_opt: [no-new-privileges]
    read_only: true
    sysctls: {net.core.somaxconn: "256"}
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 500}
    shm_size: 8m
    extra_hosts: ["other:10.1.2.3", "host=host-gateway"]
    dns: [10.9.8.7]
    dns_search: [example.test]
    dns_opt: [ndots:2]
    group_add: [users]
    mem_limit: 64m
    mem_reservation: 32m
    cpus: 0.5
    cpu_shares: 512
    pids_limit: 50
    oom_score_adj: 100
    ipc: private
    devices: ["/dev/null:/dev/mine:r"]
    stdin_open: true
    tty: true
    pull_policy: missing
    post_start: [{command: ["true"]}]
    develop: {watch: [{action: sync, path: ./source, target: /source}]}
    deploy:
      update_config: {order: stop-first}
  base:
    build: {context: ./image, args: {WORD: one}, labels: {built: here}}
    command: [sleep, "1000"]
    init: true
    scale: 2
    healthcheck: {test: [CMD, "true"], interval: 30s, start_period: 10s, start_interval: 200ms}
    networks: [back]
    stop_grace_period: 0s
  beside:
    image: busybox
    command: [sleep, "1000"]
    init: true
    network_mode: service:web
    pid: service:web
    volumes_from: ["web:ro"]
  job:
    image: busybox
    command: [sh, -c, "[ -e /kept/once ] || exec touch /kept/once"]
    volumes: [kept:/kept]
    networks: [back]
  tool:
    image: busybox
    profiles: [tools]
networks:
  front: {ipam: {config: [{subnet: 10.231.7.0/24}]}, labels: {a: b}}
  back: {internal: true, driver_opts: {com.docker.network.driver.mtu: "1400"}}
volumes:
  kept: {labels: {a: b}}
configs:
  plain: {file: ./plain.txt}
  inline: {content: "colour is ${COLOUR:-red}"}
secrets:
  from_file: {file: ./secret.txt}
  from_env: {environment: TOKEN}
"""
SMALL = """
services:
  web:
    image: busybox
    init: true
    command: [sleep, "1000"]
    environment: {COLOUR: red}
    configs: [text]
    secrets: [word]
    labels: {first: a, second: b}
  other:
    image: busybox
    init: true
    command: [sleep, "1000"]
configs: {text: {file: ./text}}
secrets: {word: {file: ./word}}
"""


@pytest.fixture
def say(shared: EngineUnderTest, project: Path) -> Iterator[Say]:
    """`pystack` in the project; the stack is taken down in the end."""

    def run(*words: str, **options: Any) -> Result:
        return shared.cli(*words, cwd=project, **options)

    yield run
    run("-p", "demo", "down", "-v", "-t", "0", "--remove-orphans")


def ids(engine: EngineUnderTest) -> dict[str, str]:
    return {c["Names"][0].lstrip("/"): c["Id"] for c in engine.containers()}


def started(engine: EngineUnderTest) -> dict[str, str]:
    return {
        name: engine.inspect(i)["State"]["StartedAt"] for name, i in sorted(ids(engine).items())
    }


def planned(shared: EngineUnderTest, project: Path, **options: Any) -> list[str]:
    """The actions that `up` would take."""
    plan = shared.run("plan", cwd=project, **options)
    assert plan.exit_code in (0, 2), plan.output
    lines = [line.strip() for line in plan.stdout.splitlines()]
    return [line for line in lines if line and "nothing" not in line]


def write_everything(project: Path) -> None:
    (project / "stack.yml").write_text(EVERYTHING)
    (project / "web.env").write_text("FROM_FILE=yes\n")
    (project / "plain.txt").write_text("plain\n")
    (project / "secret.txt").write_text("secret\n")
    (project / "source").mkdir()
    (project / "image").mkdir()
    (project / "image/Dockerfile").write_text("FROM busybox\nARG WORD\nENV WORD=$WORD\n")


def test_a_second_up_of_a_stack_with_every_attribute_changes_nothing(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    write_everything(project)
    env = {"TOKEN": "t1"}
    say("up", "-d", "--wait", env=env)
    first, times = ids(shared), started(shared)
    assert set(first) == {"own-name", "demo-base-1", "demo-base-2", "demo-beside-1", "demo-job-1"}
    # As Compose has it: what has ended is started again by `up`, as it is.
    job = ["start container demo-job-1: it ended with exit code 0"]
    assert planned(shared, project, env=env) == job
    for words in (["up", "-d"], ["up", "-d", "--wait"], ["up", "-d", "--build"]):
        say(*words, env=env)
        assert ids(shared) == first
        assert started(shared) | {"demo-job-1": ""} == times | {"demo-job-1": ""}
    # The same said in other words is the same.
    said_otherwise = (
        EVERYTHING.replace("{COLOUR: red,", "{COLOUR: 'red',")
        .replace("mem_limit: 64m", "mem_limit: 67108864")
        .replace("stop_grace_period: 3s", "stop_grace_period: 3000ms")
        .replace('"127.0.0.1:18180:80"', '{target: 80, published: 18180, host_ip: 127.0.0.1}')
        .replace("labels: {a.label: value}", "labels: [a.label=value]")
        .replace("- ./source:/source:ro", "- {type: bind, source: ./source, target: /source, "
                 "read_only: true, bind: {create_host_path: true}}")
    )  # fmt: skip
    assert said_otherwise != EVERYTHING
    (project / "stack.yml").write_text(said_otherwise)
    assert planned(shared, project, env=env) == job
    # The content of a secret from the environment counts.
    changed = planned(shared, project, env={"TOKEN": "t2"})
    assert "replace container own-name: secrets/from_env" in changed


# What is changed in the file, and the one thing that is to be done for it, "" for nothing.
ATTRIBUTES = [
    (
        'command: [sleep, "1000"]\n    entrypoint',
        'command: [sleep, "999"]\n    entrypoint',
        "replace",
    ),
    ('["/bin/env", "--"]', '["/bin/env"]', "replace"),
    ("hostname: host", "hostname: guest", "replace"),
    ("domainname: example.test", "domainname: other.test", "replace"),
    ('user: "0:0"', 'user: "1:1"', "replace"),
    ("working_dir: /tmp", "working_dir: /", "replace"),
    ("NUMBER: 3", "NUMBER: 4", "replace"),
    ("{a.label: value}", "{a.label: other}", "update"),
    ("{an.annotation: value}", "{an.annotation: other}", "replace"),
    ("127.0.0.1:18180:80", "127.0.0.1:18182:80", "update"),
    ('expose: ["99",', 'expose: ["98",', "replace"),
    ("aliases: [alias]", "aliases: [nickname]", "replace"),
    ("10.231.7.9,", "10.231.7.10,", "replace"),
    ("02:42:0a:e7:07:09", "02:42:0a:e7:07:0a", "replace"),
    ("kept:/kept\n      - /anon", "kept:/elsewhere\n      - /anon", "replace"),
    ("./source:/source:ro", "./source:/source", "replace"),
    ("tmpfs: {size: 1m", "tmpfs: {size: 2m", "replace"),
    ('"/run:size=64k"', '"/run:size=128k"', "replace"),
    ("mode: 0o440", "mode: 0o400", "replace"),
    ("target: other}", "target: another}", "replace"),
    ("colour is ${COLOUR:-red}", "colour is blue", "replace"),
    ("max-size: 1m", "max-size: 2m", "update"),
    ("restart: on-failure:3", "restart: always", "update"),
    ("stop_signal: SIGINT", "stop_signal: SIGTERM", "update"),
    ("stop_grace_period: 3s", "stop_grace_period: 4s", "update"),
    ("cap_add: [NET_ADMIN]", "cap_add: [NET_RAW]", "replace"),
    ("cap_drop: [MKNOD, AUDIT_WRITE]", "cap_drop: [MKNOD]", "replace"),
    ("    security_opt: [no-new-privileges]\n", "", "replace"),
    ("read_only: true\n    sysctls", "read_only: false\n    sysctls", "replace"),
    ('somaxconn: "256"', 'somaxconn: "257"', "replace"),
    ("soft: 1000", "soft: 1001", "replace"),
    ("shm_size: 8m", "shm_size: 9m", "replace"),
    ("other:10.1.2.3", "other:10.1.2.4", "replace"),
    ("dns: [10.9.8.7]", "dns: [10.9.8.6]", "replace"),
    ("ndots:2", "ndots:3", "replace"),
    ("group_add: [users]", "group_add: [daemon]", "replace"),
    ("mem_limit: 64m", "mem_limit: 65m", "update"),
    ("cpus: 0.5", "cpus: 0.25", "update"),
    ("pids_limit: 50", "pids_limit: 51", "update"),
    ("oom_score_adj: 100", "oom_score_adj: 101", "replace"),
    ("ipc: private", "ipc: shareable", "replace"),
    ("/dev/null:/dev/mine:r", "/dev/null:/dev/mine:rw", "replace"),
    ("stdin_open: true", "stdin_open: false", "replace"),
    ("tty: true", "tty: false", "replace"),
    # How it is made, watched or updated is not what it is.
    ("pull_policy: missing", "pull_policy: never", ""),
    ("order: stop-first", "order: start-first", ""),
    ("action: sync,", "action: sync+restart,", ""),
]


def test_each_attribute_counts_for_what_it_is(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    write_everything(project)
    env = {"TOKEN": "t1"}
    say("up", "-d", "--wait", env=env)
    wrong = {}
    for old, new, verb in ATTRIBUTES:
        text = EVERYTHING.replace(old, new)
        assert text != EVERYTHING, old
        (project / "stack.yml").write_text(text)
        about_web = [line for line in planned(shared, project, env=env) if "own-name" in line]
        if [line.split()[0] for line in about_web if not line.startswith("start ")] != (
            [verb] if verb else []
        ):
            wrong[new] = about_web
    assert wrong == {}


CHANGES = [
    ("COLOUR: red", "COLOUR: green", "replace container demo-web-1: environment.COLOUR"),
    ("second: b", "second: c", "update container demo-web-1: labels.second"),
    ("    environment:", "    user: '1'\n    environment:", "replace container demo-web-1: user"),
]


def test_a_container_is_replaced_only_for_what_matters_and_the_reason_is_said(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    file = project / "stack.yml"
    file.write_text(SMALL)
    (project / "text").write_text("one")
    (project / "word").write_text("open sesame")
    say("up", "-d")
    first = ids(shared)
    for old, new, reason in CHANGES:
        file.write_text(SMALL.replace(old, new))
        assert planned(shared, project)[0].startswith(reason)
    file.write_text(SMALL)
    # New content of what is granted counts, the same content written again does not.
    (project / "text").write_text("one")
    assert planned(shared, project) == []
    (project / "text").write_text("two")
    assert planned(shared, project)[0] == "replace container demo-web-1: configs/text"
    (project / "text").write_text("one")
    (project / "word").write_text("abracadabra")
    (plan, *_) = planned(shared, project)
    assert plan == "replace container demo-web-1: secrets/word"
    assert "abracadabra" not in plan
    said = say("up", "-d").stderr
    assert "container demo-web-1: replacing: secrets/word\n" in said
    after = ids(shared)
    assert after["demo-web-1"] != first["demo-web-1"]
    assert after["demo-other-1"] == first["demo-other-1"]
    content = say("compose", "exec", "-T", "web", "cat", "/run/secrets/word").stdout
    assert content == "abracadabra"
    # Moving the directory's file or commenting in it is no change.
    file.write_text("# a comment\n" + SMALL)
    assert UNCHANGED in say("up", "-d").stderr
    assert ids(shared) == after
    # A label is changed in place.
    file.write_text(SMALL.replace("second: b", "second: c"))
    say("up", "-d")
    assert ids(shared) == after
    assert shared.inspect("demo-web-1")["Config"]["Labels"]["second"] == "c"
    assert UNCHANGED in say("up", "-d").stderr


def test_an_image_that_was_built_anew_replaces_what_runs_from_it_and_nothing_else(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    (project / "stack.yml").write_text(
        "services:\n  built: {build: ., init: true, command: [sleep, '1000']}\n"
        "  other: {image: busybox, init: true, command: [sleep, '1000']}\n"
    )
    (project / "Dockerfile").write_text("FROM busybox\nCOPY text /\n")
    (project / "text").write_text("one")
    say("up", "-d")
    first = ids(shared)
    (project / "text").write_text("two")
    assert UNCHANGED in say("up", "-d").stderr, "nobody asked for a build"
    said = say("up", "-d", "--build").stderr
    assert "demo-built-1" in said
    after = ids(shared)
    assert after["demo-other-1"] == first["demo-other-1"]
    assert after["demo-built-1"] != first["demo-built-1"]
    assert say("compose", "exec", "-T", "built", "cat", "/text").stdout == "two"
    say("up", "-d", "--build")
    assert ids(shared) == after, "the build came to the same image"


NETWORKED = """
services:
  web:
    image: busybox
    init: true
    command: [sleep, "1000"]
    networks: [back]
    volumes: [kept:/kept]
  other:
    image: busybox
    init: true
    command: [sleep, "1000"]
networks:
  back: {driver_opts: {com.docker.network.driver.mtu: "1400"}, labels: {of: a}}
volumes:
  kept: {labels: {of: a}}
"""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("back: {driver", "back: {internal: true, driver", "internal"),
        ("1400", "1300", "options"),
        ("labels: {of: a}}\nvolumes", "labels: {of: b}}\nvolumes", "labels"),
        (
            "labels: {of",
            "ipam: {config: [{subnet: 10.231.8.0/24, aux_addresses: {host: 10.231.8.9}},"
            " {subnet: 10.231.9.0/24}, {subnet: 'fd00:231::/64', gateway: 'fd00:231::5'}]},"
            " enable_ipv6: true, attachable: true, labels: {of",
            "subnet",
        ),
    ],
)
def test_a_changed_network_is_made_anew_with_those_on_it_and_no_others(
    shared: EngineUnderTest, say: Say, project: Path, old: str, new: str, reason: str
) -> None:
    file = project / "stack.yml"
    file.write_text(NETWORKED)
    say("up", "-d")
    first = ids(shared)
    file.write_text(NETWORKED.replace(old, new, 1))
    plan = planned(shared, project)
    assert any("network demo_back" in line and reason in line for line in plan), plan
    said = say("up", "-d").stderr
    assert reason in said
    after = ids(shared)
    assert after["demo-other-1"] == first["demo-other-1"]
    assert after["demo-web-1"] != first["demo-web-1"]
    assert UNCHANGED in say("up", "-d").stderr


def test_orphans_are_named_left_alone_and_removed_when_that_is_wanted(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    sleeping = "{image: busybox, init: true, command: [sleep, '1000']}"
    file = project / "stack.yml"
    file.write_text(f"services:\n  web: {sleeping}\n  old: {sleeping}\n")
    say("up", "-d")
    first = ids(shared)
    file.write_text(f"services:\n  web: {sleeping}\n")
    for words in (["plan"], ["up", "-d"]):
        warned = shared.run(*words, cwd=project).output
        assert "demo-old-1: not in the stack file any more; --remove-orphans" in warned
        assert ids(shared) == first
    assert "demo-old-1" not in say("up", "-d", env={"COMPOSE_IGNORE_ORPHANS": "1"}).output
    said = say("up", "-d", "--remove-orphans").stderr
    assert "demo-old-1" in said
    assert set(ids(shared)) == {"demo-web-1"}
    assert ids(shared)["demo-web-1"] == first["demo-web-1"]
    assert UNCHANGED in say("up", "-d", "--remove-orphans").stderr
    # A one-off container is nobody's orphan.
    say("compose", "run", "-d", "--name", "once", "web", "sleep", "1000")
    assert "once" not in say("up", "-d", "--remove-orphans").output
    assert "once" in ids(shared)
    shared.cli("rm", "-f", "once")


def test_the_services_of_a_profile_that_is_not_active_are_no_orphans(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    sleeping = "image: busybox, init: true, command: [sleep, '1000']"
    (project / "stack.yml").write_text(
        f"services:\n  web: {{{sleeping}}}\n  tool: {{{sleeping}, profiles: [tools]}}\n"
    )
    say("--profile", "tools", "up", "-d")
    first = ids(shared)
    assert "orphan" not in say("up", "-d").output
    say("up", "-d", "--remove-orphans")
    assert ids(shared) == first, "they are in the file"


def test_one_shot_dependencies_run_in_their_order_and_their_failure_is_told(
    shared: EngineUnderTest, say: Say, project: Path
) -> None:
    file = project / "stack.yml"
    text = """
services:
  web:
    image: busybox
    init: true
    command: [sleep, "1000"]
    depends_on: {second: {condition: service_completed_successfully}}
  second:
    image: busybox
    command: cat /kept/word
    volumes: [kept:/kept]
    depends_on: {first: {condition: service_completed_successfully}}
  first:
    image: busybox
    command: sh -c 'echo once >> /kept/word'
    volumes: [kept:/kept]
volumes: {kept: {}}
"""
    file.write_text(text)
    say("up", "-d", "--wait")
    assert say("-f", str(file), "logs", "--no-log-prefix", "second").stdout == "once\n"
    first, times = ids(shared), started(shared)
    say("up", "-d", "--wait")
    assert ids(shared) == first, "they run again in their order, in the containers that they had"
    logs = ["-f", str(file), "logs", "--no-log-prefix", "second"]
    assert say(*logs).stdout == "once\n" * 3
    assert started(shared)["demo-web-1"] == times["demo-web-1"]
    file.write_text(text.replace("cat /kept/word", "tail -n 1 /kept/word"))
    said = say("up", "-d", "--wait").stderr
    assert "demo-second-1" in said
    assert say(*logs).stdout == "once\n"
    assert ids(shared) | {"demo-second-1": ""} == first | {"demo-second-1": ""}
    assert started(shared)["demo-web-1"] == times["demo-web-1"]
    # A job that fails is said, and what needs it is not started.
    file.write_text(text.replace("echo once >> /kept/word", "exit 3"))
    say("down", "-v", "-t", "0")
    failed = shared.run("up", "-d", "--wait", cwd=project)
    assert failed.exit_code == 1
    assert "first" in failed.stderr
    assert "exit code 3" in failed.stderr
    states = {c["Names"][0]: c["State"] for c in shared.containers()}
    assert states["/demo-web-1"] == "created"
