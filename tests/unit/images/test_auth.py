from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.errors import Denied
from orchestrator.images.auth import Challenge, Pairs, answer, joined_scopes, parse_challenges
from orchestrator.wire.credentials import Credentials

SCOPE = ("repository:app:pull",)
BEARER = [Challenge("bearer", {"realm": "https://auth.example/token", "service": "registry"})]


class TokenServer:
    """Remembers what it was asked and answers the same to everybody."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.asked: list[tuple[str, str, Pairs, str]] = []
        self._found = found

    async def __call__(
        self, method: str, url: str, values: Pairs, authorization: str
    ) -> Mapping[str, Any]:
        self.asked.append((method, url, list(values), authorization))
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
    assert (await answer(BEARER, None, SCOPE, server, "host")).authorization == "Bearer t1"
    query = [("scope", "repository:app:pull"), ("service", "registry")]
    assert server.asked == [("GET", "https://auth.example/token", query, "")]


def test_what_the_registry_names_is_asked_for_besides_ours() -> None:
    named = [Challenge("bearer", {"scope": "repository:other:pull repository:app:pull"})]
    assert joined_scopes(["repository:app:pull,push"], named) == (
        "repository:other:pull",
        "repository:app:pull,push",
    )


async def test_a_login_asks_for_a_token_to_keep() -> None:
    server = TokenServer({"token": "t", "refresh_token": "keep"})
    found = await answer(BEARER, Credentials("alice", "secret"), (), server, "host")
    assert found.refresh_token == "keep"
    assert ("offline_token", "true") in server.asked[0][2]


async def test_a_password_is_sent_to_the_token_server_as_basic() -> None:
    server = TokenServer({"token": "t"})
    await answer(BEARER, Credentials("alice", "secret"), SCOPE, server, "host")
    assert server.asked[0][3] == "Basic YWxpY2U6c2VjcmV0"


async def test_an_identity_token_is_traded_for_access() -> None:
    server = TokenServer({"access_token": "t"})
    await answer(BEARER, Credentials(identity_token="id"), SCOPE, server, "host")
    method, _, values, authorization = server.asked[0]
    form = dict(values)
    assert (method, authorization) == ("POST", "")
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "id")


async def test_basic_is_answered_with_the_password() -> None:
    basic = [Challenge("basic", {})]
    found = await answer(basic, Credentials("alice", "secret"), SCOPE, TokenServer({}), "host")
    assert found.authorization == "Basic YWxpY2U6c2VjcmV0"


async def test_without_credentials_basic_is_a_refusal_that_says_how_to_log_in() -> None:
    with pytest.raises(Denied) as caught:
        await answer([Challenge("basic", {})], None, SCOPE, TokenServer({}), "r.example")
    assert caught.value.code == "registry-denied"
    assert "pystack login r.example" in caught.value.hint


async def test_a_token_server_without_a_token_is_a_refusal() -> None:
    with pytest.raises(Denied):
        await answer(BEARER, Credentials("alice", "x"), SCOPE, TokenServer({}), "host")
