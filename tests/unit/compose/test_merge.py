"""Later files are laid over earlier ones, attribute by attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.compose.load import StackInvalid, load_stack
from orchestrator.compose.merge import merge, settled
from orchestrator.compose.node import Mark, Node
from orchestrator.compose.problems import Findings
from orchestrator.compose.schema.kinds import Reading
from orchestrator.compose.schema.service import SERVICE
from orchestrator.compose.source import read_text


def canonical(text: str) -> Node:
    findings = Findings()
    (tree,) = read_text(text.encode(), "f", findings) or [Node({}, Mark("f", 1, 1))]
    node = SERVICE.read(tree, "", Reading(findings, Path("/base")))
    findings.raise_any()
    return node


def merged(base: str, over: str) -> Any:
    return merge(SERVICE, canonical(base), canonical(over)).plain()


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ("image: a", "image: b", {"image": "b"}),
        ("image: a", "tty: true", {"image": "a", "tty": True}),
        ("command: [a, b]", "command: c", {"command": ["c"]}),
        ("command: [a, b]", "command:", {"command": None}),
        ("entrypoint: [a]", "entrypoint: [b]", {"entrypoint": ["b"]}),
        ("healthcheck: {test: [CMD, a], retries: 1}", "healthcheck: {test: b}",
         {"healthcheck": {"test": ["CMD-SHELL", "b"], "retries": 1}}),
        ("environment: {A: 1, B: 1}", "environment: [B=2, C=3]",
         {"environment": {"A": "1", "B": "2", "C": "3"}}),
        ("labels: [a=1]", "labels: {b: 2}", {"labels": {"a": "1", "b": "2"}}),
        ("dns: 1.1.1.1", "dns: [8.8.8.8]", {"dns": ["1.1.1.1", "8.8.8.8"]}),
        ("cap_add: [A, B]", "cap_add: [B, C]", {"cap_add": ["A", "B", "C"]}),
        ("expose: [80]", "expose: ['80', 81]", {"expose": ["80", "81"]}),
        ("extra_hosts: [a=1, b=2]", "extra_hosts: {b: [2, 3]}".replace("2, 3", "'2', '3'"),
         {"extra_hosts": {"a": ["1"], "b": ["2", "3"]}}),
        ("volumes: [/a:/x, /b:/y]", "volumes: ['/c:/x:ro']",
         {"volumes": [{"type": "bind", "source": "/c", "target": "/x", "read_only": True,
                       "bind": {"create_host_path": True}},
                      {"type": "bind", "source": "/b", "target": "/y",
                       "bind": {"create_host_path": True}}]}),
        ("ports: ['80:80']", "ports: [{target: 80, published: 80, mode: host}, '81:80']",
         {"ports": [{"target": 80, "published": "80", "mode": "host"},
                    {"target": 80, "protocol": "tcp", "mode": "ingress", "published": "81"}]}),
        ("secrets: [a]", "secrets: [{source: b, target: a}]",
         {"secrets": [{"source": "b", "target": "a"}]}),
        ("depends_on: [a]", "depends_on: {a: {condition: service_healthy}}",
         {"depends_on": {"a": {"condition": "service_healthy"}}}),
        ("networks: [a, b]", "networks: {a: {aliases: [x]}}",
         {"networks": {"a": {"aliases": ["x"]}, "b": {}}}),
        ("ulimits: {nofile: 1, nproc: 2}", "ulimits: {nofile: {soft: 3, hard: 4}}",
         {"ulimits": {"nofile": {"soft": 3, "hard": 4}, "nproc": {"soft": 2, "hard": 2}}}),
        ("logging: {driver: a, options: {x: 1}}", "logging: {options: {y: 2}}",
         {"logging": {"driver": "a", "options": {"x": "1", "y": "2"}}}),
        ("logging: {driver: a, options: {x: 1}}", "logging: {driver: b, options: {y: 2}}",
         {"logging": {"driver": "b", "options": {"y": "2"}}}),
        ("build: ./x", "build: {args: {A: 1}}",
         {"build": {"context": "/base/x", "args": {"A": "1"}}}),
        ("build: {context: x, args: [A=1]}", "build: y",
         {"build": {"context": "/base/y", "args": {"A": "1"}}}),
        ("ports: ['80']\nimage: a", "ports: !reset []", {"image": "a"}),
        ("image: a", "ports: !reset null", {"image": "a"}),
        ("environment: {A: 1, B: 2}", "environment: {A: !reset null}",
         {"environment": {"B": "2"}}),
        ("cap_add: [A]", "cap_add: !override [B]", {"cap_add": ["B"]}),
        ("environment: {A: 1}", "environment: !override {B: 2}", {"environment": {"B": "2"}}),
        ("deploy: {replicas: 1, resources: {limits: {memory: 1g}}}",
         "deploy: {resources: {limits: {cpus: 1}}}",
         {"deploy": {"replicas": 1, "resources": {"limits": {"memory": 1 << 30, "cpus": 10**9}}}}),
    ],
)  # fmt: skip
def test_an_attribute_is_merged_by_its_kind(base: str, over: str, result: object) -> None:
    assert merged(base, over) == result


WORDS = st.lists(st.sampled_from("ABCDE"), unique=True, max_size=5)
SERVICES = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["a", "b"]),
        "cap_add": WORDS,
        "environment": st.dictionaries(st.sampled_from("ABC"), st.sampled_from(["1", "2"])),
        "networks": WORDS,
        "ports": st.lists(st.sampled_from(["80", "80:80", "81:81/udp"]), unique=True),
        "logging": st.fixed_dictionaries({}, optional={"driver": st.sampled_from("xy")}),
        "command": WORDS,
    },
)


@given(SERVICES)
def test_laying_over_nothing_and_nothing_over_change_nothing(service: dict[str, Any]) -> None:
    node = canonical(repr(service))
    empty = canonical("{}")
    assert merge(SERVICE, empty, node).plain() == settled(node).plain()
    assert merge(SERVICE, node, empty).plain() == settled(node).plain()


@given(SERVICES, SERVICES)
def test_laying_the_same_over_again_changes_nothing(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    once = merge(SERVICE, canonical(repr(base)), canonical(repr(over)))
    assert merge(SERVICE, once, canonical(repr(over))).plain() == once.plain()


@given(SERVICES, SERVICES, SERVICES)
def test_it_does_not_matter_which_two_of_three_files_are_merged_first(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    one, two, three = (canonical(repr({**x, "logging": {}})) for x in (a, b, c))
    left = merge(SERVICE, merge(SERVICE, one, two), three)
    right = merge(SERVICE, one, merge(SERVICE, two, three))
    assert left.plain() == right.plain()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_paths_in_every_file_count_from_the_first_files_directory(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "stack.yml").write_text("services:\n  web: {image: a, volumes: [./a:/a]}\n")
    (here / "sub" / "more.yml").write_text("services:\n  web: {volumes: [./b:/b]}\n")
    stack = load_stack(["stack.yml", "sub/more.yml"], environ={}).stack
    sources = [mount.source for mount in stack.services[0].container.mounts]
    assert sources == [str(here / "a"), str(here / "b")]
    assert stack.files == (str(here / "stack.yml"), str(here / "sub" / "more.yml"))


def test_what_one_file_lacks_another_may_give(here: Path) -> None:
    (here / "a.yml").write_text("services:\n  web: {ulimits: {nofile: {soft: 1}}}\n")
    (here / "b.yml").write_text("services:\n  web: {image: a, ulimits: {nofile: {hard: 2}}}\n")
    stack = load_stack(["a.yml", "b.yml"], environ={}).stack
    (limit,) = stack.services[0].container.resources.ulimits
    assert (limit.soft, limit.hard) == (1, 2)


def test_a_service_can_extend_one_of_its_own_file(here: Path) -> None:
    (here / "stack.yml").write_text(
        "services:\n"
        "  base: {image: a, environment: {A: 1, B: 1}, profiles: [never]}\n"
        "  mid: {extends: base, environment: [B=2], profiles: !reset []}\n"
        "  web: {extends: {service: mid}, command: run}\n"
    )
    stack = load_stack(["stack.yml"], environ={}).stack
    web = stack.service("web")
    assert web is not None
    assert web.container.image == "a"
    assert web.container.environment == {"A": "1", "B": "2"}
    assert [service.name for service in stack.services] == ["mid", "web"]


def test_a_service_of_another_file_brings_its_paths_and_not_its_neighbours(here: Path) -> None:
    (here / "common").mkdir()
    (here / "common" / "base.yml").write_text(
        "services:\n  root: {build: .}\n"
        "  base: {extends: root, env_file: x.env, volumes: [./d:/d]}\n"
        "  broken: {image: 1, nonsense: $UNSET}\n"
    )
    (here / "common" / "x.env").write_text("X=1\n")
    (here / "stack.yml").write_text(
        "services:\n  web: {extends: {file: common/base.yml, service: base}, volumes: [./e:/e]}\n"
    )
    loaded = load_stack(["stack.yml"], environ={})
    assert loaded.warnings == ()
    (web,) = loaded.stack.services
    assert web.build is not None
    assert web.build.context == str(here / "common")
    assert web.container.environment == {"X": "1"}
    assert [m.source for m in web.container.mounts] == [str(here / "common/d"), str(here / "e")]


def test_an_included_project_has_its_own_directory_and_variables(here: Path) -> None:
    (here / "db").mkdir()
    (here / "db" / "stack.yml").write_text(
        "services:\n  db: {image: 'b:$TAG', volumes: [./d:/d, data:/v]}\nvolumes: {data: }\n"
    )
    (here / "db" / "more.yml").write_text("services:\n  db: {tty: true, command: $$HOME}\n")
    (here / "db" / ".env").write_text("TAG=5\nOTHER=x\n")
    (here / ".env").write_text("OTHER=y\n")
    (here / "stack.yml").write_text(
        "name: demo\ninclude:\n  - path: [db/stack.yml, db/more.yml]\n"
        "services:\n  web: {image: 'a:$OTHER', depends_on: [db]}\n"
    )
    stack = load_stack(["stack.yml"], environ={}).stack
    db, web = stack.service("db"), stack.service("web")
    assert db is not None
    assert web is not None
    assert (db.container.image, db.container.tty, web.container.image) == ("b:5", True, "a:y")
    assert db.container.command == ("$HOME",)
    assert [m.source for m in db.container.mounts] == [str(here / "db/d"), "demo_data"]


def test_an_override_file_may_change_what_the_first_includes(here: Path) -> None:
    (here / "db.yml").write_text("services:\n  db: {image: b}\n")
    (here / "stack.yml").write_text("include: [db.yml]\nservices:\n  web: {image: a}\n")
    (here / "more.yml").write_text("services:\n  db: {image: c}\n")
    stack = load_stack(["stack.yml", "more.yml"], environ={}).stack
    assert {s.name: s.container.image for s in stack.services} == {"db": "c", "web": "a"}


def test_two_definitions_of_one_name_in_an_include_are_told_unless_they_agree(here: Path) -> None:
    (here / "db.yml").write_text("services:\n  db: {image: b}\n  same: {image: s}\n")
    (here / "stack.yml").write_text(
        "include: [db.yml]\nservices:\n  db: {image: c}\n  same: {image: s}\n"
    )
    with pytest.raises(StackInvalid) as caught:
        load_stack(["stack.yml"], environ={})
    assert str(caught.value) == (
        "stack.yml:3:3: services.db: the included file defines it too, at db.yml:2:3; "
        "rename one, or change it in an override file"
    )
