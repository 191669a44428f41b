from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.wire.credentials import (
    Credentials,
    domain_of,
    entry_of,
    from_header,
    host_of,
    key_of,
    stored,
    to_header,
)

WORDS = st.text(max_size=20)


@given(st.builds(Credentials, WORDS, WORDS, WORDS, WORDS))
def test_credentials_survive_the_header(credentials: Credentials) -> None:
    found = from_header(to_header(credentials, "r.example"))
    assert (found or Credentials()) == credentials


@given(st.text(st.characters(blacklist_characters=":\0"), min_size=1), st.text().map(str.strip))
def test_credentials_survive_the_configuration_file(username: str, password: str) -> None:
    password = password.rstrip("\0")
    given_ = Credentials(username, password)
    config = json.loads(json.dumps({"auths": {"r.example": entry_of(given_)}}))
    assert stored(config, "r.example") == given_


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_any_header_is_credentials_or_is_refused(text: str) -> None:
    try:
        found = from_header(text)
    except InvalidInput:
        return
    assert found is None or isinstance(found, Credentials)


@pytest.mark.parametrize("sent", [{}, None])
def test_clients_that_have_nothing_to_say_are_taken_at_their_word(sent: object) -> None:
    assert from_header(base64.b64encode(json.dumps(sent).encode()).decode()) is None


def test_padding_and_both_alphabets_are_understood() -> None:
    data = json.dumps({"username": "a", "password": "??>>~~"}).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(data).decode()
        expected = Credentials("a", "??>>~~")
        assert (from_header(text), from_header(text.rstrip("="))) == (expected, expected)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://r.example:5000/v2/", "r.example:5000"),
        ("localhost:5000", "localhost:5000"),
    ],
)
def test_a_server_is_known_by_its_host(text: str, host: str) -> None:
    assert host_of(text) == host
    assert host_of(key_of(host)) == host


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("redis", "docker.io"),
        ("team/redis", "docker.io"),
        ("index.docker.io/library/redis", "docker.io"),
        ("localhost/redis", "localhost"),
        ("r.example/redis", "r.example"),
        ("r:5000/redis", "r:5000"),
    ],
)
def test_a_name_says_which_registry_it_is_of(name: str, domain: str) -> None:
    assert domain_of(name) == domain
