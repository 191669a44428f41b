from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.images.credentials import find_credentials
from orchestrator.wire.credentials import Credentials, helper_of, read_config, stored

ALICE = Credentials("alice", "se:cret")
AUTH = {"auth": "YWxpY2U6c2U6Y3JldA=="}


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("r.example:5000", "r.example:5000"),
        ("https://r.example:5000", "r.example:5000"),
        ("http://r.example:5000/v2/", "r.example:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_a_host_is_found_however_it_is_written(key: str, host: str) -> None:
    assert stored({"auths": {key: AUTH}}, host) == ALICE


def test_another_host_gets_nothing() -> None:
    config = {"auths": {"r.example": AUTH, "r.example.evil.example": {}}}
    assert stored(config, "r.example.evil.example") is None
    assert stored(config, "example") is None


def test_tokens_are_understood() -> None:
    config = {"auths": {"a": {"identitytoken": "i"}, "b": {"registrytoken": "r"}}}
    assert stored(config, "a") == Credentials(identity_token="i")
    assert stored(config, "b") == Credentials(access_token="r")


@pytest.mark.parametrize("entry", [{}, {"auth": "%%%"}, {"auth": "//8="}, {"auth": ""}, 3])
def test_a_damaged_or_empty_entry_is_no_credentials(entry: Any) -> None:
    assert stored({"auths": {"a": entry}}, "a") is None


def test_the_hosts_own_helper_goes_before_the_general_one() -> None:
    config = {"credsStore": "general", "credHelpers": {"a": "own"}}
    assert (helper_of(config, "a"), helper_of(config, "b"), helper_of({}, "a")) == (
        "own",
        "general",
        "",
    )


def test_no_file_is_an_empty_configuration(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_malformed_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_config(path)
    assert caught.value.about == str(path)


def write_helper(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    helper = directory / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\nread server\n{script}\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    config = directory / "config.json"
    config.write_text(json.dumps({"credsStore": "test", "auths": {"fallback": AUTH}}))
    return config


async def test_a_helper_is_asked_for_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'echo "{\\"Username\\": \\"bob\\", \\"Secret\\": \\"$server\\"}"'
    config = write_helper(tmp_path, monkeypatch, script)
    assert await find_credentials(config, "r.example") == Credentials("bob", "r.example")
    assert await find_credentials(config, "docker.io") == Credentials(
        "bob", "https://index.docker.io/v1/"
    )


async def test_a_helpers_token_user_means_an_identity_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"t\\"}"'
    config = write_helper(tmp_path, monkeypatch, script)
    assert await find_credentials(config, "a") == Credentials(identity_token="t")


async def test_a_helper_that_knows_nothing_leaves_it_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_helper(tmp_path, monkeypatch, "echo credentials not found >&2; exit 1")
    assert await find_credentials(config, "fallback") == ALICE
    assert await find_credentials(config, "other") is None


async def test_a_missing_helper_leaves_it_to_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credsStore": "not-installed", "auths": {"a": AUTH}}))
    assert await find_credentials(config, "a") == ALICE
