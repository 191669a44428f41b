"""`config` prints the whole of a stack file, or the part that was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.conftest import Say
from tests.unit.client.fake_engine import FakeEngine, as_json

STACK = """\
name: shop
services:
  web:
    image: "web:${TAG:-1}"
    build: ./web
    env_file: web.env
    environment: {OWN: "${OWN:?}", COST: $$5}
    volumes: ["data:/data", "./src:/src"]
    depends_on: [db]
  db: {image: db, networks: [back]}
  debug: {image: debug, profiles: [tools], depends_on: [web]}
volumes: {data: , unused: }
networks: {back: }
"""


@pytest.fixture
def shop(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (place / "stack.yml").write_text(STACK)
    (place / "web.env").write_text("FROM_FILE=1\n")
    monkeypatch.setenv("OWN", "mine")
    return place


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["--services"], "db\nweb\n"),
        (["--services", "debug"], "db\ndebug\nweb\n"),
        (["--services", "db"], "db\n"),
        (["--volumes"], "data\n"),
        (["--networks"], "back\ndefault\n"),
        (["--images"], "db\nweb:1\n"),
        (["--profiles"], "tools\n"),
        (["-q"], ""),
        (["-q", "--services"], ""),
    ],
)
def test_a_part_is_printed_a_line_each(say: Say, words: list[str], out: str) -> None:
    said = say("config", *words)
    assert (said.code, said.out, said.err) == (0, out, "")


def test_the_whole_is_printed_in_the_order_of_compose(say: Say, shop: Path) -> None:
    form = yaml.safe_load(say("config").out)
    assert list(form) == ["name", "services", "networks", "volumes"]
    assert form["services"]["web"] == {
        "build": {"context": str(shop / "web"), "dockerfile": "Dockerfile"},
        "depends_on": {"db": {"condition": "service_started", "required": True}},
        "environment": {"COST": "$$5", "FROM_FILE": "1", "OWN": "mine"},
        "image": "web:1",
        "networks": {"default": None},
        "volumes": [
            {"type": "volume", "source": "data", "target": "/data", "volume": {}},
            {
                "type": "bind",
                "source": str(shop / "src"),
                "target": "/src",
                "bind": {"create_host_path": True},
            },
        ],
    }


def test_phases_can_be_left_out(say: Say, shop: Path) -> None:
    def web(*words: str) -> dict[str, object]:
        form = yaml.safe_load(say("config", *words).out)
        return dict(form["services"]["web"])

    raw = web("--no-interpolate")
    assert raw["image"] == "web:${TAG:-1}"
    assert raw["environment"] == {"OWN": "${OWN:?}", "COST": "$$5"}
    assert raw["env_file"] == [{"path": str(shop / "web.env"), "required": True}]
    assert "networks" not in web("--no-normalize")
    assert web("--no-path-resolution")["build"] == {"context": "./web", "dockerfile": "Dockerfile"}
    unresolved = web("--no-env-resolution")
    assert unresolved["environment"] == {"COST": "$$5", "OWN": "mine"}
    assert "env_file" in unresolved


def test_what_is_a_variable_as_a_whole_is_shown_as_it_is(say: Say, place: Path) -> None:
    (place / "stack.yml").write_text("services: {a: '${ALL_OF_A}'}\nnetworks: {n: '${N}', m: }\n")
    said = say("config", "--no-interpolate", "--no-consistency", "--format", "json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["services"] == {"a": "${ALL_OF_A}"}


@pytest.mark.usefixtures("shop")
def test_variables_and_their_defaults_are_listed(say: Say) -> None:
    assert say("config", "--variables").out.splitlines() == [
        "NAME      REQUIRED   DEFAULT VALUE   ALTERNATE VALUE",
        "OWN       true",
        "TAG       false      1",
    ]
    listed = json.loads(say("config", "--variables", "--format", "json").out)
    assert listed["TAG"] == {
        "Name": "TAG",
        "DefaultValue": "1",
        "PresenceValue": "",
        "Required": False,
    }


@pytest.mark.usefixtures("shop")
def test_the_environment_is_what_the_files_were_read_with(say: Say) -> None:
    lines = say("config", "--environment").out.splitlines()
    assert {"OWN=mine", "COMPOSE_PROJECT_NAME=shop"} <= set(lines)


@pytest.mark.usefixtures("shop")
def test_a_digest_of_a_service_changes_with_it(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def digests() -> dict[str, str]:
        return dict(line.split() for line in say("config", "--hash", "*").out.splitlines())

    before = digests()
    assert sorted(before) == ["db", "web"]
    assert say("config", "--hash", "db").out == f"db {before['db']}\n"
    monkeypatch.setenv("OWN", "other")
    after = digests()
    assert (before["db"] == after["db"], before["web"] == after["web"]) == (True, False)
    assert say("config", "--hash", "nobody").code == 1


def test_it_is_written_to_a_file(say: Say, shop: Path) -> None:
    assert say("config", "--format", "json", "-o", "out.json").out == ""
    assert json.loads((shop / "out.json").read_text())["name"] == "shop"
    assert say("config", "-o", "no/such/directory").code == 1


@pytest.mark.usefixtures("shop")
def test_a_service_that_is_none_is_refused(say: Say) -> None:
    said = say("config", "nobody")
    assert (said.code, said.err.splitlines()[0]) == (1, "error: no such service: nobody")


@pytest.mark.usefixtures("shop")
def test_images_are_pinned_to_what_their_registries_have(say: Say, fake: FakeEngine) -> None:
    for number, name in enumerate(("db", "web:1")):
        answer = as_json({"Descriptor": {"digest": f"sha256:{number}"}})
        fake.on(f"GET /distribution/{name.replace(':', '%3A')}/json", answer)
    form = yaml.safe_load(say("config", "--resolve-image-digests").out)
    images = {name: service["image"] for name, service in form["services"].items()}
    assert images == {"db": "db@sha256:0", "web": "web:1@sha256:1"}
    assert yaml.safe_load(say("config", "--lock-image-digests").out) == {
        "services": {name: {"image": image} for name, image in images.items()}
    }


def test_every_problem_is_told_and_the_exit_code_is_1(say: Say, shop: Path) -> None:
    (shop / "stack.yml").write_text("services:\n  web:\n    imag: x\n    tty: 3\n")
    said = say("config", "-q")
    assert said.code == 1
    assert 'stack.yml:3:5: services.web.imag: unknown key "imag"; did you mean "image"?' in said.err
    assert "stack.yml:4:10: services.web.tty: expected true or false" in said.err
