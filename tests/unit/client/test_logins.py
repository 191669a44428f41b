from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from orchestrator.client.logins import Logins
from orchestrator.errors import Failed, InvalidInput, Unavailable
from orchestrator.wire.credentials import Credentials

ALICE = Credentials("alice", "se:cret")


def test_a_login_is_found_again_and_forgotten(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "new" / "config.json")
    assert logins.find("r.example") is None
    assert logins.save("r.example", ALICE) is True
    assert logins.find("r.example") == ALICE
    assert stat.S_IMODE(logins.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(logins.path.parent.stat().st_mode) == 0o700
    assert (logins.forget("r.example"), logins.forget("r.example")) == (True, False)
    assert json.loads(logins.path.read_text()) == {"auths": {}}


def test_docker_hub_has_dockers_key_whatever_it_was_kept_under(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"docker.io": {"auth": "eDp5"}}, "detachKeys": "ctrl-x"}))
    logins = Logins(path)
    assert logins.find("docker.io") == Credentials("x", "y")
    logins.save("docker.io", ALICE)
    found = json.loads(path.read_text())
    assert list(found["auths"]) == ["https://index.docker.io/v1/"]
    assert found["detachKeys"] == "ctrl-x"


def test_an_identity_token_is_kept_instead_of_the_password(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "config.json")
    logins.save("r.example", Credentials("alice", "secret", identity_token="t"))
    assert logins.find("r.example") == Credentials("alice", "", identity_token="t")
    assert "c2VjcmV0" not in logins.path.read_text()


def test_the_file_that_a_link_points_to_is_written(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    link = tmp_path / "config.json"
    link.symlink_to(real)
    Logins(link).save("r.example", ALICE)
    assert link.is_symlink()
    assert "r.example" in real.read_text()


def test_a_malformed_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{oops")
    with pytest.raises(InvalidInput):
        Logins(path).save("r.example", ALICE)
    assert path.read_text() == "{oops"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed) as caught:
        Logins(tmp_path / "file" / "config.json").save("r.example", ALICE)
    assert caught.value.code == "docker-config-unwritable"


def test_a_helper_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"credHelpers": {"r.example": "nowhere"}}))
    logins = Logins(path)
    assert logins.find("r.example") is None
    with pytest.raises(Unavailable) as caught:
        logins.save("r.example", ALICE)
    assert caught.value.about == "docker-credential-nowhere"


def test_a_helpers_token_user_means_an_identity_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-own"
    helper.write_text('#!/bin/sh\ncat > "$0.$1"\necho \'{"Username": "<token>", "Secret": "t"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"credHelpers": {"r.example": "own"}}))
    logins = Logins(path)
    assert logins.find("r.example") == Credentials(identity_token="t")
    assert logins.save("r.example", Credentials("a", "b", identity_token="new")) is False
    told = json.loads((tmp_path / "docker-credential-own.store").read_text())
    assert told == {"ServerURL": "r.example", "Username": "<token>", "Secret": "new"}
    assert logins.forget("r.example") is True
    assert (tmp_path / "docker-credential-own.erase").read_text() == "r.example"
