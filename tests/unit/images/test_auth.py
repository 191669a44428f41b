from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.errors import Denied
from orchestrator.images.auth import Challenge, answer, parse_challenges
from orchestrator.images.credentials import Credentials

SCOPE = "repository:app:pull"
BEARER = [Challenge("bearer", {"realm": "https://auth.example/token", "service": "registry"})]


class TokenServer:
    """Remembers what it was asked and answers the same to everybody."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self._found = found

    async def __call__(
        self, method: str, url: str, values: Mapping[str, str], authorization: str
    ) -> Mapping[str, Any]:
        self.asked.append((method, url, dict(values), authorization))
        return self._found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="tests"', [Challenge("basic", {"realm": "tests"})]),
        ("Basic", [Challenge("basic", {})]),
        (
            'Bearer realm="https://a/t",service="reg",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "reg", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'bearer realm=x , error="a \\"b\\"", Basic realm="y"',
            [
                Challenge("bearer", {"realm": "x", "error": 'a "b"'}),
                Challenge("basic", {"realm": "y"}),
            ],
        ),
        (
            'Negotiate, Basic realm="y"',
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "y"})],
        ),
        ("=garbage", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected


async def test_an_anonymous_token_is_fetched_for_the_scope() -> None:
    server = TokenServer({"token": "t1"})
    assert await answer(BEARER, None, SCOPE, server, "host") == "Bearer t1"
    assert server.asked == [
        ("GET", "https://auth.example/token", {"service": "registry", "scope": SCOPE}, "")
    ]


async def test_the_scope_that_the_registry_names_goes_before_ours() -> None:
    server = TokenServer({"access_token": "t2"})
    challenge = Challenge("bearer", {"realm": "https://a", "scope": "repository:other:pull"})
    assert await answer([challenge], None, SCOPE, server, "host") == "Bearer t2"
    assert server.asked[0][2] == {"scope": "repository:other:pull"}


async def test_a_password_is_sent_to_the_token_server_as_basic() -> None:
    server = TokenServer({"token": "t"})
    await answer(BEARER, Credentials("alice", "secret"), SCOPE, server, "host")
    assert server.asked[0][3] == "Basic YWxpY2U6c2VjcmV0"


async def test_an_identity_token_is_traded_for_access() -> None:
    server = TokenServer({"access_token": "t"})
    await answer(BEARER, Credentials(identity_token="id"), SCOPE, server, "host")
    method, _, form, authorization = server.asked[0]
    assert (method, authorization) == ("POST", "")
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "id")


async def test_basic_is_answered_with_the_password() -> None:
    basic = [Challenge("basic", {})]
    found = await answer(basic, Credentials("alice", "secret"), SCOPE, TokenServer({}), "host")
    assert found == "Basic YWxpY2U6c2VjcmV0"


async def test_without_credentials_basic_is_a_refusal_that_says_how_to_log_in() -> None:
    with pytest.raises(Denied) as caught:
        await answer([Challenge("basic", {})], None, SCOPE, TokenServer({}), "r.example")
    assert caught.value.code == "registry-denied"
    assert "docker login r.example" in caught.value.hint


async def test_a_token_server_without_a_token_is_a_refusal() -> None:
    with pytest.raises(Denied):
        await answer(BEARER, Credentials("alice", "x"), SCOPE, TokenServer({}), "host")
