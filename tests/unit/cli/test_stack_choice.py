"""Which files, profiles and variables a stack is read with, as options and the environment say."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.conftest import Said, Say
from tests.unit.client.fake_engine import FakeEngine, json_lines

TEXT = "services: {%s: {image: '%s:${TAG:-none}'}}\n"


@pytest.fixture(autouse=True)
def files(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PROFILES", "ENV_FILES", "PATH_SEPARATOR", "DISABLE_ENV_FILE", "REMOVE_ORPHANS"):
        monkeypatch.delenv(f"COMPOSE_{name}", raising=False)
        monkeypatch.delenv(f"PYSTACK_{name}", raising=False)
    for name in ("one", "two"):
        (place / f"{name}.yml").write_text(TEXT % (name, name))
    return place


def images(said: Said) -> dict[str, str]:
    assert said.code == 0, said.err
    return {k: v["image"] for k, v in yaml.safe_load(said.out)["services"].items()}


BOTH = {"one": "one:none", "two": "two:none"}


def test_several_files_are_laid_over_each_other(say: Say) -> None:
    assert images(say("-f", "one.yml", "-f", "two.yml", "config")) == BOTH


@pytest.mark.parametrize("prefix", ["COMPOSE", "PYSTACK"])
def test_a_variable_names_the_files(prefix: str, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{prefix}_FILE", "one.yml:two.yml")
    assert images(say("config")) == BOTH
    monkeypatch.setenv(f"{prefix}_PATH_SEPARATOR", ";")
    monkeypatch.setenv(f"{prefix}_FILE", "one.yml;two.yml")
    assert images(say("config")) == BOTH


def test_our_variable_comes_before_composes(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "one.yml")
    monkeypatch.setenv("PYSTACK_FILE", "two.yml")
    assert images(say("config")) == {"two": "two:none"}


def test_an_option_comes_before_both(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSTACK_FILE", "two.yml")
    assert images(say("-f", "one.yml", "config")) == {"one": "one:none"}


def test_the_env_file_here_may_name_the_files(say: Say, files: Path) -> None:
    (files / "sub").mkdir()
    (files / "sub" / "three.yml").write_text(TEXT % ("three", "three"))
    (files / "sub" / ".env").write_text("TAG=sub\nOTHER=1\n")
    (files / ".env").write_text("COMPOSE_FILE=sub/three.yml:one.yml\nTAG=here\n")
    assert images(say("config")) == {"three": "three:here", "one": "one:here"}


def test_standard_input_is_a_file(say: Say, monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    (files / ".env").write_text("TAG=dotenv\n")
    given = io.TextIOWrapper(io.BytesIO((TEXT % ("in", "in")).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    form = yaml.safe_load(say("-f", "-", "config").out)
    assert form["name"] == "demo"
    assert form["services"]["in"]["image"] == "in:dotenv"


def test_the_project_directory_is_the_first_files(say: Say, files: Path) -> None:
    (files / "sub").mkdir()
    (files / "sub" / "three.yml").write_text("services: {three: {build: ./x, image: 'a:$TAG'}}\n")
    (files / "sub" / ".env").write_text("TAG=sub\n")
    form = yaml.safe_load(say("-f", "sub/three.yml", "-f", "one.yml", "config").out)
    assert form["name"] == "sub"
    assert form["services"]["three"]["build"]["context"] == str(files / "sub" / "x")
    assert form["services"]["one"]["image"] == "one:sub"
    words = ("--project-directory", str(files), "-f", "sub/three.yml", "config")
    assert yaml.safe_load(say(*words).out)["name"] == "demo"


def test_env_files_are_told_or_named_by_a_variable(
    say: Say, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    (files / ".env").write_text("TAG=dotenv\n")
    (files / "a.env").write_text("TAG=a\nNAME=a\n")
    (files / "b.env").write_text("TAG=b\n")
    assert images(say("-f", "one.yml", "config")) == {"one": "one:dotenv"}
    words = ("-f", "one.yml", "--env-file", "a.env", "--env-file", "b.env", "config")
    assert images(say(*words)) == {"one": "one:b"}
    monkeypatch.setenv("COMPOSE_ENV_FILES", "b.env,a.env")
    assert images(say("-f", "one.yml", "config")) == {"one": "one:a"}
    monkeypatch.delenv("COMPOSE_ENV_FILES")
    monkeypatch.setenv("COMPOSE_DISABLE_ENV_FILE", "true")
    assert images(say("-f", "one.yml", "config")) == {"one": "one:none"}


@pytest.mark.parametrize("prefix", ["COMPOSE", "PYSTACK"])
def test_profiles_are_told_or_named_by_a_variable(
    prefix: str, say: Say, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    (files / "stack.yml").write_text(
        "services: {a: {image: a, profiles: [x]}, b: {image: b, profiles: [y]}, c: {image: c}}\n"
    )
    assert say("config", "--services").out == "c\n"
    monkeypatch.setenv(f"{prefix}_PROFILES", "x, y")
    assert say("config", "--services").out == "a\nb\nc\n"
    assert say("--profile", "x", "config", "--services").out == "a\nc\n"
    assert say("--profile", "*", "config", "--services").out == "a\nb\nc\n"


def test_the_environment_says_what_becomes_of_orphans(
    say: Say, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = "POST /pystack/v1/stacks/demo/up"
    fake.on(up, json_lines({"result": {"changed": 1}}))
    monkeypatch.setenv("COMPOSE_REMOVE_ORPHANS", "1")
    assert say("-f", "one.yml", "up", "-d").code == 0
    asked = fake.request(up).json()
    assert (asked["remove_orphans"], asked["ignore_orphans"]) == (True, False)
    monkeypatch.setenv("COMPOSE_REMOVE_ORPHANS", "0")
    monkeypatch.setenv("COMPOSE_IGNORE_ORPHANS", "1")
    assert say("-f", "one.yml", "up", "-d", "--remove-orphans").code != 0
    assert say("-f", "one.yml", "up", "-d").code == 0
    asked = fake.requests[-1].json()
    assert (asked["remove_orphans"], asked["ignore_orphans"]) == (False, True)
